//! A repository: its work tree, its index and every object of its history, also those that no reference leads to. Nothing of
//! it is executed or followed: no configuration of others, no hooks, filters or symbolic links.

mod git;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use bailiwick_core::{Code, Fault};
use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::coverage::Coverage;
use crate::report::Fold;
use crate::secrets::{Engine, Find, Memo, Unit};

/// What of a repository is scanned.
#[derive(Debug)]
pub struct Options {
    /// The work tree.
    pub work_tree: bool,
    /// Every object, or those of the index alone.
    pub objects: Objects,
    /// Largest file and object, in bytes; larger ones are gaps.
    pub most_bytes: u64,
    /// Paths that are left out of the work tree.
    pub skip: Skip,
    /// Threads, 1 to 64.
    pub threads: usize,
}

/// Patterns of paths, as in `**/node_modules/**`.
#[derive(Debug, Default)]
pub struct Skip(GlobSet);

impl Skip {
    /// Reads the patterns; the error names the one that is none.
    pub fn parse(patterns: &[String]) -> Result<Self, RepoError> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let glob =
                Glob::new(pattern).map_err(|error| RepoError::Pattern(pattern.clone(), error))?;
            set.add(glob);
        }
        let set = set
            .build()
            .map_err(|error| RepoError::Pattern(patterns.join(", "), error))?;
        Ok(Self(set))
    }
}

/// Which objects are scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objects {
    /// All of every pack, loose store and alternate.
    All,
    /// Those of the index.
    Index,
}

/// Why nothing could be scanned.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// It is no directory.
    #[error("`{0}` is no directory that can be read")]
    Directory(PathBuf, #[source] std::io::Error),
    /// Only the index was asked for, and there is none.
    #[error("`{0}` has no index: {1}")]
    Index(PathBuf, String),
    /// A pattern of paths is none.
    #[error("`{0}` is no pattern of paths")]
    Pattern(String, #[source] globset::Error),
}

impl Fault for RepoError {
    fn code(&self) -> Code {
        match self {
            Self::Directory(..) | Self::Index(..) => Code::RepoUnreadable,
            Self::Pattern(..) => Code::InvalidInput,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Directory(..) | Self::Index(..) => {
                "name the top directory of a repository, or any directory"
            }
            Self::Pattern(..) => "a pattern is like `**/node_modules/**` or `*.min.js`",
        }
        .to_owned()
    }
}

/// What a repository holds.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Finds by secret.
    pub fold: Fold,
    /// What was read.
    pub coverage: Coverage,
    /// The objects that something was found in.
    objects: Vec<gix::ObjectId>,
}

/// Whether a directory is, or is part of, what looks like a repository, also one that cannot be opened.
fn is_of_a_repository(path: &Path) -> bool {
    path.join("HEAD").exists() || path.ancestors().any(|up| up.join(".git").exists())
}

/// Scans the repository or plain directory at `path`.
pub fn scan(engine: &Engine, path: &Path, options: &Options) -> Result<Outcome, RepoError> {
    let unreadable = |error| RepoError::Directory(path.to_owned(), error);
    let path = path.canonicalize().map_err(unreadable)?;
    std::fs::read_dir(&path).map_err(unreadable)?;
    let mut outcome = Outcome::default();
    let mut tracked = None;
    match git::Repository::open(&path) {
        Ok(repository) => {
            tracked = repository.tracked();
            repository.scan(engine, options, &mut outcome);
        }
        Err(reason) if options.objects == Objects::Index => {
            return Err(RepoError::Index(path, reason));
        }
        // A plain directory has no history that was missed.
        Err(reason) if is_of_a_repository(&path) => {
            outcome.coverage.missed("git history", reason);
        }
        Err(_) => {}
    }
    if options.work_tree {
        tree::scan(engine, &path, tracked.as_ref(), options, &mut outcome);
    }
    Ok(outcome)
}

/// Work that several threads take from, a run of neighbours at a time; each has its own state, and all parts are joined.
fn in_parallel<W: Sync>(
    threads: usize,
    work: &[W],
    run: usize,
    each: impl Fn(&mut Part, &W) + Sync,
    make: impl Fn() -> Part + Sync,
) -> Outcome {
    let next = AtomicUsize::new(0);
    let threads = threads.clamp(1, 64).min(work.len().div_ceil(run).max(1));
    let parts: Vec<Option<Outcome>> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut part = make();
                    loop {
                        let from = next.fetch_add(run, Ordering::Relaxed);
                        let Some(taken) = work
                            .get(from..(from + run).min(work.len()))
                            .filter(|taken| !taken.is_empty())
                        else {
                            return part.outcome;
                        };
                        for one in taken {
                            each(&mut part, one);
                        }
                    }
                })
            })
            .collect();
        handles
            .into_iter()
            .map(|handle| handle.join().ok())
            .collect()
    });
    let mut all = Outcome::default();
    for part in parts {
        match part {
            Some(part) => {
                all.fold.join(part.fold);
                all.coverage.join(part.coverage);
                all.objects.extend(part.objects);
            }
            None => all
                .coverage
                .missed("a part of the scan", "it ended by a defect of the scanner"),
        }
    }
    all
}

/// What one thread works with.
struct Part {
    outcome: Outcome,
    memo: Memo,
    finds: Vec<Find>,
    repository: Option<gix::Repository>,
    buffer: zeroize::Zeroizing<Vec<u8>>,
}

impl Part {
    fn new(repository: Option<gix::Repository>) -> Self {
        Self {
            outcome: Outcome::default(),
            memo: Memo::default(),
            finds: Vec::new(),
            repository,
            buffer: zeroize::Zeroizing::default(),
        }
    }

    /// Scans a text; what was found is in `finds`.
    fn look(&mut self, engine: &Engine, text: &[u8], path: &str, place: impl FnOnce() -> String) {
        self.finds.clear();
        let unit = Unit {
            text,
            path,
            key: None,
        };
        if engine.scan(&unit, &mut self.memo, &mut self.finds) {
            self.outcome.coverage.read(text.len());
        } else {
            self.outcome.coverage.missed(
                place(),
                "it holds more candidates than are looked at; what was found of it is listed",
            );
        }
    }
}

#[cfg(test)]
mod tests;
