//! What is found through the index is what reading the whole log finds: stories of tasks, and events for exports and blast radii, with the
//! index whole, half made, with days lost, and without one.

use bailiwick_audit::lookup::Places;
use bailiwick_audit::timeline::find;
use bailiwick_core::event::{ChainRef, ChangeRef, LeaseRef, Parent, ParentRole, TaskRef};
use bailiwick_core::id::{InstanceId, LeaseId, TaskId};

use super::*;

fn task(id: u128, root: u128) -> TaskRef {
    TaskRef {
        id: Id::from_bits(id),
        root: Id::from_bits(root),
        parent: (id != root).then_some(Id::from_bits(root)),
        version: 1,
        stage: "execute".parse().unwrap(),
        risk: bailiwick_core::risk::Risk::Low,
        labels: serde_json::from_str("[]").unwrap(),
    }
}

fn event(kind: EventType) -> Event {
    Event::new(Id::new(&SystemClock, &SystemRng), kind)
}

fn in_task(kind: EventType, id: u128, root: u128) -> Event {
    Event {
        task: Some(task(id, root)),
        agent: Some(AgentRef {
            id: "coder".parse().unwrap(),
            instance: Some(InstanceId::from_bits(root)),
            code_digest: None,
        }),
        user: Some("usr_alice".into()),
        ..event(kind)
    }
}

fn changed(kind: EventType, of: &str, id: &str, after: &str) -> Event {
    let change = ChangeRef {
        kind: of.into(),
        id: id.into(),
        before: None,
        after: Some(after.into()),
    };
    Event {
        change: Some(change),
        ..event(kind)
    }
}

/// Two trees of tasks that overlap, and everything of others that may bear on them.
fn scene(round: u128) -> Vec<Event> {
    let (one, below, other) = (round * 10 + 1, round * 10 + 2, round * 10 + 7);
    let life = |kind, of: u128| Event {
        agent: Some(AgentRef {
            id: "coder".parse().unwrap(),
            instance: Some(InstanceId::from_bits(of)),
            code_digest: None,
        }),
        ..event(kind)
    };
    let intent = in_task(EventType::ToolIntent, below, one);
    let mut result = in_task(EventType::ToolResult, below, one);
    result.cause = Some(intent.id);
    result.parents = vec![Parent {
        role: ParentRole::Intent,
        id: intent.id,
    }];
    let mut token = event(EventType::TokenIssued);
    token.chain = vec![ChainRef {
        agent: "patcher".parse().unwrap(),
        instance: None,
        task: Id::from_bits(below),
        jti: None,
    }];
    let fence = changed(
        EventType::FenceSet,
        "fence",
        "fence_1",
        &format!("task/{}", TaskId::from_bits(below)),
    );
    let mut reached = event(EventType::FenceReached);
    reached.cause = Some(fence.id);
    let elsewhere = changed(EventType::FenceSet, "fence", "fence_2", "agent/another");
    let mut elsewhere_reached = event(EventType::FenceReached);
    elsewhere_reached.cause = Some(elsewhere.id);
    let mut ended = in_task(EventType::TaskEnded, one, one);
    ended.cause = Some(fence.id);
    let mut lease = in_task(EventType::LeaseActive, one, one);
    lease.lease = Some(LeaseRef {
        id: LeaseId::from_bits(round + 1),
        credential: "key".parse().unwrap(),
        remote: "confirmed".into(),
    });
    let mut revealed = event(EventType::LogRevealed);
    revealed.cause = Some(intent.id);
    let mut cause_of_other = in_task(EventType::TaskChanged, other, other);
    cause_of_other.cause = Some(result.id);
    vec![
        life(EventType::InstanceAttested, one),
        life(EventType::InstanceAttested, other),
        changed(EventType::ToolPinned, "tool", "files/read_file", "Approved"),
        in_task(EventType::TaskOpened, one, one),
        in_task(EventType::TaskOpened, other, other),
        changed(EventType::LogRestored, "stretch", "x", "3 refusals"),
        in_task(EventType::TaskOpened, below, one),
        lease,
        token,
        intent,
        changed(
            EventType::TaskChanged,
            "task",
            &TaskId::from_bits(one).to_string(),
            "x",
        ),
        elsewhere,
        result,
        elsewhere_reached,
        fence,
        reached,
        ended,
        in_task(EventType::TaskEnded, other, other),
        cause_of_other,
        life(EventType::InstanceExited, one),
        life(EventType::InstanceExited, other),
        revealed,
        changed(EventType::LogRecovered, "stretch", "y", "late"),
    ]
}

impl Bench {
    async fn play(&self, rounds: std::ops::Range<u128>) {
        for round in rounds {
            for event in scene(round) {
                self.log.record(event, Class::Grant).await.unwrap();
            }
            self.record(40).await;
        }
    }

    /// The story through the index is the story by reading everything.
    fn tells_alike(&self, indexer: &Indexer, why: &str) {
        let directory = self.log.directory();
        for id in [1, 2, 7, 21, 22, 27, 52, 99] {
            let id = TaskId::from_bits(id);
            let whole = find(&directory, id).unwrap();
            let (found, size, _) = indexer.trace(id).unwrap();
            assert_eq!(found.root, whole.root, "{why}: {id}");
            assert_eq!(found.entries, whole.entries, "{why}: {id}");
            assert_eq!((found.looked, size), (whole.looked, whole.looked), "{why}");
        }
    }

    /// So are events that meet conditions.
    fn finds_alike(&self, indexer: &Arc<Indexer>, why: &str) {
        let size = self.log.size();
        let one = TaskId::from_bits(1).to_string();
        let asked: &[&[(&str, &str)]] = &[
            &[],
            &[("agent", "coder")],
            &[("task", &one)],
            &[("user", "usr_bob"), ("text", "push")],
            &[("text", "push files")],
            &[("type", "fence")],
            &[("since", "2020-01-01")],
            &[("until", "2020-01-01")],
            &[("resource", CANARY)],
            &[("agent", "nobody")],
        ];
        for pairs in asked {
            let mut conditions = Conditions::default();
            for (key, value) in *pairs {
                conditions.set(key, value).unwrap();
            }
            let mut judge = indexer.asked(conditions.clone());
            let whole = self
                .log
                .read(3)
                .map(Result::unwrap)
                .filter(|entry| entry.index < size - 1 && judge.row(entry).unwrap().is_some());
            let whole: Vec<Entry> = whole.collect();
            let found = indexer.wanted(conditions, 3, size - 1);
            let found: Vec<Entry> = found.map(Result::unwrap).collect();
            assert_eq!(found, whole, "{why}: {pairs:?}");
            let question = judge.conditions().clone();
            let places: Places = indexer.any_of(&[question], 10_000).unwrap();
            let places: Vec<u64> = places.iter().collect();
            for entry in whole {
                assert!(places.contains(&entry.index), "{why}: {pairs:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_index_finds_is_what_reading_everything_finds() {
    let bench = Bench::of(0).await;
    bench.play(0..3).await;
    let indexer = Arc::new(bench.indexer());
    let alike = |why: &str| {
        bench.tells_alike(&indexer, why);
        bench.finds_alike(&indexer, why);
    };
    alike("nothing is indexed");
    finish(&indexer);
    alike("all is indexed");
    bench.play(3..6).await;
    alike("half is indexed");
    for day in days(&bench) {
        fs::remove_file(day).unwrap();
    }
    alike("days are lost");
    fs::remove_file(bench.index().join("catalog.db")).unwrap();
    alike("the catalog is lost");
    finish(&indexer);
    alike("it was made again");
    let (_, _, asked_it) = indexer.trace(TaskId::from_bits(1)).unwrap();
    assert!(asked_it);

    // With no index at all the log is read, and who asks is told how.
    fs::remove_dir_all(bench.index()).unwrap();
    fs::write(bench.index(), "not a directory").unwrap();
    let indexer = Arc::new(bench.indexer());
    bench.tells_alike(&indexer, "there is no index");
    bench.finds_alike(&indexer, "there is no index");
    let (_, _, asked_it) = indexer.trace(TaskId::from_bits(1)).unwrap();
    assert!(!asked_it);
    bench.log.close();
}
