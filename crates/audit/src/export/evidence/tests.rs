//! A bundle of a real log: proven as made, and every file of it named once it is touched.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use bailiwick_core::Secret;
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_crypto::note::{NoteSigner, NoteVerifier};

use super::{Evidence, EvidenceReport, Files, check};
use crate::export::{Selection, export};
use crate::filter::Filter;
use crate::fixtures::{Bench, intent, keys as log_keys};
use crate::log::Log;
use crate::record::{Class, Recorder};
use crate::verify::Verdict;

fn maker() -> NoteSigner {
    let key = Ed25519Key::from_seed(&Secret::new([11; 32])).unwrap();
    NoteSigner::new("example.org/node-1/evidence", key).unwrap()
}

/// A bundle over all events of a log of `count`, with the values of one disclosed and a policy.
async fn bundle(bench: &Bench, count: usize) -> Vec<u8> {
    let log: Log = bench.open();
    for _ in 0..count {
        log.record(intent(b"canary"), Class::Grant).await.unwrap();
    }
    let revealed = log.reveal(1, "uid:1", "test").await.unwrap();
    let size = log.size();
    log.published()
        .wait_for(|published| *published >= size)
        .await
        .unwrap();
    let directory = log.directory();
    let filter = Filter::default();
    let mut evidence =
        Evidence::begin(directory.clone(), vec!["agent=coder".into()], size).unwrap();
    let origin = evidence.origin().to_owned();
    let selection = Selection {
        origin: &origin,
        filter: &filter,
        limit: 1_000,
    };
    let until = evidence.size();
    let entries = directory
        .entries(0)
        .take_while(|entry| entry.as_ref().is_ok_and(|entry| entry.index < until));
    export(entries, &selection, &mut evidence).unwrap();
    evidence.disclose(1, &revealed).unwrap();
    evidence.policy(b"policy text".to_vec()).unwrap();
    let mut out = Vec::new();
    evidence.write(Some(&maker()), &mut out).unwrap();
    out
}

fn unpack(archive: &[u8], dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let path = dir.join(&name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &bytes).unwrap();
        files.insert(name, bytes);
    }
    files
}

fn keys() -> ([NoteVerifier; 1], [NoteVerifier; 1]) {
    (log_keys(), [maker().verifier().unwrap()])
}

fn checked(dir: &Path) -> Result<EvidenceReport, Verdict> {
    let (log, maker) = keys();
    check(&Files::read(dir).unwrap(), &log, &maker)
}

#[tokio::test]
async fn a_bundle_is_proven_as_it_was_made() {
    let (bench, home) = (Bench::new(), tempfile::tempdir().unwrap());
    let archive = bundle(&bench, 5).await;
    let file = home.path().join("bundle.tar");
    std::fs::write(&file, &archive).unwrap();
    let (log, maker_keys) = keys();
    let report = check(&Files::read(&file).unwrap(), &log, &maker_keys).unwrap();
    assert_eq!(report.events as u64, report.checkpoint.size);
    assert!(report.disclosed >= 1 && report.policies == 1, "{report:?}");
    assert_eq!(report.attested_by.as_deref(), Some(maker().name()));
    // No key of anybody is in it.
    for key in log_keys().into_iter().chain([maker().verifier().unwrap()]) {
        let vkey = key.vkey();
        let key = vkey.rsplit('+').next().unwrap().as_bytes();
        assert!(!archive.windows(key.len()).any(|window| window == key));
    }
}

#[tokio::test]
async fn every_byte_of_a_bundle_is_covered_and_its_file_is_named() {
    let (bench, home) = (Bench::new(), tempfile::tempdir().unwrap());
    let files = unpack(&bundle(&bench, 3).await, home.path());
    assert!(checked(home.path()).is_ok());
    for (name, bytes) in &files {
        let path = home.path().join(name);
        for at in (0..bytes.len()).step_by((bytes.len() / 40).max(1)) {
            let mut touched = bytes.clone();
            touched[at] ^= 1;
            std::fs::write(&path, touched).unwrap();
            let verdict = checked(home.path()).unwrap_err();
            let named = match &verdict {
                Verdict::Altered(alteration) => alteration.file.to_str() == Some(name),
                // A statement whose own names were touched names files that are not there; a key's name that was touched is no signature.
                Verdict::CannotTell { .. } => {
                    matches!(name.as_str(), "statement.dsse.json" | "checkpoint")
                        || name.starts_with("proofs/")
                }
                Verdict::Proven(_) => false,
            };
            assert!(named, "{name} at {at}: {verdict:?}");
        }
        std::fs::remove_file(&path).unwrap();
        let gone = checked(home.path()).unwrap_err();
        assert!(
            matches!(gone, Verdict::CannotTell { .. }),
            "{name}: {gone:?}"
        );
        std::fs::write(&path, bytes).unwrap();
    }
    std::fs::write(home.path().join("policy/more"), b"").unwrap();
    assert!(matches!(checked(home.path()), Err(Verdict::Altered(_))));
}

#[tokio::test]
async fn a_bundle_of_another_log_or_maker_proves_nothing() {
    let (bench, home) = (Bench::new(), tempfile::tempdir().unwrap());
    unpack(&bundle(&bench, 2).await, home.path());
    let files = Files::read(home.path()).unwrap();
    let stranger = NoteSigner::new("other.org/node", Ed25519Key::generate().unwrap()).unwrap();
    let stranger = [stranger.verifier().unwrap()];
    let (log, maker_keys) = keys();
    assert!(matches!(
        check(&files, &stranger, &maker_keys),
        Err(Verdict::CannotTell { .. })
    ));
    assert!(matches!(
        check(&files, &log, &stranger),
        Err(Verdict::CannotTell { .. })
    ));
    // Somebody else's key under the maker's name.
    let posing = NoteSigner::new(maker().name(), Ed25519Key::generate().unwrap()).unwrap();
    let posing = [posing.verifier().unwrap()];
    assert!(matches!(
        check(&files, &log, &posing),
        Err(Verdict::Altered(_))
    ));
    assert_eq!(check(&files, &log, &[]).unwrap().attested_by, None);
}
