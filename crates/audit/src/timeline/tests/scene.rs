//! A log with one story on it: two agents, a held call, a lease, a refusal, a revocation. Ids and times are the same in every run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bailiwick_core::decision::{Outcome as Decided, Versions};
use bailiwick_core::event::{
    Action, AgentRef, ApprovalRef, ChangeRef, DecisionMode, DecisionRef, Event, EventType,
    Evidence, LeaseRef, Outcome, Parent, ParentRole, Sealed, SealedClass, Status, TaskRef,
};
use bailiwick_core::id::TaskId;
use bailiwick_core::risk::Risk;
use bailiwick_core::{Effect, Id, Timestamp};

use super::super::{
    Answer, Found, Lookup, SentLog, Timeline, Witnessed, Words, find, worth_revealing,
};
use crate::fixtures::{Bench, JumpingClock, ORIGIN, kek, keys};
use crate::log::Log;
use crate::read::Directory;
use crate::record::{Class, Recorder};

/// 2026-11-23T09:14:02Z in milliseconds.
const START: i64 = 1_795_425_242_000;

pub(super) struct Scene {
    bench: Bench,
    clock: Arc<JumpingClock>,
    log: Option<Log>,
    ids: AtomicU64,
}

impl Scene {
    /// Plays it, published to the end.
    pub(super) async fn play() -> Self {
        let clock = Arc::new(JumpingClock::frozen(START * 1_000));
        let bench = Bench {
            clock: clock.clone(),
            ..Bench::new()
        };
        let log = Some(bench.open());
        let mut scene = Self {
            bench,
            clock,
            log,
            ids: AtomicU64::new(100),
        };
        scene.script().await;
        // Closing publishes.
        scene.log = None;
        scene
    }

    pub(super) fn directory(&self) -> Directory {
        Directory::new(self.bench.dir.path().to_path_buf())
    }

    /// The story, with what a reader sees who may open values.
    pub(super) fn timeline(&self) -> Timeline {
        let directory = self.directory();
        let found = find(&directory, root()).unwrap();
        let mut timeline = assembled(&directory, found);
        timeline.logs[0].witnessed = Some(Witnessed {
            have: 2,
            of: 2,
            enough: true,
            at: Some(Timestamp::from_micros((START + 456_000) * 1_000)),
        });
        timeline
    }

    pub(super) fn words(&self) -> Words {
        let directory = self.directory();
        let timeline = self.timeline();
        let mut words = Words::default();
        for id in worth_revealing(&timeline) {
            let placed = timeline.events.iter().find(|it| it.id() == id).unwrap();
            let values = directory.reveal(placed.index, &[kek()]).unwrap();
            let values = values.into_iter().map(|value| {
                let text = String::from_utf8_lossy(value.value.expose()).into_owned();
                (value.path, text)
            });
            words.revealed.insert(id, values.collect());
        }
        words.people.insert(USER.into(), "alice".into());
        words.people.insert(ACCOUNT.into(), "bob".into());
        words
    }

    fn event(&self, kind: EventType) -> Event {
        let id = self.ids.fetch_add(1, Ordering::SeqCst);
        Event::new(Id::from_bits(u128::from(id)), kind)
    }

    async fn say(&self, ms: i64, event: Event) {
        self.clock.set((START + ms) * 1_000);
        let log = self.log.as_ref().unwrap();
        log.record(event, Class::Narrow).await.unwrap();
    }

    fn of(&self, kind: EventType, who: Who) -> Event {
        Event {
            agent: Some(AgentRef {
                id: who.agent.parse().unwrap(),
                instance: Some(Id::from_bits(who.task + 500)),
                code_digest: None,
            }),
            owner: Some("team-dev".parse().unwrap()),
            user: Some(USER.into()),
            task: Some(TaskRef {
                id: Id::from_bits(who.task),
                root: Id::from_bits(1),
                parent: (who.task != 1).then_some(Id::from_bits(1)),
                version: who.version,
                stage: "run".parse().unwrap(),
                risk: who.risk,
                labels: serde_json::from_str(who.labels).unwrap(),
            }),
            ..self.event(kind)
        }
    }

    fn call(&self, kind: EventType, who: Who, call: &Call) -> Event {
        let policies: Vec<String> = vec![call.policy.into()];
        Event {
            action: Some(Action {
                effect: Some(call.effect),
                server: Some("github".parse().unwrap()),
                tool: Some(call.tool.parse().unwrap()),
                ..Action::named("tools/call")
            }),
            decision: Some(DecisionRef {
                effect: call.decided,
                policies: policies.clone(),
                reasons: policies,
                obligations: Vec::new(),
                versions: Versions {
                    bundle: None,
                    task: 1,
                    fence_seq: 0,
                    replica_seq: 0,
                },
                us: 80,
                would_be: None,
                mode: DecisionMode::Enforce,
                shadow: None,
            }),
            sealed: vec![kept("/args", call.args)],
            ..self.of(kind, who)
        }
    }

    fn result(&self, intent: &Event, status: Status, us: u64, bytes: u64) -> Event {
        let id = self.event(EventType::ToolResult).id;
        Event {
            id,
            kind: EventType::ToolResult,
            cause: Some(intent.id),
            parents: vec![Parent {
                role: ParentRole::Intent,
                id: intent.id,
            }],
            outcome: Some(outcome(
                status,
                (status == Status::Cut).then_some("revoked"),
                us,
                bytes,
            )),
            sealed: Vec::new(),
            ..intent.clone()
        }
    }

    fn lease(&self, kind: EventType, who: Who, why: Option<&str>) -> Event {
        Event {
            lease: Some(LeaseRef {
                id: Id::from_bits(77),
                credential: "github-token".parse().unwrap(),
                remote: "confirmed".into(),
            }),
            outcome: why.map(|why| outcome(Status::Ok, Some(why), 0, 0)),
            ..self.of(kind, who)
        }
    }

    fn approval(&self, kind: EventType, who: Who, state: &str, call: &Call) -> Event {
        Event {
            approval: Some(ApprovalRef {
                id: Id::from_bits(88),
                approvers: Vec::new(),
            }),
            change: Some(change("approval", "88", state)),
            actor: Some("system".into()),
            decision: None,
            sealed: vec![kept("/call_digest", "sha256:5a17")],
            ..self.call(kind, who, call)
        }
    }

    #[expect(clippy::too_many_lines, reason = "it is read from top to bottom")]
    async fn script(&self) {
        let bot = Who {
            agent: "triage-bot",
            task: 1,
            version: 1,
            risk: Risk::Low,
            labels: "[]",
        };
        let tainted = Who {
            version: 2,
            labels: r#"["untrusted"]"#,
            ..bot
        };
        let patcher = Who {
            agent: "patcher",
            task: 2,
            labels: r#"["untrusted"]"#,
            ..bot
        };
        let mut opened = self.of(EventType::TaskOpened, bot);
        opened.actor = Some("uid:1000".into());
        opened.change = Some(change(
            "task",
            "1",
            &format!("{SCOPE} until 2026-11-23T09:44:02Z"),
        ));
        opened.sealed = vec![kept("/request", "Fix issue 12")];
        self.say(0, opened).await;
        let mut attested = self.event(EventType::InstanceAttested);
        attested.agent = self.of(EventType::TaskOpened, bot).agent;
        self.say(310, attested).await;
        self.say(420, self.lease(EventType::LeaseIntent, bot, None))
            .await;
        self.say(433, self.lease(EventType::LeaseActive, bot, None))
            .await;

        let search = Call {
            tool: "search_issues",
            effect: Effect::Read,
            decided: Decided::Allow,
            policy: "p-read",
            args: r#"{"repo":"acme/web","number":12}"#,
        };
        let intent = self.call(EventType::ToolIntent, bot, &search);
        self.say(1_204, intent.clone()).await;
        self.say(1_416, self.result(&intent, Status::Ok, 212_000, 18_210))
            .await;

        let mut delegated = self.of(EventType::TaskOpened, patcher);
        delegated.actor = Some("uid:1000".into());
        delegated.change = Some(change(
            "task",
            "2",
            &format!("{SCOPE} until 2026-11-23T09:24:09Z"),
        ));
        delegated.sealed = vec![kept(
            "/request",
            "push the \u{202e}hcnarb\u{202c} fix\u{1b}[31m\nnow",
        )];
        self.say(7_334, delegated).await;

        let push = Call {
            tool: "push_files",
            effect: Effect::Write,
            decided: Decided::StepUp,
            policy: "untrusted-write",
            args: r#"{"branch":"main","files":["src/app.ts"],"message":"Fix the redirect loop of issue 12 (closes #12)"}"#,
        };
        let held = self.call(EventType::ToolHeld, patcher, &push);
        let mut asked = self.approval(EventType::ApprovalRequested, patcher, "pending", &push);
        asked.parents = vec![Parent {
            role: ParentRole::Trigger,
            id: held.id,
        }];
        self.say(9_020, held).await;
        self.say(9_031, asked).await;
        let mut answered = self.approval(EventType::ApprovalAnswered, patcher, "approved", &push);
        answered.actor = Some(ACCOUNT.into());
        answered.sealed.push(kept("/reason", "as agreed"));
        self.say(41_662, answered).await;
        let mut used = self.approval(EventType::ApprovalConsumed, patcher, "consumed", &push);
        used.parents = Vec::new();
        self.say(41_780, used).await;
        let pushed = Call {
            decided: Decided::Allow,
            ..push
        };
        let mut intent = self.call(EventType::ToolIntent, patcher, &pushed);
        intent.approval = Some(ApprovalRef {
            id: Id::from_bits(88),
            approvers: Vec::new(),
        });
        self.say(41_790, intent.clone()).await;
        self.say(42_594, self.result(&intent, Status::Ok, 804_000, 512))
            .await;

        let delete = Call {
            tool: "delete_repo",
            effect: Effect::Escalate,
            decided: Decided::Deny,
            policy: "no-deletes",
            args: r#"{"repo":"acme/web"}"#,
        };
        let mut refused = self.call(EventType::ToolRefused, tainted, &delete);
        refused.outcome = Some(outcome(Status::Refused, Some("forbidden"), 0, 0));
        self.say(52_004, refused).await;

        let clone = Call {
            tool: "clone_all",
            ..search
        };
        let intent = self.call(EventType::ToolIntent, tainted, &clone);
        self.say(130_000, intent.clone()).await;
        let mut fence = self.event(EventType::FenceSet);
        fence.actor = Some("uid:0".into());
        fence.change = Some(change(
            "fence",
            "fence_9",
            &format!("task/{}", TaskId::from_bits(1)),
        ));
        fence.sealed = vec![kept("/reason", "INC-4")];
        let cause = Some(fence.id);
        self.say(131_100, self.result(&intent, Status::Cut, 1_100_000, 0))
            .await;
        self.say(131_200, fence).await;
        for (who, state) in [(patcher, "revoked"), (tainted, "revoked")] {
            let mut ended = self.of(EventType::TaskEnded, who);
            ended.actor = Some("uid:0".into());
            ended.cause = cause;
            ended.change = Some(change("task", "it", state));
            self.say(131_210, ended).await;
        }
        self.say(
            131_230,
            self.lease(EventType::LeaseRevoking, tainted, Some("revoked")),
        )
        .await;
        self.say(
            131_400,
            self.lease(EventType::LeaseDead, tainted, Some("revoked")),
        )
        .await;
        let mut reached = self.event(EventType::FenceReached);
        reached.actor = Some("uid:0".into());
        reached.cause = cause;
        reached.change = Some(change(
            "revocation",
            "rev_1",
            "tasks=2 approvals=0 instances=0 leases=1 streams=1",
        ));
        self.say(131_402, reached).await;
    }
}

/// The task that it is about.
pub(super) fn root() -> TaskId {
    Id::from_bits(1)
}

/// When it is told.
pub(super) fn now() -> Timestamp {
    Timestamp::from_micros((START + 460_000) * 1_000)
}

#[derive(Clone, Copy)]
struct Who {
    agent: &'static str,
    task: u128,
    version: u64,
    risk: Risk,
    labels: &'static str,
}

#[derive(Clone, Copy)]
struct Call {
    tool: &'static str,
    effect: Effect,
    decided: Decided,
    policy: &'static str,
    args: &'static str,
}

const USER: &str = "usr_01h455vb4pex5vsknk084sn02q";
const ACCOUNT: &str = "acct_01h455vb4pex5vsknk084sn02r";
const SCOPE: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

fn kept(path: &'static str, value: &str) -> Sealed {
    Sealed {
        path,
        class: SealedClass::Content,
        value: value.as_bytes().to_vec(),
        keep: true,
    }
}

fn change(kind: &str, id: &str, after: &str) -> ChangeRef {
    ChangeRef {
        kind: kind.into(),
        id: id.into(),
        before: None,
        after: Some(after.into()),
    }
}

fn outcome(status: Status, code: Option<&str>, us: u64, bytes: u64) -> Outcome {
    Outcome {
        status,
        code: code.map(str::to_owned),
        us,
        bytes,
        evidence: Evidence::Observed,
    }
}

pub(super) fn assembled(directory: &Directory, found: Found) -> Timeline {
    answer(directory, found).assemble(Some(&keys())).unwrap()
}

pub(super) fn answer(directory: &Directory, found: Found) -> Answer {
    let log = SentLog {
        origin: ORIGIN.into(),
        size: found.looked,
        looked: found.looked,
        lookup: Lookup::Scan,
        vkey: None,
        checkpoint: None,
        witnessed: None,
    };
    Answer::of(directory, found, log).unwrap()
}
