//! What the mappings promise without a foreign reader: a bound that is held, names that stay apart, and that going on later gives the rest.

use bailiwick_core::event::{Action, AgentRef, Event, EventType};
use bailiwick_core::{Id, Timestamp};

use super::{Exported, Jsonl, Ocsf, Parquet, Recorded, Selection, export, ocsf, percent_encoded};
use crate::filter::Filter;
use crate::hlc::Hlc;
use crate::leaf::{Leaf, Source};
use crate::read::Entry;

const ORIGIN: &str = "example.org/node-1";

/// An event of each type in turn, a minute after the other from shortly before midnight.
fn entries(count: u64) -> Vec<Entry> {
    let kinds = EventType::ALL.iter().cycle();
    let leaf = |(index, kind): (u64, &EventType)| {
        let mut event = Event::new(Id::from_bits(u128::from(index) + 1), *kind);
        event.agent = Some(AgentRef {
            id: "coder".parse().unwrap(),
            instance: None,
            code_digest: None,
        });
        event.action = Some(Action::named("tools/call"));
        let at = 1_764_028_740 + i64::try_from(index).unwrap() * 60;
        let leaf = Leaf {
            v: 1,
            node: "node-1".into(),
            src: Source {
                svc: "serve".into(),
                version: "0".into(),
            },
            ts: Timestamp::from_secs(at),
            hlc: Hlc(index),
            event,
            sealed: Vec::new(),
        };
        let leaf = leaf.encode().unwrap();
        Entry { index, leaf }
    };
    (0..count).zip(kinds).map(leaf).collect()
}

fn selection(filter: &Filter, limit: u64) -> Selection<'_> {
    Selection {
        origin: ORIGIN,
        filter,
        limit,
    }
}

#[test]
fn an_export_goes_on_where_the_last_one_ended() {
    let (entries, filter) = (entries(100), Filter::default());
    let mut parts = Vec::new();
    let mut next = 0;
    let mut rounds = 0;
    loop {
        let rest = entries
            .iter()
            .filter(|entry| entry.index >= next)
            .cloned()
            .map(Ok);
        let done = export(rest, &selection(&filter, 30), &mut Jsonl(&mut parts)).unwrap();
        next = done.next;
        rounds += 1;
        if !done.more {
            break;
        }
    }
    assert_eq!((rounds, next), (4, 100));
    let mut whole = Vec::new();
    let all = entries.iter().cloned().map(Ok);
    let done = export(all, &selection(&filter, u64::MAX), &mut Jsonl(&mut whole)).unwrap();
    assert_eq!(
        done,
        Exported {
            events: 100,
            next: 100,
            more: false
        }
    );
    assert_eq!(parts, whole);
}

#[test]
fn a_line_holds_the_leaf_as_it_is_hashed() {
    let (entries, filter) = (entries(3), Filter::default());
    let mut out = Vec::new();
    let all = entries.iter().cloned().map(Ok);
    export(all, &selection(&filter, 10), &mut Jsonl(&mut out)).unwrap();
    let text = String::from_utf8(out).unwrap();
    for (line, entry) in text.lines().zip(&entries) {
        let raw = line
            .split_once("\"leaf\":")
            .unwrap()
            .1
            .strip_suffix('}')
            .unwrap();
        assert_eq!(raw.as_bytes(), entry.leaf);
        assert!(line.contains(&entry.leaf_hash().to_string()));
    }
    assert_eq!(text.lines().count(), 3);
}

#[test]
fn every_type_of_event_has_a_class_of_ocsf() {
    let mut classes = std::collections::BTreeMap::new();
    for entry in entries(EventType::ALL.len() as u64) {
        let leaf = entry.parse().unwrap();
        let record = Recorded {
            origin: ORIGIN,
            index: entry.index,
            leaf_hash: entry.leaf_hash(),
            bytes: &entry.leaf,
            leaf: &leaf,
        };
        let event = ocsf::event(&record).unwrap();
        classes.insert(
            leaf.event.kind.as_str(),
            event["class_uid"].as_u64().unwrap(),
        );
    }
    let expected = [
        ("tool.intent", 6003),
        ("tool.drifted", 2004),
        ("tool.pinned", 3004),
        ("token.issued", 3002),
        ("task.opened", 3005),
        ("approval.answered", 3003),
        ("policy.published", 3004),
        ("lease.active", 3004),
        ("fence.set", 3004),
        ("log.recovered", 2004),
        ("log.opened", 3004),
        ("admin.refused", 6003),
    ];
    for (kind, class) in expected {
        assert_eq!(classes[kind], class, "{kind}");
    }
}

#[test]
fn the_filter_narrows_every_shape() {
    let (entries, mut filter) = (entries(80), Filter::default());
    filter.set("type", "task").unwrap();
    let mut out = Vec::new();
    let all = entries.iter().cloned().map(Ok);
    let done = export(all, &selection(&filter, 1_000), &mut Ocsf(&mut out)).unwrap();
    let of_tasks = entries.iter().filter(|entry| {
        let kind = entry.parse().unwrap().event.kind;
        kind.as_str().starts_with("task.")
    });
    assert_eq!(done.events, of_tasks.count() as u64);
    assert_eq!(done.next, 80);
}

#[test]
fn files_are_named_by_log_day_and_events() {
    let (entries, filter) = (entries(3), Filter::default());
    let mut names = Vec::new();
    {
        let put = |path: &str, bytes: &[u8]| {
            assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
            names.push(path.to_owned());
            Ok(())
        };
        let mut parquet = Parquet::new(Box::new(put));
        export(
            entries.into_iter().map(Ok),
            &selection(&filter, 10),
            &mut parquet,
        )
        .unwrap();
    }
    assert_eq!(
        names,
        [
            "origin=example.org%2Fnode-1/date=2025-11-24/events-0-0.parquet",
            "origin=example.org%2Fnode-1/date=2025-11-25/events-1-2.parquet"
        ]
    );
}

#[test]
fn different_names_stay_different() {
    let kept = b"-_.";
    assert_eq!(percent_encoded("a/b", kept), "a%2Fb");
    assert_eq!(percent_encoded("a%2Fb", kept), "a%252Fb");
    assert_eq!(percent_encoded("../x", kept), "..%2Fx");
}
