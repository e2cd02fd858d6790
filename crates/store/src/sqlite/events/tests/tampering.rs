//! Somebody with the files and without the key alters, adds or takes away rows: nothing is answered from such a file, and it is made again.

use rusqlite::Connection;

use super::*;

/// A day of the test's rows, with some before and behind it.
const DAY: &str = "2023-11-16";
const LEAVES: u64 = 60;

/// What a curious operator may try, in words of SQL.
const TRICKS: [&str; 12] = [
    "DELETE FROM event WHERE place = (SELECT max(place) FROM event)",
    "DELETE FROM event",
    "DELETE FROM mention",
    "DELETE FROM resource",
    "UPDATE event SET task = (SELECT code FROM term WHERE kind = 'agent' LIMIT 1)",
    "UPDATE event SET hlc = hlc + 65536 WHERE place = (SELECT min(place) FROM event)",
    "UPDATE event SET decision = 1 WHERE decision = 2",
    "UPDATE event SET cause = NULL",
    "UPDATE term SET value = 'nobody' WHERE kind = 'agent' AND value = 'coder'",
    "INSERT INTO event (place, hlc, id, type) SELECT place + 500, hlc, id, type FROM event LIMIT 1",
    "UPDATE progress SET next = next + 1000",
    "DELETE FROM tally",
];
/// And in the catalog.
const CATALOG_TRICKS: [&str; 6] = [
    "DELETE FROM seen WHERE kind = 'agent'",
    "UPDATE seen SET value = 'x' || value",
    "DELETE FROM day WHERE day = '2023-11-16'",
    "UPDATE day SET last = first + 1",
    "UPDATE log SET next = next + 40",
    "INSERT INTO pruned VALUES ('2023-11-20')",
];

/// Rows changed by it.
fn play(file: &Path, trick: &str) -> usize {
    let connection = Connection::open(file).unwrap();
    connection.execute(trick, []).unwrap()
}

fn covers(unknown: &[Range<u64>], leaf: u64) -> bool {
    unknown.iter().any(|range| range.contains(&leaf))
}

/// Every question is answered with all there is, but for leaves that the index says it does not know.
fn answers_are_whole_or_said_to_be_partial(index: &LocalIndex, why: &str) {
    for question in asked() {
        let before = index.unknown(ORIGIN_A).unwrap();
        let Ok(found) = index.places(ORIGIN_A, &question, 0, 1_000) else {
            continue;
        };
        let after = index.unknown(ORIGIN_A).unwrap();
        let wanted = expected(&question, LEAVES).into_iter();
        let wanted = wanted.filter(|(_, origin)| &**origin == ORIGIN_A);
        let known = |leaf: u64| !covers(&before, leaf) && !covers(&after, leaf);
        let wanted: Vec<u64> = wanted
            .map(|(leaf, _)| leaf)
            .filter(|at| known(*at))
            .collect();
        let found: Vec<u64> = found.into_iter().filter(|at| known(*at)).collect();
        assert_eq!(found, wanted, "{why}: {question:?}");
    }
}

/// One for each table and column that was touched.
fn asked() -> Vec<Conditions> {
    let task = TaskId::from_bits(900).to_string();
    let cause = row(ORIGIN_A, 33).cause.unwrap().to_string();
    let mut asked = vec![
        conditions(&[]),
        conditions(&[("task", &task)]),
        conditions(&[("agent", "coder"), ("decision", "allow")]),
        conditions(&[("cause", &cause)]),
    ];
    asked.push(conditions(&[("resource", "acme/web")]).with_token(Token(1)));
    asked
}

fn all_is_well_again(index: &LocalIndex, why: &str) {
    for _ in 0..2 {
        fill(index, ORIGIN_A, LEAVES);
    }
    let end = std::slice::from_ref(&(LEAVES..u64::MAX)).to_vec();
    assert_eq!(index.unknown(ORIGIN_A).unwrap(), end, "{why}");
    answers_are_whole_or_said_to_be_partial(index, why);
}

#[test]
fn rows_that_somebody_else_touched_hide_nothing() {
    let (dir, index) = open();
    let files = dir.path().join("index");
    fill(&index, ORIGIN_A, LEAVES);
    let newest = row(ORIGIN_A, LEAVES - 1).day();
    let mut index = Some(index);
    // A day that is closed, the one that is written, and the catalog; while the index is open, and while it is not.
    let written = TRICKS
        .iter()
        .step_by(4)
        .map(|trick| (newest.as_str(), trick));
    let days = TRICKS.iter().map(|trick| (DAY, trick)).chain(written);
    let tricks = days.chain(CATALOG_TRICKS.iter().map(|trick| ("catalog", trick)));
    for (at, (file, trick)) in tricks.enumerate() {
        let closed = at % 2 == 0;
        let why = format!("{trick} in {file}, closed {closed}");
        if closed {
            drop(index.take());
        }
        let changed = play(&files.join(format!("{file}.db")), trick);
        assert!(changed > 0 || file == newest, "{trick} changes nothing");
        let open = index.take();
        let open = open.unwrap_or_else(|| LocalIndex::open(&files, key()).unwrap());
        let touched = expected(&Conditions::default(), LEAVES).into_iter();
        let touched = touched.filter(|(leaf, origin)| {
            &**origin == ORIGIN_A && (file == "catalog" || row(ORIGIN_A, *leaf).day() == file)
        });
        let unknown = open.unknown(ORIGIN_A).unwrap();
        for (leaf, _) in touched.filter(|_| changed > 0) {
            assert!(
                covers(&unknown, leaf),
                "{why}: {leaf} is not in {unknown:?}"
            );
        }
        answers_are_whole_or_said_to_be_partial(&open, &why);
        while open.check().unwrap() {}
        answers_are_whole_or_said_to_be_partial(&open, &why);
        all_is_well_again(&open, &why);
        index = Some(open);
    }
}

#[test]
fn a_file_of_another_day_key_or_time_is_not_believed() {
    let (dir, index) = open();
    let files = dir.path().join("index");
    fill(&index, ORIGIN_A, LEAVES);
    drop(index);
    // One day in place of another.
    fs::copy(files.join("2023-11-17.db"), files.join(format!("{DAY}.db"))).unwrap();
    let index = LocalIndex::open(&files, key()).unwrap();
    answers_are_whole_or_said_to_be_partial(&index, "another day");
    all_is_well_again(&index, "another day");
    drop(index);
    // The key of another node: all of it is made again.
    let index = LocalIndex::open(&files, Secret::new([4; 32])).unwrap();
    assert_eq!(
        index.unknown(ORIGIN_A).unwrap(),
        std::slice::from_ref(&(0..u64::MAX))
    );
    drop(index);
    let index = reopen(&files);
    all_is_well_again(&index, "another key");
    // What only reads changes nothing.
    let reader = Connection::open(files.join(format!("{DAY}.db"))).unwrap();
    let count = |sql| {
        reader
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    assert!(count("SELECT count(*) FROM event") > 0);
    drop(reader);
    assert_eq!(
        index.unknown(ORIGIN_A).unwrap(),
        std::slice::from_ref(&(LEAVES..u64::MAX))
    );
}

#[test]
fn places_and_links_are_those_of_one_log() {
    let (_dir, index) = open();
    fill(&index, ORIGIN_A, LEAVES);
    fill(&index, ORIGIN_B, 30);
    let denied = conditions(&[("decision", "deny")]);
    let of = |origin, from, limit| index.places(origin, &denied, from, limit).unwrap();
    let wanted: Vec<u64> = (0..LEAVES).filter(|at| at % 3 == 1).collect();
    assert_eq!(of(ORIGIN_A, 0, 100), wanted);
    assert_eq!(of(ORIGIN_A, 40, 100), wanted[13..]);
    assert_eq!(of(ORIGIN_A, 2, 4), wanted[1..5]);
    assert_eq!(of(ORIGIN_B, 0, 100), wanted[..10]);
    assert_eq!(of("example.org/node-3", 0, 100), [] as [u64; 0]);

    // The rows name small numbers as what set them off; drawn long before, so that every day is looked through.
    let cause = row(ORIGIN_A, 41).cause.unwrap();
    let event = row(ORIGIN_A, 8).id;
    assert_eq!(index.linked(ORIGIN_A, &[cause, event]).unwrap(), [8, 41]);
    assert_eq!(index.linked(ORIGIN_B, &[cause, event]).unwrap(), [8]);
    assert_eq!(index.linked(ORIGIN_A, &[]).unwrap(), [] as [u64; 0]);
}
