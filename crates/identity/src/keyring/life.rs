//! A key's life: prepared, active, old, gone; or tainted. What is due for a class at a moment, without clock, store or key material.
//!
//! A key is published before it signs, so that who fetches keys now and then knows it by then; and after, for as long as what it signed
//! can live. What signs is one key of a class at any time.

use std::time::Duration;

use bailiwick_core::Timestamp;
use bailiwick_store::{KeyClass, KeyRow, KeyState};

/// The classes that are kept here, in the order in which they are listed.
pub const CLASSES: [KeyClass; 5] = [
    KeyClass::X509,
    KeyClass::JwtSvid,
    KeyClass::Task,
    KeyClass::Receipt,
    KeyClass::Head,
];

/// Life of every signing key but those of receipts and of heads.
pub const KEY_LIFE: Duration = Duration::from_hours(7 * 24);
/// Life of a key that signs receipts.
pub const RECEIPT_KEY_LIFE: Duration = Duration::from_hours(90 * 24);
/// How long keys are published before they sign whose readers look seldom: CAs in the bundle, and keys of heads, which points learn from
/// heads alone.
pub const LONG_PREPARED: Duration = Duration::from_hours(24);
/// How long other keys are published before they sign: twice as long as anybody may keep their document.
pub const PREPARED: Duration = Duration::from_mins(10);
/// Longest life of an X.509-SVID (`identity.x509_ttl`), and what clocks may differ by.
const SVIDS_LIVE: Duration = Duration::from_mins(24 * 60 + 5);
/// Longest life of a JWT-SVID (`identity.jwt_ttl`) and of a task token (`oauth.task_ttl`), and what clocks may differ by.
const TOKENS_LIVE: Duration = Duration::from_mins(65);
/// A key without an end.
const FOREVER: Timestamp = Timestamp::from_secs(253_402_207_200);

/// When a key ends that is made now.
pub(super) fn end(class: KeyClass, now: Timestamp) -> Timestamp {
    life(class).map_or(FOREVER, |life| now.plus(life))
}

/// How long a key of this class is published before it signs.
pub const fn prepared_for(class: KeyClass) -> Duration {
    match class {
        KeyClass::X509 | KeyClass::Head => LONG_PREPARED,
        _ => PREPARED,
    }
}

/// Heads are signed with one key until an operator says otherwise: a point that was away while keys change has to be added anew.
const fn life(class: KeyClass) -> Option<Duration> {
    match class {
        KeyClass::Head => None,
        KeyClass::Receipt => Some(RECEIPT_KEY_LIFE),
        _ => Some(KEY_LIFE),
    }
}

/// How long what a key signed can live when it signs no more; none: for ever.
const fn outlived_by(class: KeyClass) -> Option<Duration> {
    match class {
        KeyClass::X509 => Some(SVIDS_LIVE),
        KeyClass::JwtSvid | KeyClass::Task => Some(TOKENS_LIVE),
        // A head counts for the one question that it answers.
        KeyClass::Head => Some(Duration::ZERO),
        _ => None,
    }
}

/// What is due for a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing.
    Nothing,
    /// Publish one that does not sign yet.
    Prepare,
    /// This one signs from now on.
    Activate(String),
    /// There is none that could sign: a new one does at once.
    Make,
}

/// What is due for a class.
pub(super) fn due(ring: &Ring, now: Timestamp) -> Due {
    let class = ring.class;
    let prepared = ring.in_state(KeyState::Prepared);
    let active = ring.in_state(KeyState::Active);
    let early = prepared_for(class);
    // A clock that was set back, or a node that was away for long: there is no time left to prepare one.
    let lasts = active.is_some_and(|row| row.created_at <= now && now.plus(early) < row.not_after);
    match (active, prepared) {
        (_, Some(next)) if !lasts || now >= next.created_at.plus(early) => {
            Due::Activate(next.kid.clone())
        }
        (_, None) if !lasts => Due::Make,
        (Some(active), None) => match life(class) {
            Some(life) if now.plus(early) >= active.created_at.plus(life / 2) => Due::Prepare,
            _ => Due::Nothing,
        },
        _ => Due::Nothing,
    }
}

/// A key's new state; none: it is gone.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) row: KeyRow,
    pub(super) before: Option<KeyState>,
    pub(super) after: Option<KeyState>,
}

/// The keys of one class, and what has become of them.
pub(crate) struct Ring {
    class: KeyClass,
    rows: Vec<KeyRow>,
    steps: Vec<Step>,
}

impl Ring {
    pub(super) fn new(class: KeyClass, rows: Vec<KeyRow>) -> Self {
        Self {
            class,
            rows,
            steps: Vec::new(),
        }
    }

    pub(super) fn class(&self) -> KeyClass {
        self.class
    }

    pub(super) fn find(&self, kid: &str) -> Option<&KeyRow> {
        self.rows.iter().find(|row| row.kid == kid)
    }

    /// The keys that others accept, newest first.
    pub(super) fn published(&self, now: Timestamp) -> impl Iterator<Item = &KeyRow> {
        let (class, rows) = (self.class, self.rows.iter());
        rows.filter(move |row| match row.state {
            KeyState::Tainted => false,
            KeyState::Old => outlived_by(class).is_none() || row.not_after > now,
            KeyState::Prepared | KeyState::Active => true,
        })
    }

    pub(super) fn in_state(&self, state: KeyState) -> Option<&KeyRow> {
        self.rows.iter().find(|row| row.state == state)
    }

    /// The first time that this class has a key is no change.
    pub(super) fn into_steps(self) -> Vec<Step> {
        self.steps
    }

    /// A key that was made just now.
    pub(super) fn add(&mut self, row: KeyRow, now: Timestamp) {
        let after = row.state;
        if after == KeyState::Active {
            self.retire(now);
        }
        self.rows.insert(0, row.clone());
        self.steps.push(Step {
            row,
            before: None,
            after: Some(after),
        });
    }

    /// This key signs from now on, and no other.
    pub(super) fn activate(&mut self, kid: &str, now: Timestamp) {
        self.retire(now);
        self.change(|row| row.kid == kid, |row| row.state = KeyState::Active);
    }

    /// Nothing that this key signed is accepted any more, from now on.
    pub(super) fn taint(&mut self, kid: &str) {
        self.change(
            |row| row.kid == kid,
            |row| {
                row.state = KeyState::Tainted;
                row.sealed_private.clear();
            },
        );
    }

    /// What nobody can need any more goes.
    pub(super) fn expire(&mut self, now: Timestamp) {
        if outlived_by(self.class).is_none() {
            return;
        }
        let (gone, kept) = std::mem::take(&mut self.rows)
            .into_iter()
            .partition(|row| row.state == KeyState::Old && row.not_after <= now);
        self.rows = kept;
        let gone: Vec<KeyRow> = gone;
        self.steps.extend(gone.into_iter().map(|row| Step {
            before: Some(row.state),
            after: None,
            row,
        }));
    }

    /// What signs now signs no more; its private part is not needed again.
    fn retire(&mut self, now: Timestamp) {
        let ends = outlived_by(self.class).map(|left| now.plus(left));
        self.change(
            |row| row.state == KeyState::Active,
            |row| {
                row.state = KeyState::Old;
                row.sealed_private.clear();
                row.not_after = ends.map_or(row.not_after, |ends| row.not_after.min(ends));
            },
        );
    }

    fn change(&mut self, which: impl Fn(&KeyRow) -> bool, how: impl Fn(&mut KeyRow)) {
        for row in self.rows.iter_mut().filter(|row| which(row)) {
            let before = row.state;
            how(row);
            self.steps.push(Step {
                row: row.clone(),
                before: Some(before),
                after: Some(row.state),
            });
        }
    }
}
