//! A wall clock that is set or stands still: logical time goes on, the record says so, and nothing is destroyed early.

use super::*;
use crate::state::State;

const HOUR: i64 = 3_600 * 1_000_000;
const DAY: i64 = 24 * HOUR;
const START: i64 = 1_700_000_000_000_000;

fn bench() -> (Bench, Arc<JumpingClock>) {
    let clock = Arc::new(JumpingClock::at(START));
    let mut bench = Bench::new();
    bench.clock = clock.clone();
    (bench, clock)
}

/// Records until so many anomalies are on record; gives what they say.
async fn anomalies(log: &Log, wanted: usize) -> Vec<String> {
    let found = async {
        loop {
            let leaves = leaves(&log.directory());
            let anomalies = leaves
                .into_iter()
                .filter(|leaf| leaf.event.kind == EventType::LogClockAnomaly)
                .map(|leaf| leaf.event.change.unwrap().after.unwrap());
            let anomalies: Vec<String> = anomalies.collect();
            if anomalies.len() >= wanted {
                return anomalies;
            }
            // Each event wakes the thread that looks at the clock.
            grant(log).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_mins(1), found)
        .await
        .unwrap()
}

#[tokio::test]
async fn clock_jump() {
    let (bench, clock) = bench();
    let mut said = 0;
    for jump in [HOUR, -HOUR, -DAY, DAY] {
        let log = bench.open();
        grant(&log).await.unwrap();
        clock.jump(jump);
        said += 1;
        let words = anomalies(&log, said).await;
        assert_eq!(words.len(), said, "{words:?}");
        grant(&log).await.unwrap();
    }
    // And one that stands still.
    let log = bench.open();
    clock.stand_still(HOUR);
    let words = anomalies(&log, said + 1).await;
    let wanted = [
        "3600 s ahead",
        "agrees again",
        "86400 s behind",
        "agrees again",
        "3600 s behind",
    ];
    assert_eq!(words.len(), wanted.len(), "{words:?}");
    for (words, wanted) in words.iter().zip(wanted) {
        assert!(words.contains(wanted), "{words}");
    }
    drop(log);
    let directory = Directory::new(bench.dir.path().to_path_buf());
    let indexes: Vec<u64> = directory
        .entries(0)
        .map(|entry| entry.unwrap().index)
        .collect();
    assert!(indexes.iter().copied().eq(0..indexes.len() as u64));
    let leaves = leaves(&directory);
    let by_hlc = leaves.iter().map(|leaf| leaf.hlc).collect::<BTreeSet<_>>();
    assert_eq!(by_hlc.len(), leaves.len(), "logical time repeats");
    let highest = leaves.iter().map(|leaf| leaf.hlc).max().unwrap();
    assert_eq!(leaves.last().unwrap().hlc, highest);
    assert!(
        !leaves.is_sorted_by_key(|leaf| leaf.ts),
        "the wall clock is recorded as it was"
    );
    assert_proven(&bench);
}

#[tokio::test]
async fn a_clock_set_two_years_ahead_prunes_nothing() {
    let (bench, clock) = bench();
    let log = bench.open();
    for at in 0..600 {
        let answer = log.record(intent(format!("value {at}").as_bytes()), Class::Grant);
        drop(answer.await.unwrap());
    }
    for _ in 0..12 {
        log.record(intent(&vec![b'v'; 200 << 10]), Class::Grant)
            .await
            .unwrap();
    }
    let size = log.size();
    until(&mut log.published(), |published| *published >= size).await;
    clock.jump(730 * DAY);
    anomalies(&log, 1).await;
    assert!(log.is_clock_off());
    // The thread looks for what is old each hour; a day of looks, and a restart of process and machine in between.
    let mut open = Some(log);
    for hour in 0..24 {
        clock.pass(HOUR);
        if hour % 12 == 6 {
            clock.reboot();
            open = None;
        }
        let log = open.get_or_insert_with(|| bench.open());
        for _ in 0..20 {
            grant(log).await.unwrap();
        }
    }
    drop(open);
    let state = State::read(bench.dir.path()).unwrap();
    assert!(state.base.index > 600, "nothing could be pruned anyway");
    assert_eq!(state.announced, None);
    assert_eq!(state.minimum, crate::retention::Minimum::default());
    let directory = Directory::new(bench.dir.path().to_path_buf());
    assert_eq!(
        directory.reveal(5, &[kek()]).unwrap()[0].value.expose(),
        b"value 4"
    );
    let said = leaves(&directory)
        .iter()
        .filter(|leaf| leaf.event.kind == EventType::LogClockAnomaly)
        .count();
    assert_eq!(said, 1, "a restart says it again");
    assert_proven(&bench);
}
