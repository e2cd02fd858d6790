//! What a log does to stay provable: it keeps a checkpoint an hour, and gets a new key.

use bailiwick_core::Secret;
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_crypto::note::{Note, NoteSigner, NoteVerifier};

use super::*;
use crate::checkpoint::{Checkpoint, earlier};
use crate::fixtures::{ORIGIN, root, signer};
use crate::verify::Altered;

const MINUTE: i64 = 60 * 1_000_000;

fn other(seed: u8) -> NoteSigner {
    let key = Ed25519Key::from_seed(&Secret::new([seed; 32])).unwrap();
    NoteSigner::new(ORIGIN, key).unwrap()
}

fn vkey(signer: &NoteSigner) -> [NoteVerifier; 1] {
    [signer.verifier().unwrap()]
}

async fn publish_more(log: &Log) {
    let receipt = grant(log).await.unwrap();
    until(&mut log.published(), |size| *size > receipt.index).await;
}

#[tokio::test]
async fn a_checkpoint_an_hour_is_kept_and_held_against_the_log() {
    let clock = Arc::new(JumpingClock::at(1_700_000_000_000_000));
    let mut bench = Bench::new();
    bench.clock = clock.clone();
    let dir = bench.dir.path().to_path_buf();
    let log = bench.open();
    publish_more(&log).await;
    let kept = || earlier::sizes(&dir).unwrap().len();
    assert_eq!(kept(), 1);
    clock.pass(30 * MINUTE);
    publish_more(&log).await;
    assert_eq!(kept(), 1);
    for hour in 2..5 {
        clock.pass(60 * MINUTE);
        publish_more(&log).await;
        assert_eq!(kept(), hour);
    }
    drop(log);
    let report = |keys: &[NoteVerifier]| match verify(&dir, keys) {
        Verdict::Proven(report) => report,
        other => panic!("{other:?}"),
    };
    assert_eq!(report(&keys()).earlier, kept());

    // Each of them is checked and named.
    let sizes = earlier::sizes(&dir).unwrap();
    let file = earlier::path(sizes[1]);
    let path = dir.join(&file);
    let intact = fs::read(&path).unwrap();
    let named = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let verdict = verify(&dir, &keys());
        fs::write(&path, &intact).unwrap();
        match verdict {
            Verdict::Altered(found) => {
                assert_eq!(found.file, file);
                found.what
            }
            other => panic!("{other:?}"),
        }
    };
    for at in 0..intact.len() {
        let mut bytes = intact.clone();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let verdict = verify(&dir, &keys());
        // A name or number of a key that is not known is another's signature: such a note says nothing.
        let unsigned = matches!(&verdict, Verdict::Proven(report) if report.earlier < sizes.len());
        assert!(unsigned || verdict.exit_code() == 1, "{at}: {verdict:?}");
    }
    fs::write(&path, &intact).unwrap();
    let sign = |size, root| {
        let origin = ORIGIN.to_owned();
        Checkpoint { origin, size, root }.sign(&signer()).unwrap()
    };
    let another = sign(sizes[1], root(3));
    assert_eq!(named(another.as_bytes()), Altered::Split);
    let elsewhere = fs::read(dir.join(earlier::path(sizes[2]))).unwrap();
    assert_eq!(named(&elsewhere), Altered::Signature);
    // One over more events than the log has: it was set back.
    let beyond = dir.join(earlier::path(999));
    fs::write(&beyond, sign(999, root(3))).unwrap();
    assert_eq!(verify(&dir, &keys()).exit_code(), 6);
    assert_eq!(bench.try_open().err().unwrap().code(), Code::LogRolledBack);
    fs::remove_file(beyond).unwrap();
    drop(bench.open());
}

#[tokio::test]
async fn both_keys_sign_and_then_the_new_one_alone() {
    let bench = Bench::new();
    let (first, second) = (signer(), other(8));
    let dir = bench.dir.path();
    let log = bench.open();
    publish_more(&log).await;
    let before = fs::read(dir.join("checkpoint")).unwrap();
    let elsewhere = NoteSigner::new(
        "example.org/another",
        Ed25519Key::from_seed(&Secret::new([9; 32])).unwrap(),
    );
    assert!(log.rotate_key(elsewhere.unwrap()).is_err());
    for _ in 0..2 {
        // Asked twice it is the same key.
        log.rotate_key(other(8)).unwrap();
    }
    publish_more(&log).await;
    let signed_by = |wanted: &[&NoteSigner]| {
        let note = Note::parse(&fs::read(dir.join("checkpoint")).unwrap()).unwrap();
        let ids: Vec<u32> = note.signatures().iter().map(|line| line.id).collect();
        let wanted = wanted.iter().map(|key| key.verifier().unwrap().id());
        assert_eq!(ids, wanted.collect::<Vec<_>>());
    };
    signed_by(&[&second, &first]);
    for key in [&first, &second] {
        assert_eq!(verify(dir, &vkey(key)).exit_code(), 0);
        let proof = log.directory().prove(1).unwrap();
        proof.verify(&vkey(key)).unwrap();
    }
    assert_eq!(verify(dir, &vkey(&other(9))).exit_code(), 6);
    drop(log);

    // A restart in between, and one that finds nothing signed by the new key yet.
    let both = || Options {
        signer: Arc::new(other(8)),
        older_signers: vec![Arc::new(signer())],
        ..bench.options()
    };
    let log = Log::open(both()).unwrap();
    assert_eq!(log.signing().len(), 2);
    publish_more(&log).await;
    signed_by(&[&second, &first]);
    log.drop_older_keys();
    publish_more(&log).await;
    signed_by(&[&second]);
    assert_eq!(verify(dir, &vkey(&first)).exit_code(), 6);
    assert_eq!(verify(dir, &vkey(&second)).exit_code(), 0);
    drop(log);

    // What the old key signed is held against the log for good.
    let now = |seen: Vec<Vec<u8>>| Options {
        signer: Arc::new(other(8)),
        former: vkey(&first).to_vec(),
        seen,
        ..bench.options()
    };
    drop(Log::open(now(vec![before])).unwrap());
    let forged = Checkpoint {
        origin: ORIGIN.into(),
        size: 2,
        root: root(2),
    };
    let forged = forged.sign(&first).unwrap().into_bytes();
    assert_eq!(
        Log::open(now(vec![forged])).err().unwrap().code(),
        Code::LogEquivocation
    );
    let verdict = verify(dir, &[vkey(&first), vkey(&second)].concat());
    assert!(matches!(verdict, Verdict::Proven(report) if report.earlier > 0));
}

#[tokio::test]
async fn a_log_whose_last_checkpoint_only_the_old_key_signed_goes_on() {
    let bench = Bench::new();
    let log = bench.open();
    publish_more(&log).await;
    drop(log);
    // The node was off for all the time that both would have signed.
    let log = Log::open(Options {
        signer: Arc::new(other(8)),
        former: vkey(&signer()).to_vec(),
        ..bench.options()
    });
    let log = log.unwrap();
    publish_more(&log).await;
    drop(log);
    assert_eq!(verify(bench.dir.path(), &vkey(&other(8))).exit_code(), 0);
}
