//! Every course that feed, leases and receipts can take in a small world: questions and answers that are lost, late or doubled, fences at any
//! moment, answers that bring a part of what is missing, a node that is started anew (02, invariants 4, 5 and 7). A tick is a second. The
//! rules are those of the product: [`judge`] at the point, [`closes`] at the node, the lease of [`LEASE`].

use std::collections::BTreeSet;
use std::time::Duration;

use bailiwick_core::feed::{Applied, Content, LEASE};
use bailiwick_core::receipt::How;
use bailiwick_enforce::point::{Judgement, judge};
use stateright::{Checker, Model, Property};

use crate::feed::registry::closes;

/// How large the world is, and what is wrong in it.
#[derive(Debug, Clone, Copy)]
struct World {
    points: usize,
    fences: usize,
    asks: u8,
    ticks: u8,
    restarts: u8,
    flaw: Option<Flaw>,
}

/// A rule that is broken, to see that this is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    /// The lease counts from the answer.
    FromAnswer,
    /// Any answer is taken, whatever was asked.
    AnyAnswer,
    /// The lease is taken without everything being applied.
    Unapplied,
    /// A node that was started anew believes that nobody holds a lease.
    Forgetful,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    now: u8,
    /// When each fence was durable: the first is change 1.
    fences: Vec<u8>,
    began: u8,
    restarts: u8,
    points: Vec<PointState>,
    net: BTreeSet<Message>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct PointState {
    // At the point.
    applied: Option<u8>,
    highest: Option<u8>,
    until: u8,
    asked: Option<(u8, u8)>,
    asks: u8,
    // At the node.
    heard: Option<u8>,
    acked: Option<(u8, u8)>,
    /// Fences of which somebody was told that this point is closed to them: acknowledged, lapsed.
    told: (u8, u8),
    /// It was closed, and open again with more.
    reopened: bool,
    lapsed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Message {
    Ask {
        point: usize,
        nonce: u8,
        applied: Option<u8>,
    },
    Answer {
        point: usize,
        nonce: u8,
        head: u8,
        /// Changes after this one; none: a snapshot.
        after: Option<u8>,
        upto: u8,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Tick,
    Fence,
    Restart,
    Ask(usize),
    /// It arrives; another copy may come later; the answer to it brings everything, or one change less.
    Arrives {
        message: Message,
        again: bool,
        whole: bool,
    },
}

fn at(tick: u8) -> Duration {
    Duration::from_secs(u64::from(tick))
}

fn place(seq: u8) -> Applied {
    Applied {
        epoch: 1,
        seq: u64::from(seq),
    }
}

impl PointState {
    fn open(&self, now: u8) -> bool {
        self.applied.is_some() && now < self.until
    }

    /// Whether it lets through what this fence kills.
    fn allows(&self, fence: u8, now: u8) -> bool {
        self.open(now) && self.applied < Some(fence)
    }
}

impl World {
    fn hears(&self, state: &mut State, message: Message, whole: bool) {
        let now = state.now;
        match message {
            Message::Ask {
                point,
                nonce,
                applied,
            } => {
                let head = u8::try_from(state.fences.len()).unwrap();
                let known = &mut state.points[point];
                known.heard = Some(now);
                match applied {
                    None => known.acked = None,
                    Some(seq) if known.acked.is_some_and(|(acked, _)| acked >= seq) => {}
                    Some(seq) => known.acked = Some((seq, now)),
                }
                let less = u8::from(!whole);
                let upto = head.saturating_sub(less).max(applied.unwrap_or(0));
                state.net.insert(Message::Answer {
                    point,
                    nonce,
                    head,
                    after: applied,
                    upto,
                });
            }
            Message::Answer {
                point,
                nonce,
                head,
                after,
                upto,
            } => {
                let own = &mut state.points[point];
                let Some((open, asked)) = own.asked else {
                    return;
                };
                if open != nonce && self.flaw != Some(Flaw::AnyAnswer) {
                    return;
                }
                own.asked = None;
                let content = match after {
                    Some(_) => Content::Changes,
                    None => Content::Snapshot {
                        upto: u64::from(upto),
                    },
                };
                let (has, highest) = (own.applied.map(place), own.highest.map(place));
                if judge(has, highest, place(head), content) != Judgement::Take {
                    own.applied = None;
                    return;
                }
                // A gap closes it; what it has already is skipped.
                own.applied = match (after, own.applied) {
                    (None, _) => Some(upto),
                    (Some(after), Some(has)) if after <= has => Some(has.max(upto)),
                    _ => None,
                };
                own.highest = own.highest.max(Some(head));
                let Some(applied) = own.applied else { return };
                if applied >= head || self.flaw == Some(Flaw::Unapplied) {
                    let from = match self.flaw {
                        Some(Flaw::FromAnswer) => now,
                        _ => asked,
                    };
                    let lease = u8::try_from(LEASE.as_secs()).unwrap();
                    own.reopened |= own.lapsed;
                    own.until = own.until.max(from + lease);
                }
            }
        }
    }

    /// Who waits for a fence is told what the node knows now.
    fn tell(&self, state: &mut State) {
        let now = at(state.now);
        for own in &mut state.points {
            own.lapsed |= own.applied.is_some() && state.now >= own.until;
            for (index, durable) in state.fences.iter().enumerate() {
                let seq = u8::try_from(index + 1).unwrap();
                let said = own.acked.filter(|(acked, _)| *acked >= seq);
                let heard = match (own.heard, self.flaw) {
                    (None, Some(Flaw::Forgetful)) => Duration::ZERO,
                    (heard, _) => at(heard.unwrap_or(state.began)),
                };
                match closes(said.map(|(_, tick)| at(tick)), heard, at(*durable), now) {
                    Ok((How::Acked, _)) => own.told.0 |= 1 << index,
                    Ok((How::Lapsed, _)) => own.told.1 |= 1 << index,
                    Err(_) => {}
                }
            }
        }
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            now: 0,
            fences: Vec::new(),
            began: 0,
            restarts: 0,
            points: vec![PointState::default(); self.points],
            net: BTreeSet::new(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.now < self.ticks {
            actions.push(Action::Tick);
        }
        if state.fences.len() < self.fences {
            actions.push(Action::Fence);
        }
        if state.restarts < self.restarts {
            actions.push(Action::Restart);
        }
        let asking = (0..self.points).filter(|point| state.points[*point].asks < self.asks);
        actions.extend(asking.map(Action::Ask));
        for message in &state.net {
            let question = matches!(message, Message::Ask { .. });
            for (again, whole) in [(false, true), (false, false), (true, true)] {
                // Only the answer to a question can be a part; what is answered once is not open any more.
                if question || (whole && (!again || self.flaw == Some(Flaw::AnyAnswer))) {
                    actions.push(Action::Arrives {
                        message: *message,
                        again,
                        whole,
                    });
                }
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => state.now += 1,
            Action::Fence => state.fences.push(state.now),
            Action::Restart => {
                state.restarts += 1;
                state.began = state.now;
                for known in &mut state.points {
                    (known.heard, known.acked) = (None, None);
                }
            }
            Action::Ask(point) => {
                let now = state.now;
                let own = &mut state.points[point];
                own.asks += 1;
                let nonce = own.asks;
                if self.flaw != Some(Flaw::AnyAnswer) {
                    // What answers another question is taken for nothing, whenever it comes.
                    state.net.retain(|message| match message {
                        Message::Answer { point: to, .. } => *to != point,
                        Message::Ask { .. } => true,
                    });
                }
                let own = &mut state.points[point];
                own.asked = Some((nonce, now));
                let message = Message::Ask {
                    point,
                    nonce,
                    applied: own.applied,
                };
                state.net.insert(message);
            }
            Action::Arrives {
                message,
                again,
                whole,
            } => {
                if !again {
                    state.net.remove(&message);
                }
                self.hears(&mut state, message, whole);
            }
        }
        self.tell(&mut state);
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(TOO_LATE, |_, state: &State| {
                let lease = u8::try_from(LEASE.as_secs()).unwrap();
                state.points.iter().all(|own| {
                    state.fences.iter().zip(1..).all(|(durable, seq)| {
                        !own.allows(seq, state.now) || state.now < durable + lease
                    })
                })
            }),
            Property::always(UNTRUE, |_, state: &State| {
                state.points.iter().all(|own| {
                    state.fences.iter().zip(1..).all(|(_, seq)| {
                        let told = (own.told.0 | own.told.1) & (1 << (seq - 1)) != 0;
                        !(told && own.allows(seq, state.now))
                    })
                })
            }),
            Property::sometimes(
                "a point says that it has applied a fence",
                |_, state: &State| state.points.iter().any(|own| own.told.0 != 0),
            ),
            Property::sometimes(
                "a point is closed by its lease alone",
                |_, state: &State| state.points.iter().any(|own| own.told.1 != 0),
            ),
            Property::sometimes(
                "a point opens again once it has caught up",
                |_, state: &State| {
                    state
                        .points
                        .iter()
                        .any(|own| own.reopened && own.open(state.now) && own.applied > Some(0))
                },
            ),
        ]
    }
}

/// A point that asks twice.
const TWICE: World = World {
    points: 1,
    fences: 1,
    asks: 2,
    ticks: 3,
    restarts: 0,
    flaw: None,
};

/// A point that asks once, and a node that is started anew.
const ANEW: World = World {
    asks: 1,
    ticks: 4,
    restarts: 1,
    ..TWICE
};

/// Two points.
const BOTH: World = World {
    points: 2,
    asks: 1,
    ..TWICE
};

const TOO_LATE: &str = "no call passes on a state older than the lease";
const UNTRUE: &str = "who was told that a point is closed was told the truth";

#[test]
fn no_course_of_feed_and_lease_lets_a_call_pass_too_late() {
    let checked = TWICE.checker().spawn_bfs().join();
    checked.assert_properties();
    assert!(checked.unique_state_count() > 10_000, "a smaller world");
    for world in [ANEW, BOTH] {
        let checked = world.checker().spawn_bfs().join();
        for name in [TOO_LATE, UNTRUE] {
            checked.assert_no_discovery(name);
        }
        assert!(checked.unique_state_count() > 1_000, "a smaller world");
    }
}

#[test]
fn a_broken_rule_is_found() {
    for (flaw, world, property) in [
        (Flaw::FromAnswer, TWICE, TOO_LATE),
        (Flaw::AnyAnswer, TWICE, TOO_LATE),
        (Flaw::Unapplied, TWICE, TOO_LATE),
        (Flaw::Forgetful, ANEW, UNTRUE),
    ] {
        let world = World {
            flaw: Some(flaw),
            ..world
        };
        let checked = world.checker().spawn_bfs().join();
        assert!(checked.discovery(property).is_some(), "{flaw:?}");
    }
}
