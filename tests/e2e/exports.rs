//! The record in other people's shapes, read by their own readers: Python's json and hashlib, the published schema of OCSF, the messages
//! of OpenTelemetry, DuckDB, and PyPI's prov.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_audit::seal::Kek;
use bailiwick_audit::{Class, Log, Options, Recorder};
use bailiwick_core::event::{
    Action, AgentRef, ChainRef, ChangeRef, Event, EventType, Evidence, LeaseRef, Outcome, Parent,
    ParentRole, Sealed, SealedClass, Status, TaskRef,
};
use bailiwick_core::id::{EventId, InstanceId, TaskId};
use bailiwick_core::label::Labels;
use bailiwick_core::risk::Risk;
use bailiwick_core::{Digest, Effect, Id, Secret};
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_crypto::note::NoteSigner;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use serde_json::{Value, json};

use crate::audit_chain::find;
use crate::harness::deps;
use crate::harness::node::{bailiwick, run};

/// In arguments, a result and a request: none of it may be in any export.
const CANARIES: [&str; 3] = [
    "canary-secret-7f3a9c",
    "Margaret Hamilton",
    "canary-result-51",
];

fn options(dir: &Path) -> Options {
    let key = Ed25519Key::from_seed(&Secret::new([7; 32])).unwrap();
    let kek = Kek {
        id: 1,
        key: Secret::new([9; 32]),
    };
    Options {
        segment_size: 2 << 20,
        min_free: 1 << 20,
        publish_every: Duration::from_millis(1),
        ..Options::new(
            dir.to_owned(),
            "node-1".into(),
            NoteSigner::new("e2e.internal/node-1", key).unwrap(),
            kek,
            Arc::new(SystemClock),
            Arc::new(SystemRng),
        )
    }
}

fn sealed(path: &'static str, class: SealedClass, value: &str) -> Sealed {
    Sealed {
        path,
        class,
        value: value.as_bytes().to_vec(),
        keep: true,
    }
}

/// An event with something in every member that an event of any type can have.
fn full(kind: EventType, cause: Option<EventId>, intent: Option<EventId>) -> Event {
    let (task, instance) = (TaskId::from_bits(1 << 80), InstanceId::from_bits(2));
    let agent = "coder".parse::<bailiwick_core::name::AgentName>().unwrap();
    let mut event = Event::new(Id::new(&SystemClock, &SystemRng), kind);
    event.agent = Some(AgentRef {
        id: agent.clone(),
        instance: Some(instance),
        code_digest: Some(Digest([1; 32])),
    });
    event.owner = Some("team-web".parse().unwrap());
    event.user = Some("usr_01h455vb4pex5vsknk084sn02q".to_owned());
    event.actor = Some("uid:1000".to_owned());
    event.task = Some(TaskRef {
        id: task,
        root: task,
        parent: None,
        version: 1,
        stage: "run".parse().unwrap(),
        risk: Risk::Low,
        labels: Labels::default(),
    });
    event.chain = vec![ChainRef {
        agent,
        instance: Some(instance),
        task,
        jti: None,
    }];
    event.cause = cause;
    event.parents = intent
        .map(|id| Parent {
            role: ParentRole::Intent,
            id,
        })
        .into_iter()
        .collect();
    event.action = Some(Action {
        effect: Some(Effect::Write),
        server: Some("workspace".parse().unwrap()),
        tool: Some("write_file".parse().unwrap()),
        definition: Some(Digest([2; 32])),
        request_id: Some("17".to_owned()),
        ..Action::named("tools/call")
    });
    event.decision = serde_json::from_value(json!({
        "effect": "deny",
        "policies": ["demo/files"],
        "reasons": ["demo/files"],
        "versions": {"bundle": Digest([3; 32]), "task": 1, "fence_seq": 0, "replica_seq": 12},
        "us": 15,
    }))
    .unwrap();
    event.lease = Some(LeaseRef {
        id: Id::from_bits(9),
        credential: "workspace-token".parse().unwrap(),
        remote: "confirmed".to_owned(),
    });
    event.outcome = Some(Outcome {
        status: Status::Refused,
        code: Some("no_permit".to_owned()),
        us: 1_500,
        bytes: 12,
        evidence: Evidence::Observed,
    });
    event.change = Some(ChangeRef {
        kind: "tool".to_owned(),
        id: "workspace/write_file".to_owned(),
        before: None,
        after: Some(Digest([4; 32]).to_string()),
    });
    event.sealed = vec![
        sealed("/args", SealedClass::Content, CANARIES[0]),
        sealed("/request", SealedClass::Pii, CANARIES[1]),
        sealed("/result", SealedClass::Content, CANARIES[2]),
    ];
    event
}

/// A log with each type of event twice: with every member, and with none.
pub(crate) fn every_type_of_event(dir: &Path) {
    let log = Log::open(options(dir)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (mut cause, mut intent) = (None, None);
    for kind in EventType::ALL {
        let of_intent = intent.filter(|_| *kind == EventType::ToolResult);
        let event = full(*kind, cause, of_intent);
        cause = Some(event.id);
        intent = intent.or(cause.filter(|_| *kind == EventType::ToolIntent));
        let bare = Event::new(Id::new(&SystemClock, &SystemRng), *kind);
        for event in [event, bare] {
            runtime.block_on(log.record(event, Class::Narrow)).unwrap();
        }
    }
    log.close();
}

#[test]
fn exports() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("log");
    every_type_of_event(&log);
    let mut told = Vec::new();
    for shape in ["jsonl", "ocsf", "otlp", "parquet", "prov"] {
        let mut export = bailiwick(&["audit", "export", shape, "--output", "json", "--dir"]);
        let export = run(export.arg(&log).arg("-o").arg(home.path().join(shape)), "");
        assert_eq!(export.code, Some(0), "{shape}: {export:?}");
        told.push(export.json()["events"].clone());
    }
    assert!(told.iter().all(|events| *events == told[0]), "{told:?}");

    let mut check = Command::new(deps::exports("python"));
    let read = check
        .arg(deps::script("exports_check.py"))
        .arg(home.path())
        .output()
        .unwrap();
    assert!(
        read.status.success(),
        "{}",
        String::from_utf8_lossy(&read.stderr)
    );
    let read: Value = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!(read["events"], told[0]);
    assert_eq!(read["types"].as_u64(), Some(EventType::ALL.len() as u64));

    let exported = crate::audit_chain::files(home.path());
    let exported = exported.iter().filter(|file| !file.starts_with(&log));
    let mut looked = 0;
    for file in exported {
        let bytes = std::fs::read(file).unwrap();
        for canary in CANARIES {
            assert_eq!(
                find(&bytes, canary.as_bytes()),
                None,
                "{canary} is in {}",
                file.display()
            );
        }
        looked += 1;
    }
    assert!(looked >= 5, "{looked}");

    // To standard output, and on from there.
    let part = |after: &[&str]| {
        let mut export = bailiwick(&[
            "audit", "export", "jsonl", "-o", "-", "--limit", "40", "--dir",
        ]);
        let part = run(export.arg(&log).args(after), "");
        assert_eq!(part.code, Some(0), "{part:?}");
        part.stdout
    };
    let (first, second) = (part(&[]), part(&["--after", "39"]));
    let whole = std::fs::read_to_string(home.path().join("jsonl")).unwrap();
    let both = format!("{first}{second}");
    assert_eq!(
        whole.lines().take(80).collect::<Vec<_>>(),
        both.lines().collect::<Vec<_>>()
    );
}
