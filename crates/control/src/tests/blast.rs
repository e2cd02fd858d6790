//! What could have been done, where the answer is known: policy and catalogue change in the middle of the window.

use std::time::Duration;

use bailiwick_audit::projection::row;
use bailiwick_audit::{Class, Recorder};
use bailiwick_core::event::{
    Action, AgentRef, Event, EventType, Evidence, Outcome, Status, TaskRef,
};
use bailiwick_core::name::ToolRef;
use bailiwick_core::task::Task;
use bailiwick_core::{Digest, Effect, Id, Timestamp};
use bailiwick_crypto::system::{SystemClock, SystemRng};
use bailiwick_policy::{BundleSource, Reach};

use super::bench_node::{Bench, admin, open, seen};
use crate::audit::{Counts, Fold, Radius, Window};
use crate::tools::Seen;

const FIRST: &str = r#"
@id("reads") @reason("r") permit (principal, action in Bailiwick::Action::"read", resource);
@id("asks") @reason("r") @step_up("approval:ops") permit (principal, action == Bailiwick::Action::"files/write_file", resource);
@id("moves") @reason("r") permit (principal, action == Bailiwick::Action::"files/move_file", resource)
when { context.input has path && context.input.path like "notes/*" };
"#;
const SECOND: &str = r#"
@id("one") @reason("r") permit (principal, action == Bailiwick::Action::"files/read_file", resource);
@id("writes") @reason("r") permit (principal, action == Bailiwick::Action::"files/write_file", resource);
"#;

fn bundle(policies: &str) -> BundleSource {
    BundleSource::from_dir([
        ("bundle.toml".to_owned(), "name = \"site\"\n".to_owned()),
        ("main.cedar".to_owned(), policies.to_owned()),
    ])
    .unwrap()
}

/// A tool that takes a path, and later one that takes something else.
fn moving(digest: u8, argument: &str) -> Seen {
    Seen {
        definition: format!(
            r#"{{"name":"move_file","inputSchema":{{"type":"object","properties":{{"{argument}":{{"type":"string"}}}}}}}}"#
        ),
        ..seen("move_file", digest)
    }
}

struct World {
    bench: Bench,
    task: Task,
    changed: Timestamp,
}

impl World {
    async fn new() -> Self {
        let bench = Bench::new().await;
        let tools = [seen("list_dir", 3), moving(4, "path"), seen("wipe", 5)];
        shown(&bench, tools.to_vec()).await;
        accept(&bench, "list_dir", Effect::Read).await;
        accept(&bench, "move_file", Effect::Write).await;
        accept(&bench, "wipe", Effect::Escalate).await;
        publish(&bench, FIRST).await;
        bench.later(Duration::from_mins(1));
        let task = bench.task().await;
        let world = Self {
            changed: task.created_at.plus(Duration::from_secs(599)),
            bench,
            task,
        };
        world.call("read_file", Effect::Read, Status::Ok).await;
        world.call("read_file", Effect::Read, Status::Ok).await;
        world.call("wipe", Effect::Escalate, Status::Refused).await;
        world.bench.later(Duration::from_mins(10));
        publish(&world.bench, SECOND).await;
        // Another definition, under which the first policy would not even validate; one tool goes, another comes.
        let tools = vec![moving(14, "from"), seen("list_dir", 13), seen("stat", 6)];
        shown(&world.bench, tools).await;
        accept(&world.bench, "move_file", Effect::Write).await;
        accept(&world.bench, "stat", Effect::Read).await;
        world.bench.later(Duration::from_mins(1));
        world.call("write_file", Effect::Write, Status::Ok).await;
        world.bench.later(Duration::from_mins(1));
        world
    }

    async fn call(&self, tool: &str, effect: Effect, status: Status) {
        let kind = match status {
            Status::Refused => EventType::ToolRefused,
            _ => EventType::ToolResult,
        };
        let mut event = Event::new(Id::new(&SystemClock, &SystemRng), kind);
        event.agent = Some(AgentRef {
            id: self.task.agent.clone(),
            instance: None,
            code_digest: None,
        });
        event.user = Some(self.task.user_pseudonym.clone());
        event.task = Some(TaskRef::of(&self.task));
        event.action = Some(Action {
            effect: Some(effect),
            server: Some("files".parse().unwrap()),
            tool: Some(tool.parse().unwrap()),
            ..Action::named("tools/call")
        });
        event.outcome = Some(Outcome {
            status,
            code: None,
            us: 1,
            bytes: 0,
            evidence: Evidence::Observed,
        });
        self.bench.log.record(event, Class::Narrow).await.unwrap();
    }

    async fn radius(&self, kind: &str, id: &str, from: Timestamp, until: Timestamp) -> Radius {
        let control = &self.bench.control;
        let whose = control.whose(&admin(), kind, id).await.unwrap();
        let window = Window { from, until };
        // All of the log, and what an index would name of it: the answer is the same.
        let (mut all, mut named) = (Fold::new(whose.clone(), window), Fold::new(whose, window));
        let questions = named.questions().unwrap();
        for entry in self.bench.log.read(0) {
            let entry = entry.unwrap();
            let leaf = entry.parse().unwrap();
            if all.wants(&entry.leaf) {
                all.take(&leaf);
            }
            let row = row(&leaf, "example.org/node-1".into(), entry.index, Vec::new());
            if questions.iter().any(|question| question.take(&row)) {
                named.take(&leaf);
            }
        }
        let admin = admin();
        let radius = |fold| control.blast_radius(&admin, fold, true, &["deliver"]);
        let all = radius(all).await.unwrap();
        assert_eq!(radius(named).await.unwrap(), all);
        all
    }
}

async fn shown(bench: &Bench, tools: Vec<Seen>) {
    let server = "files".parse().unwrap();
    bench.control.seen(server, tools).await.unwrap();
}

async fn accept(bench: &Bench, tool: &str, effect: Effect) {
    let tool = format!("files/{tool}").parse().unwrap();
    let admin = admin();
    let accepted = bench.control.accept_tool(&admin, tool, Some(effect), None);
    accepted.await.unwrap();
}

async fn publish(bench: &Bench, policies: &str) {
    let admin = admin();
    let published = bench.control.publish_policy(&admin, bundle(policies), None);
    published.await.unwrap();
}

fn told(radius: &Radius) -> Vec<(String, Option<Reach>, u64, u64)> {
    let one = |tool: &crate::audit::ToolReach| {
        (
            tool.tool.tool.to_string(),
            tool.reach,
            tool.calls,
            tool.refused,
        )
    };
    let mut told: Vec<_> = radius.tools.iter().map(one).collect();
    told.sort();
    told
}

fn is(
    tool: &str,
    reach: Option<Reach>,
    calls: u64,
    refused: u64,
) -> (String, Option<Reach>, u64, u64) {
    (tool.to_owned(), reach, calls, refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn blast_radius_known_answer() {
    let world = World::new().await;
    let (start, end) = (Timestamp::default(), Timestamp::from_secs(4_000_000_000));
    let task = world.task.id.to_string();

    let before = world.radius("task", &task, start, world.changed).await;
    assert_eq!(
        told(&before),
        [
            is("list_dir", Some(Reach::Allow), 0, 0),
            is("move_file", Some(Reach::Depends), 0, 0),
            is("read_file", Some(Reach::Allow), 2, 0),
            is("wipe", None, 0, 1),
            is("write_file", Some(Reach::StepUp), 0, 0),
        ]
    );
    assert!(before.complete, "{:?}", before.notes);

    let later = world.changed.plus(Duration::from_secs(30));
    let after = world.radius("agent", "coder", later, end).await;
    assert_eq!(
        told(&after),
        [
            is("move_file", Some(Reach::Deny), 0, 0),
            is("read_file", Some(Reach::Allow), 0, 0),
            is("stat", Some(Reach::Deny), 0, 0),
            is("write_file", Some(Reach::Allow), 1, 0),
        ]
    );
    assert!(after.complete, "{:?}", after.notes);

    // Over both: the widest of each.
    let whole = world
        .radius("user", &world.task.user_pseudonym, start, end)
        .await;
    assert_eq!(
        whole.counts,
        Counts {
            touched: 2,
            allowed_unused: 1,
            needs_approval: 0,
            depends: 1,
            refused: 1,
        }
    );
    assert_eq!(
        whole.widest_unused,
        Some("files/move_file".parse::<ToolRef>().unwrap())
    );
    assert!(whole.complete, "{:?}", whole.notes);
    // Another agent's window is empty.
    world.bench.agent("other").await;
    let nobody = world.radius("agent", "other", start, end).await;
    assert!(
        nobody.tools.is_empty() && nobody.proposal.is_none(),
        "{nobody:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposed_scope_holds_what_was_touched_and_opens_a_task() {
    let world = World::new().await;
    let (start, end) = (Timestamp::default(), Timestamp::from_secs(4_000_000_000));
    let radius = world.radius("agent", "coder", start, end).await;
    let proposal = radius.proposal.unwrap();
    let text = serde_json::to_vec(&proposal).unwrap();
    let draft = bailiwick_core::scope::Draft::from_json(&text).unwrap();
    let mut narrow = open("coder");
    narrow.scope = Some(draft);
    let narrow = world
        .bench
        .control
        .open_task(&admin(), narrow)
        .await
        .unwrap();
    let names = |tool, effect| narrow.scope.names_tool("files", tool, effect);
    assert!(names("read_file", Effect::Read) && names("write_file", Effect::Write));
    assert!(!names("list_dir", Effect::Read) && !names("move_file", Effect::Write));
    assert!(!names("read_file", Effect::Write));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_is_said() {
    let world = World::new().await;
    let (start, end) = (Timestamp::default(), Timestamp::from_secs(4_000_000_000));
    let blobs = world.bench.log.directory().blobs();
    let text = moving(4, "path").definition;
    let kept = blobs.keep(text.as_bytes()).unwrap();
    assert_ne!(kept, Digest([0; 32]));
    let hex = kept.to_string().replace("sha256:", "");
    let dir = world.bench.log.directory().path().join("blobs/sha256");
    std::fs::remove_file(dir.join(hex)).unwrap();
    let radius = world.radius("agent", "coder", start, end).await;
    assert!(!radius.complete);
    assert!(
        radius
            .notes
            .iter()
            .any(|note| note.contains("files/move_file is not kept")),
        "{:?}",
        radius.notes
    );
    let wrong = world.bench.control.whose(&admin(), "planet", "x").await;
    assert_eq!(wrong.unwrap_err().code, bailiwick_core::Code::InvalidInput);
}
