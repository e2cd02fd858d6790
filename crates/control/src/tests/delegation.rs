//! Delegation by an agent itself: never wider, never longer, never in a circle, and dead with the token it was made with.

use bailiwick_core::event::EventType;
use bailiwick_core::fence::Subject;
use bailiwick_core::id::{InstanceId, TokenId};
use bailiwick_core::instance::{Instance, InstanceState};
use bailiwick_core::scope::{Draft, Narrowing, Wish, from_oauth};
use bailiwick_core::task::{Task, TaskState};
use bailiwick_core::{Code, Problem, Timestamp};
use bailiwick_policy::BundleSource;

use super::bench_node::{Bench, admin, new_agent, open};
use crate::Actor;
use crate::delegation::{Delegated, Delegation, Delegator, MAX_OPEN_CHILDREN};
use crate::revocation::Wait;
use crate::tasks::OpenTask;

pub(super) const READ: &str =
    r#"{"grants":[{"server":["files"],"tool":["read_file"],"effects":["read"]}]}"#;

pub(super) fn draft(json: &str) -> Draft {
    serde_json::from_str(json).unwrap()
}

fn key(letter: &str) -> Subject {
    Subject::Key(letter.repeat(43))
}

fn token(number: u128) -> Subject {
    Subject::Token(TokenId::from_bits(number))
}

impl Bench {
    /// A live process of an agent.
    pub(super) async fn process(&self, agent: &str, number: u128) -> InstanceId {
        let instance = Instance {
            id: InstanceId::from_bits(number),
            agent: agent.parse().unwrap(),
            selectors: Vec::new(),
            place: bailiwick_core::instance::Place::Process {
                pid: u32::try_from(number).unwrap(),
                pid_start: 7,
            },
            state: InstanceState::Live,
            born_seq: 1,
            attested_at: Timestamp::from_secs(1_800_000_000),
            client: None,
        };
        let row = instance.clone();
        self.store
            .write(move |tx| tx.put_instance(&row))
            .await
            .unwrap();
        instance.id
    }

    /// A root task that a process took, and the process as one that may delegate it.
    async fn held(&self, number: u128, deeper: u8) -> (Task, Delegator) {
        let task = OpenTask {
            scope: Some(draft(&format!(
                r#"{{"grants":[{{"server":["files"],"tool":["*"],"effects":["read","write"]}}],"depth":{deeper}}}"#
            ))),
            ..open("coder")
        };
        let task = self.control.open_task(&admin(), task).await.unwrap();
        let instance = self.process("coder", number).await;
        let by = self.holds(&task, instance, number).await;
        (task, by)
    }

    /// Binds a task to a process, as its first token does; what the process can delegate with.
    async fn holds(&self, task: &Task, instance: InstanceId, number: u128) -> Delegator {
        let id = task.id;
        let bound = self.store.write(move |tx| {
            let mut task = tx.task(id)?.unwrap();
            if task.instance.is_none() {
                task.instance = Some(instance);
                task.version += 1;
                tx.put_task(&task)?;
            }
            Ok::<_, bailiwick_store::StoreError>(task)
        });
        let task = bound.await.unwrap();
        let text = format!("spiffe://example.org/agent/{}/{instance}", task.agent);
        Delegator {
            id: text.parse().unwrap(),
            instance,
            task: task.id,
            scope_digest: task.scope_digest,
            grants: None,
            lineage: vec![token(number), key("k")],
            epoch: 1,
        }
    }

    async fn hand_on(&self, by: &Delegator, ask: Delegation) -> Result<Delegated, Problem> {
        self.control.delegate(by.clone(), ask).await
    }

    async fn publish(&self, more: &str, workflow: &str) {
        let policy = r#"@id("r") @reason("reading is fine") permit (principal, action == Bailiwick::Action::"files/read_file", resource);"#;
        let policy = format!("{policy}\n{more}");
        let files = [
            ("bundle.toml", "name = \"site\"\n"),
            ("main.cedar", policy.as_str()),
            ("workflows/change.toml", workflow),
        ];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let source = BundleSource::from_dir(files).unwrap();
        let published = self.control.publish_policy(&admin(), source, None).await;
        assert!(published.is_ok(), "the bundle is refused");
    }

    async fn state(&self, task: &Task) -> TaskState {
        let task = self.control.task(&admin(), task.id).await;
        task.unwrap().state
    }
}

fn to(agent: &str) -> Delegation {
    Delegation {
        to: agent.parse().unwrap(),
        instance: None,
        request: "read the tests".into(),
        wish: Wish::Whole,
        workflow: None,
        server: None,
    }
}

fn exactly(agent: &str, json: &str) -> Delegation {
    Delegation {
        wish: Wish::Exact(draft(json)),
        ..to(agent)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_delegates_by_itself() {
    let bench = Bench::new().await;
    bench.agent("helper").await;
    let (parent, by) = bench.held(1, 2).await;
    let delegated = bench.hand_on(&by, exactly("helper", READ)).await.unwrap();
    let child = &delegated.task;
    assert_eq!((child.parent, child.root()), (Some(parent.id), parent.id));
    assert_eq!(
        (&child.user, &child.user_pseudonym),
        (&parent.user, &parent.user_pseudonym)
    );
    assert_eq!((child.scope.depth(), child.instance), (1, None));
    assert!(child.scope.within(&parent.scope).is_ok());
    assert!(child.expires_at <= parent.expires_at);
    assert_eq!(child.lineage, by.lineage);
    assert_eq!(delegated.narrowed_by, []);

    let leaves = bench.leaves().await;
    let granted = leaves
        .iter()
        .find(|leaf| leaf.event.kind == EventType::DelegationGranted)
        .unwrap();
    assert_eq!(granted.event.actor.as_deref(), Some(by.id.as_str()));
    assert_eq!(granted.event.chain.len(), 2);
    let change = granted.event.change.as_ref().unwrap();
    assert_eq!(change.id, child.id.to_string());
    assert_eq!(change.before.as_deref(), Some(&*parent.id.to_string()));
    let opened = leaves
        .iter()
        .filter(|leaf| leaf.event.kind == EventType::TaskOpened);
    assert_eq!(opened.count(), 2);
    let text = serde_json::to_string(&leaves).unwrap();
    assert!(!text.contains("read the tests"), "words are sealed");
    let actor = Actor::agent(&by.id);
    assert!(
        bench
            .control
            .open_task(&actor, open("helper"))
            .await
            .is_err(),
        "an agent has no role"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn words_reach_what_there_is_and_grants_fit_or_are_refused() {
    let bench = Bench::new().await;
    bench.agent("helper").await;
    let (_, mut by) = bench.held(1, 2).await;
    by.grants = Some(draft(READ).grants);
    let words = Delegation {
        wish: Wish::Words(from_oauth("files:read").unwrap()),
        ..to("helper")
    };
    let delegated = bench.hand_on(&by, words).await.unwrap();
    assert_eq!(delegated.narrowed_by, [Narrowing::Task]);
    assert_eq!(delegated.task.scope.grants(), draft(READ).grants);
    let nothing = Delegation {
        wish: Wish::Words(from_oauth("files:write").unwrap()),
        ..to("helper")
    };
    let refused = bench.hand_on(&by, nothing).await.unwrap_err();
    assert_eq!(refused.code, Code::ScopeEmpty);
    // The task could; the token that was shown is good for less.
    let write = READ.replace("[\"read\"]", "[\"read\",\"write\"]");
    let refused = bench
        .hand_on(&by, exactly("helper", &write))
        .await
        .unwrap_err();
    assert_eq!(refused.code, Code::DelegationWidening, "{refused}");
    assert!(refused.help.contains("read"), "{refused:?}");
    let elsewhere = Delegation {
        server: Some("mail".parse().unwrap()),
        ..exactly("helper", READ)
    };
    let refused = bench.hand_on(&by, elsewhere).await.unwrap_err();
    assert_eq!(refused.code, Code::ResourceUnknown);
    assert_eq!(bench.recorded(EventType::DelegationGranted).await, 1);
}

/// Depth, loops and deadlines: refused whole, never cut short.
#[tokio::test(flavor = "multi_thread")]
async fn trap_09_chain_is_refused_whole() {
    let bench = Bench::new().await;
    let deep = crate::agents::NewAgent {
        ceiling: draft(
            r#"{"grants":[{"server":["*"],"tool":["*"],"effects":["read","write"]}],"depth":8}"#,
        ),
        ..new_agent("planner")
    };
    bench.control.register(&admin(), deep).await.unwrap();
    let root = OpenTask {
        scope: Some(draft(
            r#"{"grants":[{"server":["files"],"tool":["*"],"effects":["read"]}],"depth":8}"#,
        )),
        ..open("planner")
    };
    let mut task = bench.control.open_task(&admin(), root).await.unwrap();
    let mut holders = Vec::new();
    for number in 1..=4 {
        let process = bench.process("planner", number).await;
        let by = bench.holds(&task, process, number).await;
        // Its own process, or one further up, cannot be below itself.
        for known in holders.iter().copied().chain([process]) {
            let circle = Delegation {
                instance: Some(known),
                ..to("planner")
            };
            let refused = bench.hand_on(&by, circle).await.unwrap_err();
            assert_eq!(refused.code, Code::DelegationLoop, "{number}");
        }
        holders.push(process);
        let deeper =
            r#"{"grants":[{"server":["files"],"tool":["*"],"effects":["read"]}],"depth":8}"#;
        let refused = bench.hand_on(&by, exactly("planner", deeper)).await;
        assert_eq!(refused.unwrap_err().code, Code::DelegationDepth);
        let late = r#"{"grants":[{"server":["files"],"tool":["*"],"effects":["read"]}],"deadline":"2999-01-01T00:00:00Z"}"#;
        let bounded = OpenTask {
            scope: Some(draft(
                r#"{"grants":[{"server":["files"],"tool":["*"],"effects":["read"]}],"deadline":"2027-01-16T00:00:00Z","depth":2}"#,
            )),
            ..open("planner")
        };
        let refused = bench.hand_on(&by, exactly("planner", late)).await;
        assert_eq!(refused.unwrap_err().code, Code::DelegationWidening);
        if number == 1 {
            let short = bench.control.open_task(&admin(), bounded).await.unwrap();
            let by = bench.holds(&short, process, 77).await;
            let refused = bench.hand_on(&by, exactly("planner", late)).await;
            assert_eq!(refused.unwrap_err().code, Code::DelegationWidening);
        }
        task = bench.hand_on(&by, to("planner")).await.unwrap().task;
    }
    // Four delegations stand; the scope would let a fifth through, this node does not.
    assert_eq!((task.depth(), task.scope.depth()), (4, 4));
    let process = bench.process("planner", 5).await;
    let by = bench.holds(&task, process, 5).await;
    let refused = bench.hand_on(&by, to("planner")).await.unwrap_err();
    assert_eq!(refused.code, Code::DelegationDepth);
    assert!(refused.help.contains("max_depth"), "{refused:?}");
    assert_eq!(bench.recorded(EventType::DelegationGranted).await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_live_holder_of_an_open_task_delegates() {
    let bench = Bench::new().await;
    bench.agent("helper").await;
    let (_, by) = bench.held(1, 2).await;
    let other = bench.process("coder", 2).await;
    let refused = |problem: Result<Delegated, Problem>| problem.unwrap_err().code;
    let not_its_own = Delegator {
        instance: other,
        ..by.clone()
    };
    assert_eq!(
        refused(bench.hand_on(&not_its_own, to("helper")).await),
        Code::TokenInvalid
    );
    let restored = Delegator {
        epoch: 0,
        ..by.clone()
    };
    assert_eq!(
        refused(bench.hand_on(&restored, to("helper")).await),
        Code::EpochOld
    );
    let stranger = Delegation {
        instance: Some(other),
        ..to("helper")
    };
    assert_eq!(
        refused(bench.hand_on(&by, stranger).await),
        Code::NoIdentity,
        "a process of another agent"
    );
    let nobody = bench.hand_on(&by, to("nobody")).await;
    assert_eq!(refused(nobody), Code::NotFound);
    let silent = Delegation {
        request: " ".into(),
        ..to("helper")
    };
    assert_eq!(
        refused(bench.hand_on(&by, silent).await),
        Code::InvalidInput
    );
    let gone = by.instance;
    bench
        .store
        .write(move |tx| {
            let mut row = tx.instance(gone)?.unwrap();
            row.state = InstanceState::Ended;
            tx.put_instance(&row)
        })
        .await
        .unwrap();
    assert_eq!(
        refused(bench.hand_on(&by, to("helper")).await),
        Code::NoIdentity
    );
    let (task, by) = bench.held(3, 2).await;
    bench
        .control
        .end_task(&admin(), task.id, TaskState::Completed)
        .await
        .unwrap();
    assert_eq!(
        refused(bench.hand_on(&by, to("helper")).await),
        Code::TaskEnded
    );
    assert_eq!(bench.recorded(EventType::DelegationGranted).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delegated_dies_with_its_token_and_with_its_key() {
    for (number, subject) in [(1, token(1)), (2, key("k")), (3, token(90))] {
        let bench = Bench::new().await;
        bench.agent("helper").await;
        let (parent, mut by) = bench.held(number, 2).await;
        // Exchanged from another before.
        by.lineage.insert(1, token(90));
        let child = bench.hand_on(&by, to("helper")).await.unwrap().task;
        let process = bench.process("helper", 50).await;
        let mut below = bench.holds(&child, process, 51).await;
        below.lineage = vec![token(51), key("j")];
        let grandchild = OpenTask {
            parent: Some(child.id),
            ..open("helper")
        };
        let grandchild = bench.control.open_task(&admin(), grandchild).await.unwrap();
        let dry = bench
            .control
            .revocation_preview(&admin(), vec![subject.clone()])
            .await
            .unwrap();
        assert_eq!(dry.cut.tasks, 2, "{subject}");
        let holder = by.id.clone();
        match &subject {
            Subject::Token(id) => bench.control.surrender(&holder, *id).await.unwrap(),
            _ => drop(
                bench
                    .control
                    .revoke(&admin(), vec![subject.clone()], "INC-4".into(), Wait::All)
                    .await
                    .unwrap(),
            ),
        }
        assert_eq!(bench.state(&parent).await, TaskState::Open, "{subject}");
        for task in [&child, &grandchild] {
            assert_eq!(bench.state(task).await, TaskState::Revoked, "{subject}");
        }
        let again = bench.hand_on(&by, to("helper")).await.unwrap_err();
        assert_eq!(again.code, Code::Revoked, "{subject}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_given_back_once() {
    let bench = Bench::new().await;
    let (_, by) = bench.held(1, 2).await;
    for _ in 0..2 {
        let given = bench.control.surrender(&by.id, TokenId::from_bits(1)).await;
        given.unwrap();
    }
    assert_eq!(bench.recorded(EventType::FenceSet).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_again_is_no_second_task_and_there_is_a_bound() {
    let bench = Bench::new().await;
    bench.agent("helper").await;
    let (_, by) = bench.held(1, 2).await;
    let process = bench.process("helper", 2).await;
    let ask = || Delegation {
        instance: Some(process),
        ..exactly("helper", READ)
    };
    let first = bench.hand_on(&by, ask()).await.unwrap().task;
    let second = bench.hand_on(&by, ask()).await.unwrap().task;
    assert_eq!(first.id, second.id);
    let other_words = Delegation {
        request: "and the other".into(),
        ..ask()
    };
    let third = bench.hand_on(&by, other_words).await.unwrap().task;
    assert_ne!(first.id, third.id);
    // For whichever process comes first there is one task for each time it is asked for.
    for _ in 2..MAX_OPEN_CHILDREN {
        bench.hand_on(&by, exactly("helper", READ)).await.unwrap();
    }
    let refused = bench.hand_on(&by, exactly("helper", READ)).await;
    assert_eq!(refused.unwrap_err().code, Code::Overloaded);
    bench
        .control
        .end_task(&admin(), third.id, TaskState::Completed)
        .await
        .unwrap();
    bench.hand_on(&by, exactly("helper", READ)).await.unwrap();
    let many = u64::try_from(MAX_OPEN_CHILDREN).unwrap() + 1;
    let granted = bench.recorded(EventType::DelegationGranted).await;
    assert_eq!(u64::try_from(granted).unwrap(), many);
}

/// A sub-agent in a workflow without bounds must not be a way around those of its parent's stage.
#[tokio::test(flavor = "multi_thread")]
async fn a_stages_cap_holds_for_what_is_handed_on() {
    let bench = Bench::new().await;
    bench.agent("helper").await;
    bench
        .publish(
            "",
            "name = \"change\"\n[[stage]]\nname = \"plan\"\n[[stage.cap.grant]]\nserver = [\"*\"]\ntool = [\"*\"]\neffects = [\"read\"]\n\
             [[stage]]\nname = \"execute\"\n[[transition]]\nfrom = \"plan\"\nto = \"execute\"\nwho = [\"operator\"]\n",
        )
        .await;
    let task = OpenTask {
        workflow: Some("change".parse().unwrap()),
        ..open("coder")
    };
    let task = bench.control.open_task(&admin(), task).await.unwrap();
    let process = bench.process("coder", 1).await;
    let by = bench.holds(&task, process, 1).await;
    let delegated = bench.hand_on(&by, to("helper")).await.unwrap();
    assert_eq!(delegated.narrowed_by, [Narrowing::Policy]);
    let effects = delegated.task.scope.to_oauth();
    assert_eq!(effects, "files:read");
    bench
        .control
        .set_stage(&admin(), task.id, "execute".parse().unwrap())
        .await
        .unwrap();
    let delegated = bench.hand_on(&by, to("helper")).await.unwrap();
    assert_eq!(delegated.task.scope.to_oauth(), "files:read files:write");
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_decides_what_agents_hand_on() {
    let bench = Bench::new().await;
    bench.agent("helper").await;
    let (_, by) = bench.held(1, 2).await;
    bench.hand_on(&by, to("helper")).await.unwrap();
    let nobody = r#"@id("alone") @reason("coder works alone") forbid (principal, action == Bailiwick::Action::"delegate", resource);"#;
    let workflow = "name = \"change\"\n[[stage]]\nname = \"run\"\n";
    bench.publish(nobody, workflow).await;
    let refused = bench.hand_on(&by, to("helper")).await.unwrap_err();
    assert_eq!(refused.code, Code::Forbidden, "{refused}");
    assert!(refused.message.contains("works alone"), "{refused}");
}
