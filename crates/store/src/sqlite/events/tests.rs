//! The index answers as its conditions say, whatever was lost of it, and holds nothing of what it was told to forget.

use std::sync::Arc;

use bailiwick_core::Id;
use bailiwick_core::event::EventType;
use bailiwick_core::id::{InstanceId, LeaseId, TaskId};
use bailiwick_core::index::{EventIndex as _, Token, words};
use proptest::prelude::{Just, Strategy, any};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};
use tempfile::TempDir;

use std::fs;

use super::*;
use crate::LocalIndex;

mod tampering;

const ORIGIN_A: &str = "example.org/node-1";
const ORIGIN_B: &str = "example.org/node-2";
/// What is done to the files.
type Harm = fn(&Path);

/// 2023-11-14T22:13:20Z.
const START: u64 = 1_700_000_000_000;
const HOUR: u64 = 3_600_000;

fn row(origin: &str, index: u64) -> Row {
    let task = TaskId::from_bits(u128::from(index / 5)).to_string();
    let pair = |key, value: &str| (key, value.to_owned());
    let agent = ["coder", "patcher", "triage"][usize::try_from(index % 3).unwrap()];
    let mut values = vec![
        pair(Key::Task, &task),
        pair(Key::Agent, agent),
        pair(Key::User, "usr_1"),
        pair(Key::Server, "github"),
        pair(
            Key::Tool,
            if index.is_multiple_of(2) {
                "read_file"
            } else {
                "push_files"
            },
        ),
        pair(Key::Effect, "write"),
        pair(
            Key::Decision,
            ["allow", "deny", "step_up"][usize::try_from(index % 3).unwrap()],
        ),
    ];
    if index.is_multiple_of(4) {
        values.push(pair(Key::Agent, "parent"));
        values.push(pair(Key::Label, "untrusted"));
        values.push((Key::Task, TaskId::from_bits(900).to_string()));
    }
    if index.is_multiple_of(7) {
        values.push((
            Key::Lease,
            LeaseId::from_bits(u128::from(index)).to_string(),
        ));
        values.push((Key::Instance, InstanceId::from_bits(1).to_string()));
        values.push(pair(Key::Code, "no_permit"));
        values.push(pair(Key::Actor, "uid:0"));
    }
    Row {
        origin: origin.into(),
        index,
        // Three hours apart, so that a few dozen span several days.
        hlc: (START + index * 3 * HOUR) << 16 | index & 0xff,
        id: Id::from_bits(u128::from(START + index * 3 * HOUR) << 80 | u128::from(index)),
        kind: if index.is_multiple_of(2) {
            EventType::ToolIntent
        } else {
            EventType::ToolResult
        },
        cause: (index % 2 == 1).then(|| Id::from_bits(u128::from(index - 1))),
        values,
        tokens: if index.is_multiple_of(3) {
            vec![Token(i64::try_from(index).unwrap() - 8)]
        } else {
            Vec::new()
        },
        words: words(if index.is_multiple_of(2) {
            "github read_file"
        } else {
            "github push_files Übergröße"
        }),
    }
}

fn key() -> Secret<[u8; 32]> {
    Secret::new([3; 32])
}

fn open() -> (TempDir, LocalIndex) {
    let dir = tempfile::tempdir().unwrap();
    let index = reopen(&dir.path().join("index"));
    (dir, index)
}

/// As a node opens it: answers come from what was checked.
fn reopen(files: &Path) -> LocalIndex {
    let index = LocalIndex::open(files, key()).unwrap();
    while index.check().unwrap() {}
    index
}

/// Reads what is missing of a log of so many leaves, as an indexer does.
fn fill(index: &LocalIndex, origin: &str, leaves: u64) {
    while index.check().unwrap() {}
    for gap in index.gaps(origin).unwrap() {
        let mut from = gap.start;
        while from < gap.end.min(leaves) {
            let to = (from + 16).min(gap.end).min(leaves);
            let rows: Vec<Row> = (from..to).map(|at| row(origin, at)).collect();
            index.put(origin, from..to, &rows).unwrap();
            from = to;
        }
    }
}

fn conditions(of: &[(&str, &str)]) -> Conditions {
    let mut all = Conditions::default();
    for (key, value) in of {
        all.set(key, value).unwrap();
    }
    all
}

/// Every hit, page by page.
fn all(index: &LocalIndex, conditions: &Conditions, page: usize) -> Vec<Hit> {
    let (mut hits, mut after) = (Vec::<Hit>::new(), None);
    loop {
        let found = index.search(conditions, after.as_ref(), page).unwrap();
        assert!(found.hits.len() <= page);
        hits.extend(found.hits);
        if !found.more {
            return hits;
        }
        after = hits.last().map(Hit::cursor);
    }
}

fn expected(conditions: &Conditions, leaves: u64) -> Vec<(u64, Arc<str>)> {
    let rows = [ORIGIN_A, ORIGIN_B]
        .into_iter()
        .flat_map(|origin| (0..leaves).map(move |at| row(origin, at)));
    let mut taken: Vec<Row> = rows.filter(|row| conditions.take(row)).collect();
    taken.sort_by_key(|row| (row.hlc, row.index, row.origin.clone()));
    taken
        .into_iter()
        .map(|row| (row.index, row.origin))
        .collect()
}

fn check(index: &LocalIndex, conditions: &Conditions, leaves: u64) {
    for page in [3, 1_000] {
        let found = all(index, conditions, page);
        let found: Vec<_> = found
            .into_iter()
            .map(|hit| (hit.index, hit.origin))
            .collect();
        assert_eq!(found, expected(conditions, leaves), "{conditions:?}");
    }
}

/// Puts another file there, as a restored copy would be.
fn replace(path: &Path, content: &str) {
    let other = path.with_extension("other");
    fs::write(&other, content).unwrap();
    fs::rename(other, path).unwrap();
}

/// What there is to find by.
fn questions() -> Vec<Conditions> {
    let task = TaskId::from_bits(3).to_string();
    let family = TaskId::from_bits(900).to_string();
    let instance = InstanceId::from_bits(1).to_string();
    let lease = LeaseId::from_bits(14).to_string();
    let id = row(ORIGIN_A, 9).id.to_string();
    let cause = row(ORIGIN_A, 9).cause.unwrap().to_string();
    let of: &[&[(&str, &str)]] = &[
        &[],
        &[("type", "tool")],
        &[("type", "tool.result")],
        &[("type", "task")],
        &[("task", &task)],
        &[("task", &family)],
        &[("agent", "parent")],
        &[("agent", "coder")],
        &[("agent", "nobody")],
        &[("instance", &instance)],
        &[("user", "usr_1"), ("decision", "deny")],
        &[("tool", "push_files"), ("decision", "step_up")],
        &[("server", "github"), ("effect", "write")],
        &[("effect", "read")],
        &[("code", "no_permit"), ("actor", "uid:0")],
        &[("lease", &lease)],
        &[("label", "untrusted"), ("agent", "triage")],
        &[("id", &id)],
        &[("cause", &cause)],
        &[("node", "node-2"), ("type", "tool.intent")],
        &[("node", "node-3")],
        &[("text", "GitHub push files")],
        &[("text", "übergröße")],
        &[("text", "fine")],
        &[("since", "2023-11-15"), ("until", "2023-11-16T12:00:00Z")],
        &[("since", "2023-11-16"), ("until", "2023-11-15")],
        &[("since", "2023-11-15"), ("agent", "parent")],
    ];
    let mut questions: Vec<_> = of.iter().map(|of| conditions(of)).collect();
    let resource = conditions(&[("resource", "acme/web")]);
    questions.push(resource.clone().with_token(Token(-2)));
    questions.push(resource);
    questions
}

#[test]
fn every_condition_is_answered_as_it_says() {
    let (_dir, index) = open();
    fill(&index, ORIGIN_A, 60);
    fill(&index, ORIGIN_B, 60);
    for question in questions() {
        check(&index, &question, 60);
    }
    let hit = index.find(row(ORIGIN_B, 41).id).unwrap().unwrap();
    assert_eq!(hit.index, 41);
    assert_eq!(index.find(Id::from_bits(77)).unwrap(), None);
}

#[test]
fn what_is_lost_is_a_gap_and_comes_back_equal() {
    let (dir, index) = open();
    let files = dir.path().join("index");
    fill(&index, ORIGIN_A, 60);
    fill(&index, ORIGIN_B, 60);
    let fresh = dump(&files);
    assert_eq!(fresh.len(), 10, "days and catalog: {:?}", fresh.keys());
    let end = std::slice::from_ref(&(60..u64::MAX)).to_vec();
    assert_eq!(index.gaps(ORIGIN_A).unwrap(), end);
    // A day deleted under the open index, one truncated to nonsense, the catalog, everything; then the same with the index closed.
    let harms: [Harm; 5] = [
        |files| fs::remove_file(files.join("2023-11-16.db")).unwrap(),
        |files| replace(&files.join("2023-11-17.db"), &"nonsense ".repeat(4_000)),
        |files| fs::remove_file(files.join("catalog.db")).unwrap(),
        |files| replace(&files.join("catalog.db"), "no catalog"),
        |files| {
            for file in fs::read_dir(files).unwrap() {
                fs::remove_file(file.unwrap().path()).unwrap();
            }
        },
    ];
    let mut index = Some(index);
    for (at, harm) in harms.into_iter().enumerate() {
        for closed in [false, true] {
            if closed {
                drop(index.take());
            }
            harm(&files);
            let open = index.take();
            let open = open.unwrap_or_else(|| reopen(&files));
            // Whoever asks meanwhile gets less, or is told so, and never something else.
            for question in questions().into_iter().step_by(6) {
                if let Ok(found) = open.search(&question, None, 1_000) {
                    let wanted = expected(&question, 60);
                    assert!(
                        found
                            .hits
                            .iter()
                            .all(|hit| wanted.contains(&(hit.index, hit.origin.clone())))
                    );
                }
            }
            for _ in 0..2 {
                fill(&open, ORIGIN_A, 60);
                fill(&open, ORIGIN_B, 60);
            }
            assert_eq!(
                open.gaps(ORIGIN_A).unwrap(),
                end,
                "harm {at}, closed {closed}"
            );
            assert_eq!(dump(&files), fresh, "harm {at}, closed {closed}");
            index = Some(open);
        }
    }
    let index = index.unwrap();
    for question in questions() {
        check(&index, &question, 60);
    }
}

#[test]
fn a_stop_between_day_and_catalog_changes_nothing() {
    let (dir, index) = open();
    let files = dir.path().join("index");
    fill(&index, ORIGIN_A, 60);
    let fresh = dump(&files);
    drop(index);
    fs::remove_dir_all(&files).unwrap();
    let index = reopen(&files);
    // The catalog as it was before the last batches: days know more than it does.
    fill(&index, ORIGIN_A, 16);
    drop(index);
    let kept = fs::read(files.join("catalog.db")).unwrap();
    let index = reopen(&files);
    fill(&index, ORIGIN_A, 40);
    drop(index);
    file::remove(&files.join("catalog.db")).unwrap();
    fs::write(files.join("catalog.db"), kept).unwrap();
    // A day as it was before: the catalog knows more than it does.
    let index = reopen(&files);
    fill(&index, ORIGIN_A, 60);
    drop(index);
    let connection = rusqlite::Connection::open(files.join("2023-11-18.db")).unwrap();
    connection
        .execute_batch("DELETE FROM event WHERE place & 0xff > 26; UPDATE progress SET next = 27")
        .unwrap();
    drop(connection);
    let index = reopen(&files);
    assert!(index.gaps(ORIGIN_A).unwrap().len() > 1);
    fill(&index, ORIGIN_A, 60);
    assert_eq!(index.gaps(ORIGIN_A).unwrap().len(), 1);
    for question in questions() {
        let found = all(&index, &question, 1_000);
        let wanted = expected(&question, 60);
        let wanted: Vec<_> = wanted
            .into_iter()
            .filter(|(_, origin)| &**origin == ORIGIN_A)
            .collect();
        let found: Vec<_> = found
            .into_iter()
            .map(|hit| (hit.index, hit.origin))
            .collect();
        assert_eq!(found, wanted, "{question:?}");
    }
    assert_eq!(
        dump(&files).keys().collect::<Vec<_>>(),
        fresh.keys().collect::<Vec<_>>()
    );
}

#[test]
fn what_is_put_twice_is_there_once() {
    let (dir, index) = open();
    let files = dir.path().join("index");
    fill(&index, ORIGIN_A, 40);
    let once = dump(&files);
    let rows: Vec<Row> = (10..30).map(|at| row(ORIGIN_A, at)).collect();
    index.put(ORIGIN_A, 10..30, &rows).unwrap();
    assert_eq!(dump(&files), once);
    // What was skipped is a gap.
    index
        .put(
            ORIGIN_B,
            5..10,
            &(5..10).map(|at| row(ORIGIN_B, at)).collect::<Vec<_>>(),
        )
        .unwrap();
    assert_eq!(
        index.gaps(ORIGIN_B).unwrap(),
        std::slice::from_ref(&(0..u64::MAX))
    );
}

#[test]
fn pruned_days_are_gone_and_no_gap() {
    let (dir, index) = open();
    fill(&index, ORIGIN_A, 40);
    index.prune("2023-11-16").unwrap();
    index.prune("2023-11-15").unwrap();
    let mut index = Some(index);
    for _ in 0..2 {
        let index = index
            .take()
            .unwrap_or_else(|| reopen(&dir.path().join("index")));
        assert_eq!(
            index.gaps(ORIGIN_A).unwrap(),
            std::slice::from_ref(&(40..u64::MAX))
        );
        let found = all(&index, &Conditions::default(), 1_000);
        assert!(
            found
                .iter()
                .all(|hit| day_of(hit.hlc).as_str() >= "2023-11-16")
        );
        assert!(!found.is_empty());
        let rows: Vec<Row> = (0..2).map(|at| row(ORIGIN_A, at)).collect();
        index.put(ORIGIN_A, 0..2, &rows).unwrap();
        assert!(!dir.path().join("index/2023-11-14.db").exists());
    }
}

#[test]
fn clearing_leaves_one_gap() {
    let (_dir, index) = open();
    fill(&index, ORIGIN_A, 40);
    index.clear().unwrap();
    assert_eq!(
        index.gaps(ORIGIN_A).unwrap(),
        std::slice::from_ref(&(0..u64::MAX))
    );
    assert_eq!(all(&index, &Conditions::default(), 10), []);
    fill(&index, ORIGIN_A, 40);
    assert_eq!(all(&index, &Conditions::default(), 10).len(), 40);
}

#[test]
fn a_forgotten_token_is_in_no_file() {
    let (dir, index) = open();
    // All in one day, with a token that can be recognised byte for byte, in many rows so that pages fill and split.
    let canary = i64::from_be_bytes(*b"\x6cANARY!!");
    let rows: Vec<Row> = (0..3_000)
        .map(|at| Row {
            hlc: (START + at) << 16,
            tokens: if at % 2 == 0 {
                vec![Token(canary), Token(i64::try_from(at).unwrap())]
            } else {
                vec![Token(5)]
            },
            ..row(ORIGIN_A, at)
        })
        .collect();
    for rows in rows.chunks(500) {
        let (first, last) = (rows.first().unwrap().index, rows.last().unwrap().index);
        index.put(ORIGIN_A, first..last + 1, rows).unwrap();
    }
    let concerned: Vec<u64> = (0..3_000).filter(|at| at % 2 == 0).collect();
    assert_eq!(index.with_tokens(ORIGIN_A, 0, 10_000).unwrap().len(), 3_000);
    assert_eq!(
        index.with_tokens(ORIGIN_A, 2_990, 3).unwrap(),
        [2_990, 2_991, 2_992]
    );
    let holds = |dir: &TempDir| {
        let files = fs::read_dir(dir.path().join("index")).unwrap();
        files.filter_map(Result::ok).any(|file| {
            let bytes = fs::read(file.path()).unwrap_or_default();
            bytes.windows(8).any(|window| window == b"\x6cANARY!!")
        })
    };
    assert!(holds(&dir), "the test cannot see a token");
    index.forget(ORIGIN_A, &concerned).unwrap();
    assert!(!holds(&dir));
    assert_eq!(index.with_tokens(ORIGIN_A, 0, 10_000).unwrap().len(), 1_500);
    let asked = conditions(&[("resource", "x")]);
    assert_eq!(
        all(&index, &asked.clone().with_token(Token(canary)), 100),
        []
    );
    assert_eq!(all(&index, &asked.with_token(Token(5)), 1_000).len(), 1_500);
    // Everything else is found as before.
    assert_eq!(
        all(&index, &conditions(&[("text", "github")]), 1_000).len(),
        3_000
    );
}

#[test]
fn files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, index) = open();
    fill(&index, ORIGIN_A, 20);
    let files = dir.path().join("index");
    assert_eq!(
        files.metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );
    for file in fs::read_dir(&files).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.path().display());
    }
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just("\" OR text : *".to_owned()),
        Just("NEAR(a b) AND NOT \"".to_owned()),
        Just("a\0b '; DROP TABLE event; --".to_owned()),
        Just("\u{202e}evil\u{2066} words".to_owned()),
        Just("x".repeat(100_000)),
    ]
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(24))]

    /// Whatever stands in events and in questions, the index answers as the conditions say.
    #[test]
    fn hostile_text_is_text(texts in proptest::collection::vec(hostile(), 1..6), asked in hostile()) {
        let (_dir, index) = open();
        let rows: Vec<Row> = (0..).zip(&texts).map(|(at, text)| {
            let mut one = row(ORIGIN_A, at);
            one.values.push((Key::Code, text.clone()));
            one.words = words(text);
            one.hlc = START << 16 | at;
            one
        }).collect();
        index.put(ORIGIN_A, 0..rows.len() as u64, &rows).unwrap();
        for text in texts.iter().chain([&asked]) {
            for key in ["text", "code", "agent", "user"] {
                let mut conditions = Conditions::default();
                if conditions.set(key, text).is_err() {
                    continue;
                }
                let found: Vec<u64> = all(&index, &conditions, 2).iter().map(|hit| hit.index).collect();
                let wanted: Vec<u64> = rows.iter().filter(|row| conditions.take(row)).map(|row| row.index).collect();
                prop_assert_eq!(found, wanted, "{:?}", conditions);
            }
        }
        prop_assert!(index.gaps(ORIGIN_A).unwrap().len() == 1);
    }
}

/// What the files hold, in words: the same for two indexes of the same rows, in whatever order they were made.
fn dump(files: &Path) -> BTreeMap<String, Vec<String>> {
    let mut dumped = BTreeMap::new();
    for file in fs::read_dir(files).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_none_or(|extension| extension != "db") {
            continue;
        }
        let connection = rusqlite::Connection::open(&path).unwrap();
        let place = "(SELECT value FROM term WHERE code = place >> 40), place & 0xffffffffff";
        let term = |column: &str| format!("(SELECT value FROM term WHERE code = {column})");
        let columns = [
            "type", "task", "agent", "instance", "user", "actor", "server", "tool", "code", "lease",
        ];
        let columns = columns.map(term).join(", ");
        let queries = if name == "catalog.db" {
            vec![
                "SELECT * FROM log".to_owned(),
                "SELECT * FROM day".to_owned(),
                "SELECT * FROM seen".to_owned(),
            ]
        } else {
            vec![
                format!(
                    "SELECT {place}, hlc, hex(id), effect, decision, hex(cause), {columns} FROM event"
                ),
                format!("SELECT {place}, hlc, {} FROM mention", term("term")),
                format!("SELECT {place}, token FROM resource"),
                format!(
                    "SELECT (SELECT value FROM term WHERE code = rowid >> 40), rowid & 0xffffffffff FROM words WHERE words MATCH 'github'"
                ),
                "SELECT origin FROM progress".to_owned(),
            ]
        };
        let mut lines = Vec::new();
        for sql in queries {
            let mut statement = connection.prepare(&sql).unwrap();
            let width = statement.column_count();
            let mut rows = statement.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let cells = (0..width).map(|at| format!("{:?}", row.get_ref(at).unwrap()));
                lines.push(cells.collect::<Vec<_>>().join(" "));
            }
        }
        lines.sort();
        dumped.insert(name, lines);
    }
    dumped
}
