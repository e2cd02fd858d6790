//! Who found what: by value, in the file it was planted in. Peers are judged with more grace than ours: what they report counts if it
//! holds the secret or most of it; ours has to be the secret exactly.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use anyhow::{Context, Result};
use bailiwick_posture::secrets::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A secret that the corpus holds.
#[derive(Debug, Clone)]
pub(crate) struct Planted {
    pub(crate) family: String,
    pub(crate) how: String,
    file: String,
    secret: Vec<u8>,
    /// What stands for it in the file.
    written: Vec<u8>,
    hashes: [String; 2],
}

/// What a scanner reported.
#[derive(Debug, Clone)]
pub(crate) enum Reported {
    Ours(Digest, String),
    Value(Vec<u8>),
    Sha1(String),
}

/// How a scanner did.
#[derive(Debug, Default)]
pub(crate) struct Score {
    pub(crate) found: usize,
    pub(crate) missed: Vec<Planted>,
    planted: usize,
    right_reports: usize,
    pub(crate) wrong_reports: usize,
    pub(crate) wrong: BTreeMap<String, usize>,
}

/// Reads what the generator planted.
pub(crate) fn planted(path: &Path) -> Result<Vec<Planted>> {
    let text = std::fs::read_to_string(path)?;
    text.lines()
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            let [family, _, how, file, secret, written, hash, hash_of_written] = columns.as_slice()
            else {
                anyhow::bail!("`{line}` has other columns");
            };
            Ok(Planted {
                family: (*family).to_owned(),
                how: (*how).to_owned(),
                file: (*file).to_owned(),
                secret: STANDARD.decode(secret).context("a secret")?,
                written: STANDARD.decode(written).context("what stands for it")?,
                hashes: [(*hash).to_owned(), (*hash_of_written).to_owned()],
            })
        })
        .collect()
}

impl Score {
    /// Of reports with the name of the file they are of.
    pub(crate) fn of(planted: &[Planted], reported: &[(String, Reported)]) -> Self {
        let mut by_file: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, one) in planted.iter().enumerate() {
            by_file.entry(one.file.as_str()).or_default().push(at);
        }
        let single = by_file.len() == 1;
        let mut score = Self {
            planted: planted.len(),
            ..Self::default()
        };
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for (file, report) in reported {
            if !seen.insert((file.clone(), report.identity())) {
                continue;
            }
            // An environment is one file, whatever it is called.
            let candidates: Vec<usize> = if single {
                (0..planted.len()).collect()
            } else {
                by_file.get(file.as_str()).cloned().unwrap_or_default()
            };
            let hits: Vec<(usize, bool)> = candidates
                .into_iter()
                .filter_map(|at| Some((at, report.hits(planted.get(at)?)?)))
                .collect();
            if hits.is_empty() {
                score.wrong_reports += 1;
                *score.wrong.entry(report.check()).or_default() += 1;
            } else {
                score.right_reports += 1;
                found.extend(
                    hits.into_iter()
                        .filter(|(_, whole)| *whole)
                        .map(|(at, _)| at),
                );
            }
        }
        score.found = found.len();
        score.missed = planted
            .iter()
            .enumerate()
            .filter(|(at, _)| !found.contains(at))
            .map(|(_, one)| one.clone())
            .collect();
        score
    }

    pub(crate) fn recall(&self) -> f64 {
        share(self.found, self.planted)
    }

    pub(crate) fn precision(&self) -> f64 {
        share(self.right_reports, self.right_reports + self.wrong_reports)
    }
}

fn share(part: usize, whole: usize) -> f64 {
    let number = |count: usize| u32::try_from(count).map_or(f64::MAX, f64::from);
    if whole == 0 {
        0.0
    } else {
        number(part) / number(whole)
    }
}

impl Reported {
    /// Whether it is this secret: `Some(true)`; the wrapping of it alone: `Some(false)`, neither right nor wrong for ours.
    fn hits(&self, planted: &Planted) -> Option<bool> {
        match self {
            Self::Ours(digest, _) => {
                if *digest == Digest::of(&planted.secret) {
                    Some(true)
                } else {
                    (*digest == Digest::of(&planted.written)).then_some(false)
                }
            }
            Self::Sha1(hash) => planted.hashes.contains(hash).then_some(true),
            Self::Value(value) => {
                let holds = |whole: &[u8], part: &[u8]| {
                    !part.is_empty() && whole.windows(part.len()).any(|window| window == part)
                };
                let most = |text: &[u8]| 3 * value.len() >= 2 * text.len() && holds(text, value);
                let is = |text: &[u8]| holds(value, text) || most(text);
                (is(&planted.secret) || is(&planted.written)).then_some(true)
            }
        }
    }

    fn check(&self) -> String {
        match self {
            Self::Ours(_, check) => check.clone(),
            Self::Value(_) | Self::Sha1(_) => "reported".to_owned(),
        }
    }

    /// What makes two reports of a file the same.
    fn identity(&self) -> String {
        match self {
            Self::Ours(digest, _) => format!("{:016x}", hash(digest)),
            Self::Value(value) => STANDARD.encode(value),
            Self::Sha1(hash) => hash.clone(),
        }
    }
}

fn hash(digest: &Digest) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    digest.hash(&mut hasher);
    hasher.finish()
}
