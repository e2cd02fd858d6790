//! What becomes of a leaf and of the values beside it, wherever they are kept, and what is left after an erasure.

use std::collections::BTreeSet;

use bailiwick_core::event::{Action, AgentRef, ChainRef, EventType, Outcome, Parent};
use bailiwick_core::{Clock as _, Id};

use super::*;
use crate::erase::{Erasure, Selector};
use crate::fixtures::{Bench, event, intent, kek};
use crate::log::Log;
use crate::record::{Class, Recorder};

fn key() -> IndexKey {
    IndexKey::new(Secret::new([5; 32]))
}

fn project(log: &Log, opener: &mut Opener) -> Vec<Row> {
    let origin: Arc<str> = log.origin().into();
    log.read(0)
        .map(|entry| key().project(&origin, &entry.unwrap(), opener).unwrap())
        .collect()
}

fn token(resource: &str) -> Vec<Token> {
    vec![key().token(resource)]
}

#[test]
fn names_are_short_lines_and_whole_numbers_outer_ones_first() {
    let of = |text: &str| names(text.as_bytes());
    assert_eq!(
        of(
            r#"{"path":"notes/plan.md","deep":{"id":7,"ok":true,"half":0.5},"body":"two\nlines","none":null,"empty":""}"#
        ),
        ["notes/plan.md", "7"]
    );
    assert_eq!(of(r#"["a","a","b"]"#), ["a", "b"]);
    assert_eq!(of("no JSON"), Vec::<String>::new());
    assert!(of(&format!("[\"{}\"]", "n".repeat(MAX_NAME + 1))).is_empty());
    let many: Vec<String> = (0..200).map(|at| format!("inner-{at}")).collect();
    let crowded = serde_json::json!({"a": many, "path": "the target"}).to_string();
    let found = of(&crowded);
    assert_eq!(
        (found.len(), found[0].as_str()),
        (MAX_RESOURCES, "the target")
    );
    let deep = format!("{}\"x\"{}", "[".repeat(100), "]".repeat(100));
    assert!(of(&deep).is_empty());
}

#[test]
fn a_row_has_the_events_own_values_first_and_everybody_of_the_chain() {
    let mut event = event(EventType::ToolRefused);
    event.agent = Some(AgentRef {
        id: "patcher".parse().unwrap(),
        instance: None,
        code_digest: None,
    });
    for (agent, task) in [("patcher", 3), ("triage", 2)] {
        event.chain.push(ChainRef {
            agent: agent.parse().unwrap(),
            instance: Some(Id::from_bits(task)),
            task: Id::from_bits(task),
            jti: None,
        });
    }
    event.action = Some(Action {
        server: Some("github".parse().unwrap()),
        tool: Some("push_files".parse().unwrap()),
        ..Action::named("tools/call")
    });
    event.outcome = Some(Outcome {
        status: bailiwick_core::event::Status::Refused,
        code: Some("no_permit".into()),
        us: 0,
        bytes: 0,
        evidence: bailiwick_core::event::Evidence::Observed,
    });
    let leaf = Leaf {
        v: 1,
        node: "node-1".into(),
        src: crate::leaf::Source {
            svc: "serve".into(),
            version: "0".into(),
        },
        ts: bailiwick_crypto::system::SystemClock.wall(),
        hlc: crate::hlc::Hlc(9),
        event,
        sealed: Vec::new(),
    };
    let row = row(&leaf, "example.org/node-1".into(), 4, Vec::new());
    assert_eq!(
        row.all(Key::Agent).collect::<Vec<_>>(),
        ["patcher", "triage"]
    );
    assert_eq!(row.all(Key::Instance).count(), 2);
    assert_eq!(row.all(Key::Task).count(), 2);
    assert_eq!(row.value(Key::Code), Some("no_permit"));
    assert_eq!(
        row.words,
        ["push", "files", "github", "tools", "call", "no", "permit"]
    );
}

#[tokio::test]
async fn what_arguments_name_is_found_in_the_log_and_behind_it_and_not_after_an_erasure() {
    let bench = Bench::new();
    let log = bench.open();
    let mut erased = None;
    // Enough that segments are retired while it goes on, and that a bundle is full and one is not.
    for at in 0..300 {
        let filler = "f".repeat(20 << 10);
        let args = format!("{{\"issue\":\"acme/{at}\",\"body\":\"{filler}\"}}");
        let receipt = log
            .record(intent(args.as_bytes()), Class::Grant)
            .await
            .unwrap();
        if at == 20 {
            erased = Some(receipt);
        }
    }
    let erased = erased.unwrap();
    let live = project(&log, &mut log.opener());
    for (at, row) in live
        .iter()
        .filter(|row| row.kind == EventType::ToolIntent)
        .enumerate()
    {
        assert_eq!(row.tokens, token(&format!("acme/{at}")), "{at}");
    }
    let mut opener = log.opener();
    project(&log, &mut opener);
    let erasure = Erasure {
        selector: Selector::Event(erased.event),
        basis: "request 17".into(),
        actor: "uid:0".into(),
        asked_by: None,
        besides: 0,
    };
    log.erase(erasure).await.unwrap();
    assert!(!log.directory().is_erasing().unwrap());
    let gone = log.directory().erased(0..=erased.index + 1).unwrap();
    assert!(
        gone.contains(&erased.index) && !gone.contains(&(erased.index + 1)),
        "{gone:?}"
    );
    // A reader that had looked before has kept nothing.
    for opener in [&mut opener, &mut log.opener()] {
        let rows = project(&log, opener);
        for (before, after) in live.iter().zip(&rows) {
            if before.index == erased.index {
                assert_eq!(after.tokens, []);
            } else {
                assert_eq!(before, after);
            }
        }
    }
    // Made again from the files alone, it is equal.
    let rows = project(&log, &mut log.opener());
    drop(log);
    let directory = crate::read::Directory::new(bench.dir.path().to_owned());
    let mut opener = directory.opener(vec![kek()]);
    let origin: Arc<str> = crate::fixtures::ORIGIN.into();
    let offline = directory.entries(0).map(|entry| {
        key()
            .project(&origin, &entry.unwrap(), &mut opener)
            .unwrap()
    });
    assert!(offline.take(rows.len()).eq(rows));
}

#[tokio::test]
async fn leaves_are_picked_in_one_pass_wherever_they_are() {
    let bench = Bench::new();
    let log = bench.open();
    for at in 0..1_100 {
        let mut event = event(EventType::FenceSet);
        if at == 600 {
            event.parents.push(Parent {
                role: bailiwick_core::event::ParentRole::Trigger,
                id: event.id,
            });
        }
        log.record(event, Class::Narrow).await.unwrap();
    }
    let wanted: BTreeSet<u64> = [0, 1, 255, 256, 300, 900, 901, 1_100].into();
    for directory in [log.directory(), {
        log.close();
        log.directory()
    }] {
        let picked = directory.pick(wanted.iter().copied().chain([5_000]));
        let picked: Vec<_> = picked.map(|entry| entry.unwrap()).collect();
        assert_eq!(
            picked
                .iter()
                .map(|entry| entry.index)
                .collect::<BTreeSet<_>>(),
            wanted
        );
        for entry in picked {
            assert_eq!(Some(&entry), directory.entry(entry.index).unwrap().as_ref());
        }
    }
}
