//! An indexer that is stopped anywhere, loses files or meets an erasure ends with the index that a fresh rebuild makes.

use std::collections::BTreeMap;
use std::fs;

use bailiwick_audit::erase::{Erasure, Selector};
use bailiwick_audit::seal::Kek;
use bailiwick_audit::{Class, Options, Recorder};
use bailiwick_core::event::{Action, AgentRef, Event, Sealed, SealedClass};
use bailiwick_core::index::{Conditions, Key};
use bailiwick_core::{Clock, Id, Secret};
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_crypto::note::NoteSigner;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use tempfile::TempDir;

use super::*;

mod lookups;
mod pruning;

const ORIGIN: &str = "example.org/node-1";
const CANARY: &str = "acme/the-canary-repository";

/// A log with calls on it.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) log: Arc<Log>,
}

/// The key that wraps the keys of its events.
pub(crate) fn kek() -> Kek {
    Kek {
        id: 1,
        key: Secret::new([9; 32]),
    }
}

/// What signs its checkpoints.
fn signer() -> NoteSigner {
    let key = Ed25519Key::from_seed(&Secret::new([7; 32])).unwrap();
    NoteSigner::new(ORIGIN, key).unwrap()
}

fn key() -> IndexKey {
    IndexKey::new(Secret::new([5; 32]))
}

impl Bench {
    /// A log with so many calls, of which every tenth names the canary, by two agents in turn.
    pub(crate) async fn of(calls: u64) -> Self {
        let bench = Self::open(tempfile::tempdir().unwrap(), Arc::new(SystemClock)).await;
        bench.record(calls).await;
        bench
    }

    /// The log in a directory, under a clock.
    async fn open(dir: TempDir, clock: Arc<dyn Clock>) -> Self {
        let options = Options {
            segment_size: 2 << 20,
            min_free: 1 << 20,
            ..Options::new(
                dir.path().join("audit"),
                "node-1".into(),
                signer(),
                kek(),
                clock,
                Arc::new(SystemRng),
            )
        };
        let log = spawn_blocking(|| Log::open(options))
            .await
            .unwrap()
            .unwrap();
        Self {
            dir,
            log: Arc::new(log),
        }
    }

    pub(crate) async fn record(&self, calls: u64) {
        let all: Vec<_> = (0..calls)
            .map(|at| {
                let log = Arc::clone(&self.log);
                tokio::spawn(async move { log.record(call(at), Class::Grant).await.unwrap() })
            })
            .collect();
        for one in all {
            one.await.unwrap();
        }
    }

    fn indexer(&self) -> Indexer {
        Indexer::new(Arc::clone(&self.log), key(), self.index())
    }

    fn index(&self) -> PathBuf {
        directory_of(self.dir.path())
    }

    /// What a fresh rebuild in another place finds, by question.
    fn rebuilt(&self) -> Answers {
        let dir = tempfile::tempdir().unwrap();
        let directory = self.log.directory();
        let opener = directory.opener(vec![kek()]);
        let indexed = rebuild(&directory, ORIGIN, &key(), opener, dir.path()).unwrap();
        assert_eq!(indexed, self.log.size());
        answers(&opened(dir.path()))
    }
}

/// An index whose files were checked.
fn opened(dir: &Path) -> LocalIndex {
    let index = LocalIndex::open(dir, key().of_files()).unwrap();
    while index.check().unwrap() {}
    index
}

fn call(at: u64) -> Event {
    let mut event = Event::new(Id::new(&SystemClock, &SystemRng), EventType::ToolIntent);
    event.user = Some(
        if at.is_multiple_of(20) {
            "usr_alice"
        } else {
            "usr_bob"
        }
        .into(),
    );
    event.agent = Some(AgentRef {
        id: if at.is_multiple_of(2) {
            "coder"
        } else {
            "patcher"
        }
        .parse()
        .unwrap(),
        instance: None,
        code_digest: None,
    });
    event.action = Some(Action {
        server: Some("github".parse().unwrap()),
        tool: Some("push_files".parse().unwrap()),
        ..Action::named("tools/call")
    });
    let repository = if at.is_multiple_of(10) {
        CANARY.to_owned()
    } else {
        format!("acme/{at}")
    };
    event.sealed = vec![Sealed {
        path: "/args",
        class: SealedClass::Content,
        value: serde_json::json!({"repository": repository})
            .to_string()
            .into_bytes(),
        keep: true,
    }];
    event
}

type Answers = BTreeMap<String, Vec<u64>>;

fn answers(index: &LocalIndex) -> Answers {
    let mut answers = Answers::new();
    let questions = [
        (Key::Type, "tool"),
        (Key::Type, "log"),
        (Key::Agent, "coder"),
        (Key::User, "usr_alice"),
        (Key::Text, "push github"),
        (Key::Resource, CANARY),
        (Key::Resource, "acme/7"),
    ];
    for (question, value) in questions {
        let conditions = Conditions::default().and(question, value).unwrap();
        let conditions = conditions.with_token(key().token(value));
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = index.search(&conditions, after.as_ref(), 1_000).unwrap();
            after = page.hits.last().map(bailiwick_core::index::Hit::cursor);
            found.extend(page.hits.into_iter().map(|hit| hit.index));
            if !page.more {
                break;
            }
        }
        answers.insert(format!("{question:?} {value}"), found);
    }
    answers
}

fn finish(indexer: &Indexer) {
    while indexer.step().unwrap() {}
}

fn days(bench: &Bench) -> Vec<PathBuf> {
    let files = fs::read_dir(bench.index())
        .unwrap()
        .map(|file| file.unwrap().path());
    files
        .filter(|file| file.extension().is_some_and(|kind| kind == "db"))
        .filter(|file| !file.ends_with("catalog.db"))
        .collect()
}

/// Files below a directory in which the bytes stand.
fn holders(dir: &Path, needle: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for file in fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            found.extend(holders(&path, needle));
        } else if fs::read(&path)
            .unwrap_or_default()
            .windows(needle.len())
            .any(|window| window == needle)
        {
            found.push(path);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn index_lag() {
    let bench = Bench::of(3_000).await;
    let fresh = bench.rebuilt();
    assert_eq!(fresh[&format!("Resource {CANARY}")].len(), 300);

    // Behind by more than is read beside it, the answer says so; behind by less, it is whole.
    let indexer = bench.indexer();
    let asked = || Conditions::default().and(Key::Resource, CANARY).unwrap();
    let nothing = indexer.search(asked(), None, 1_000).unwrap();
    assert_eq!(
        nothing.behind,
        Some(Behind {
            indexed: 0,
            size: bench.log.size()
        })
    );
    assert!(nothing.events.is_empty());
    assert!(indexer.step().unwrap());
    let partly = indexer.search(asked(), None, 1_000).unwrap();
    assert_eq!((partly.behind, partly.events.len()), (None, 300));
    let page = indexer.search(asked(), None, 120).unwrap();
    let behind = indexer.search(asked(), page.next.as_ref(), 1_000).unwrap();
    assert_eq!((page.events.len(), behind.events.len()), (120, 180));

    // Stopped in the middle and opened again; a day deleted, and deleted again while it is made good.
    drop(indexer);
    let indexer = bench.indexer();
    assert!(indexer.step().unwrap());
    for at in 0..3 {
        let open = indexer.index().unwrap();
        if at > 0 {
            for day in days(&bench) {
                fs::remove_file(day).unwrap();
            }
            assert_eq!(first_unknown(&*open, ORIGIN).unwrap(), 0, "nobody noticed");
            assert!(indexer.step().unwrap());
        }
        drop(open);
    }
    finish(&indexer);
    assert_eq!(answers(&indexer.index().unwrap()), fresh);
    assert_eq!(indexer.indexed(), bench.log.size());
    // All of it deleted, with the catalog.
    fs::remove_dir_all(bench.index()).unwrap();
    finish(&indexer);
    assert_eq!(answers(&indexer.index().unwrap()), fresh);
    indexer.reindex().unwrap();
    finish(&indexer);
    assert_eq!(answers(&indexer.index().unwrap()), fresh);
    bench.log.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_erased_goes_from_the_index_and_stays_away() {
    let bench = Bench::of(400).await;
    let indexer = bench.indexer();
    finish(&indexer);
    let before = answers(&indexer.index().unwrap());
    assert_eq!(before[&format!("Resource {CANARY}")].len(), 40);
    let token = key().token(CANARY).0.to_be_bytes();
    assert_eq!(
        holders(&bench.index(), CANARY.as_bytes()),
        [] as [PathBuf; 0]
    );
    // Alice's calls are every other one that names the canary; the others keep it.
    let erasure = |user: &str| Erasure {
        selector: Selector::User(user.into()),
        basis: "request 17".into(),
        actor: "uid:0".into(),
        asked_by: None,
        besides: 0,
    };
    bench.log.erase(erasure("usr_alice")).await.unwrap();
    assert!(indexer.sweep().unwrap());
    finish(&indexer);
    let after = answers(&indexer.index().unwrap());
    assert_eq!(after[&format!("Resource {CANARY}")].len(), 20);
    assert_eq!(after["Agent coder"], before["Agent coder"]);

    // Erased while no indexer runs: the next one finds out by the event, or when it starts.
    drop(indexer);
    bench.log.erase(erasure("usr_bob")).await.unwrap();
    let indexer = bench.indexer();
    finish(&indexer);
    assert!(indexer.sweep().unwrap());
    assert_eq!(
        answers(&indexer.index().unwrap())[&format!("Resource {CANARY}")],
        [] as [u64; 0]
    );
    assert_eq!(holders(&bench.index(), &token), [] as [PathBuf; 0]);
    assert_eq!(answers(&indexer.index().unwrap()), bench.rebuilt());
    indexer.reindex().unwrap();
    finish(&indexer);
    assert_eq!(answers(&indexer.index().unwrap()), bench.rebuilt());
    assert_eq!(holders(bench.dir.path(), &token), [] as [PathBuf; 0]);
    let found = indexer.search(
        Conditions::default().and(Key::Resource, CANARY).unwrap(),
        None,
        10,
    );
    assert!(found.unwrap().events.is_empty());
    bench.log.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_follows_the_log_and_survives_its_files() {
    let bench = Bench::of(10).await;
    let indexer = Arc::new(bench.indexer());
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&indexer).run(stop.clone()));
    indexer.caught_up().await;
    assert_eq!(indexer.indexed(), bench.log.size());
    bench.record(50).await;
    indexer.caught_up().await;
    assert_eq!(indexer.indexed(), bench.log.size());
    // What it cannot write it tries again.
    fs::remove_dir_all(bench.index()).unwrap();
    fs::write(bench.index(), "not a directory").unwrap();
    bench.record(5).await;
    let found = indexer.find(
        bench
            .log
            .read(3)
            .next()
            .unwrap()
            .unwrap()
            .parse()
            .unwrap()
            .event
            .id,
    );
    assert_eq!(found.unwrap().unwrap().index, 3);
    fs::remove_file(bench.index()).unwrap();
    fs::create_dir(bench.index()).unwrap();
    indexer.caught_up().await;
    assert_eq!(indexer.indexed(), bench.log.size());
    stop.cancel();
    assert_eq!(running.await.unwrap(), "indexer");
    bench.log.close();
}
