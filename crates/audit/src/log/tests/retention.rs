//! What is older than it is kept goes: on record first, a week later, whatever stops on the way; what is left is proven as before.

use super::*;
use crate::fixtures::TestDisk;
use crate::proof::Proof;
use crate::retention::Minimum;
use crate::state::State;

const DAY: i64 = 24 * 3_600 * 1_000_000;

/// A log under a clock that the test sets.
struct Aging {
    bench: Bench,
    clock: Arc<JumpingClock>,
}

impl Aging {
    fn new() -> Self {
        let clock = Arc::new(JumpingClock::at(1_700_000_000_000_000));
        let mut bench = Bench::new();
        bench.clock = clock.clone();
        Self { bench, clock }
    }

    fn pass(&self, days: i64) {
        self.clock.pass(days * DAY);
    }

    /// 600 events with values, and enough behind them that their segments are retired; closed.
    async fn filled() -> (Self, Vec<Receipt>) {
        let aging = Self::new();
        let log = aging.bench.open();
        let answers: Vec<_> = (0..600)
            .map(|at| log.record(intent(format!("value {at}").as_bytes()), Class::Grant))
            .collect();
        let mut receipts = Vec::new();
        for answer in answers {
            receipts.push(answer.await.unwrap());
        }
        for _ in 0..12 {
            log.record(intent(&vec![b'v'; 200 << 10]), Class::Grant)
                .await
                .unwrap();
        }
        drop(log);
        assert!(aging.state().base.index > 600);
        (aging, receipts)
    }

    fn state(&self) -> State {
        State::read(self.bench.dir.path()).unwrap()
    }

    fn directory(&self) -> Directory {
        Directory::new(self.bench.dir.path().to_path_buf())
    }

    /// Opens the log and waits until its state is as wanted; closes it again.
    fn until(&self, wanted: impl Fn(&State) -> bool) {
        let log = self.bench.open();
        let deadline = SystemClockNow::deadline();
        while !wanted(&self.state()) {
            // No event is recorded meanwhile: what there is to prune must not change while it is waited for.
            log.wake.urge();
            assert!(!deadline.over(), "{:?}", self.state());
            std::thread::yield_now();
        }
        log.close();
    }

    fn announced(&self) {
        self.until(|state| state.announced.is_some());
    }

    fn gone(&self) {
        self.until(|state| state.gone == state.minimum && state.announced.is_none());
    }
}

/// A generous end of waiting.
struct SystemClockNow(Duration);

impl SystemClockNow {
    fn deadline() -> Self {
        Self(bailiwick_crypto::system::SystemClock.monotonic() + Duration::from_mins(1))
    }

    fn over(&self) -> bool {
        bailiwick_crypto::system::SystemClock.monotonic() > self.0
    }
}

fn code(outcome: Result<impl std::fmt::Debug, impl Fault>) -> Code {
    outcome.unwrap_err().code()
}

#[tokio::test]
async fn what_is_old_is_announced_and_goes_a_week_later() {
    let (aging, receipts) = Aging::filled().await;
    let directory = aging.directory();
    let proof = directory.prove(receipts[550].index).unwrap();
    let old_proof = directory.prove(receipts[5].index).unwrap();
    // Nothing is old.
    drop(aging.bench.open());
    assert_eq!(aging.state().announced, None);

    // Values are: they go, leaves stay.
    aging.pass(90);
    aging.announced();
    let announced = aging.state().announced.unwrap();
    assert_eq!(
        announced.minimum,
        Minimum {
            leaves: 0,
            values: 512
        }
    );
    let said = directory.entry(announced.event).unwrap().unwrap();
    let said = said.parse().unwrap().event;
    assert_eq!(said.kind, EventType::LogRetention);
    assert_eq!(said.change.unwrap().id, "0/512");
    aging.pass(6);
    drop(aging.bench.open());
    directory.reveal(receipts[5].index, &[kek()]).unwrap();
    aging.pass(1);
    aging.gone();
    assert_eq!(
        code(directory.reveal(receipts[5].index, &[kek()])),
        Code::Pruned
    );
    assert_eq!(
        directory.reveal(receipts[550].index, &[kek()]).unwrap()[0]
            .value
            .expose(),
        b"value 550"
    );
    let keys_file = fs::read(aging.bench.dir.path().join("keys/000")).unwrap();
    assert!(keys_file[..512 * 64].iter().all(|byte| *byte == 0));
    assert!(!aging.bench.dir.path().join("payload/000").exists());
    directory.prove(receipts[5].index).unwrap();

    // Leaves are.
    aging.pass(400);
    aging.announced();
    aging.pass(7);
    aging.gone();
    let minimum = aging.directory().minimum().unwrap();
    assert!(minimum >= 512, "{:?}", aging.state());
    for gone in [
        "tile/entries/000",
        "tile/entries/001",
        "tile/0/000",
        "tile/0/001",
    ] {
        assert!(!aging.bench.dir.path().join(gone).exists(), "{gone}");
    }
    let refused = directory.entry(5).unwrap_err();
    assert_eq!(refused.code(), Code::Pruned);
    let by = aging.state().retained_by.unwrap();
    assert!(refused.to_string().contains(&by.to_string()), "{refused}");
    assert_eq!(code(directory.prove(5)), Code::Pruned);
    let first = directory.entries(0).next().unwrap().unwrap();
    assert_eq!(first.index, minimum);
    let read: Vec<u64> = directory
        .entries(3)
        .map(|entry| entry.unwrap().index)
        .collect();
    assert!(read.is_sorted_by(|left, right| left + 1 == *right));
    // What is left is proven, by new proofs and by those that somebody kept.
    for proof in [&proof, &old_proof] {
        proof.verify(&keys()).unwrap();
    }
    let last = *read.last().unwrap();
    for index in [minimum, last] {
        let proof = directory.prove(index).unwrap().to_string();
        Proof::parse(&proof).unwrap().verify(&keys()).unwrap();
    }
    match verify(aging.bench.dir.path(), &keys()) {
        Verdict::Proven(report) => assert_eq!(report.pruned, minimum),
        other => panic!("{other:?}"),
    }
    grant(&aging.bench.open()).await.unwrap();
}

#[tokio::test]
async fn a_stop_at_any_step_of_pruning_is_resumed() {
    let (aging, _) = Aging::filled().await;
    aging.pass(400);
    aging.announced();
    aging.pass(7);
    let intact: Vec<_> = files(aging.bench.dir.path())
        .into_iter()
        .map(|file| (file.clone(), fs::read(file).unwrap()))
        .collect();
    let (mut resumed, mut steps) = (0, 0);
    loop {
        let mut run = Aging {
            bench: Bench {
                dir: tempfile::tempdir().unwrap(),
                ..Bench::new()
            },
            clock: aging.clock.clone(),
        };
        run.bench.clock = aging.clock.clone();
        for (file, bytes) in &intact {
            let below = file.strip_prefix(aging.bench.dir.path()).unwrap();
            let file = run.bench.dir.path().join(below);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
        let mut state = run.state();
        let directory = run.directory();
        let disk = TestDisk::default();
        disk.left.store(steps, Ordering::SeqCst);
        let mut pruner = crate::retention::Pruner::new(crate::retention::Retention {
            leaves: Duration::from_hours(400 * 24),
            values: Duration::from_hours(90 * 24),
            hold_from: None,
        });
        let now = (run.clock.wall(), Duration::ZERO);
        let step = pruner.step(&mut state, &directory, 512, now).unwrap();
        assert!(step.changed);
        let mut done = state.write(&disk, run.bench.dir.path()).is_ok();
        while done {
            match crate::retention::prune(&disk, run.bench.dir.path(), &mut state) {
                Ok(true) => done = state.write(&disk, run.bench.dir.path()).is_ok(),
                Ok(false) => break,
                Err(_) => done = false,
            }
        }
        let before = verify(run.bench.dir.path(), &keys());
        assert_eq!(before.exit_code(), 0, "{steps}: {before:?}");
        run.gone();
        let minimum = run.directory().minimum().unwrap();
        assert!(minimum >= 512, "{steps}");
        assert!(!run.bench.dir.path().join("tile/0/001").exists(), "{steps}");
        let after = verify(run.bench.dir.path(), &keys());
        assert_eq!(after.exit_code(), 0, "{steps}: {after:?}");
        if done {
            break;
        }
        resumed += 1;
        steps += 6;
    }
    assert!(resumed > 2, "no stop came in the middle");
}

#[tokio::test]
async fn a_hold_keeps_what_is_old() {
    let (aging, receipts) = Aging::filled().await;
    let held = |hold_from| {
        let log = Log::open(Options {
            hold_from,
            ..aging.bench.options()
        });
        log.unwrap()
    };
    let recorded = Timestamp::from_secs(1_700_000_000);
    aging.pass(1_000);
    drop(held(Some(recorded)));
    assert_eq!(aging.state().announced, None);
    // A hold that comes after the announcement counts as much.
    aging.announced();
    aging.pass(7);
    let log = held(Some(recorded));
    let deadline = SystemClockNow::deadline();
    while aging.state().announced.is_some() {
        log.wake.urge();
        assert!(!deadline.over());
        std::thread::yield_now();
    }
    drop(log);
    assert_eq!(aging.state().minimum, Minimum::default());
    aging
        .directory()
        .reveal(receipts[0].index, &[kek()])
        .unwrap();
}

#[tokio::test]
async fn leaves_that_are_missing_without_a_word_are_noticed() {
    let (aging, _) = Aging::filled().await;
    let dir = aging.bench.dir.path();
    for gone in ["tile/entries/000", "tile/0/000"] {
        fs::remove_file(dir.join(gone)).unwrap();
    }
    assert_eq!(verify(dir, &keys()).exit_code(), 6);
    let mut state = aging.state();
    state.minimum.leaves = 256;
    state.write(&TestDisk::default(), dir).unwrap();
    match verify(dir, &keys()) {
        Verdict::Altered(alteration) => {
            assert_eq!(alteration.what, crate::verify::Altered::Missing);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn values_that_are_not_to_be_kept_are_committed_to_only() {
    use crate::seal::Payload;

    for (payload, args, result) in [
        (Payload::ArgsAndResult, true, true),
        (Payload::Args, true, false),
        (Payload::None, false, false),
    ] {
        let bench = Bench::new();
        let log = Log::open(Options {
            payload,
            ..bench.options()
        })
        .unwrap();
        let mut call = intent(b"args");
        let mut answer = call.sealed[0].clone();
        answer.path = "/result";
        call.sealed.push(answer);
        let receipt = log.record(call, Class::Grant).await.unwrap();
        let leaf = log.directory().entry(receipt.index).unwrap().unwrap();
        let kept: Vec<bool> = leaf
            .parse()
            .unwrap()
            .sealed
            .iter()
            .map(|one| one.kept)
            .collect();
        assert_eq!(kept, [args, result], "{payload:?}");
    }
}
