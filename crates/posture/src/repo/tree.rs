//! The work tree: every regular file below a directory, ignored ones too, for `.env` is one.

use std::collections::HashSet;
use std::io::Read as _;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};
use walkdir::{DirEntry, WalkDir};
use zeroize::Zeroizing;

use super::{Options, Outcome, Part, in_parallel};
use crate::report::Place;
use crate::secrets::Engine;

/// Entries of the tree that are visited, and its depth.
const MOST_ENTRIES: usize = 2_000_000;
const DEEPEST: usize = 512;
/// Files that a thread takes at once.
const RUN: usize = 16;

pub(super) fn scan(
    engine: &Engine,
    root: &Path,
    tracked: Option<&HashSet<Vec<u8>>>,
    options: &Options,
    outcome: &mut Outcome,
) {
    let mut files = Vec::new();
    let mut skipped = 0_u64;
    let walk = WalkDir::new(root)
        .follow_links(false)
        .max_depth(DEEPEST)
        .sort_by_file_name();
    let mut entries = walk.into_iter();
    let mut visited = 0_usize;
    while let Some(entry) = entries.next() {
        visited += 1;
        if visited > MOST_ENTRIES {
            outcome.coverage.missed(
                "the work tree",
                format!("it has more than {MOST_ENTRIES} entries"),
            );
            break;
        }
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let place = error
                    .path()
                    .map_or_else(|| "the work tree".to_owned(), |path| shown(root, path));
                let reason = error
                    .io_error()
                    .map_or_else(|| "a loop".to_owned(), |error| error.kind().to_string());
                outcome.coverage.missed(place, reason);
                continue;
            }
        };
        let is_directory = entry.file_type().is_dir();
        let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
        if entry.depth() > 0 && options.skip.0.is_match(relative) {
            skipped += 1;
            if is_directory {
                entries.skip_current_dir();
            }
            continue;
        }
        if is_directory {
            if is_git(&entry) {
                entries.skip_current_dir();
                // Remotes with a password in their URL are written there.
                files.push(entry.path().join("config"));
                if entry.depth() > 1 {
                    outcome.coverage.missed(
                        shown(root, entry.path()),
                        "another repository: name it to scan its history",
                    );
                }
            } else if entry.depth() == DEEPEST {
                outcome.coverage.missed(
                    shown(root, entry.path()),
                    format!("it is deeper than {DEEPEST} directories"),
                );
            }
        } else if entry.file_type().is_file() {
            files.push(entry.into_path());
        }
    }
    if skipped > 0 {
        outcome
            .coverage
            .missed(format!("{skipped} paths"), "left out by --skip");
    }
    let part = in_parallel(
        options.threads,
        &files,
        RUN,
        |part, path| file(engine, root, path, tracked, options, part),
        || Part::new(None),
    );
    outcome.fold.join(part.fold);
    outcome.coverage.join(part.coverage);
}

fn file(
    engine: &Engine,
    root: &Path,
    path: &Path,
    tracked: Option<&HashSet<Vec<u8>>>,
    options: &Options,
    part: &mut Part,
) {
    let name = shown(root, path);
    let mut buffer = std::mem::take(&mut part.buffer);
    match read(path, options.most_bytes, &mut buffer) {
        Ok(()) => {
            part.look(engine, &buffer, &name, || name.clone());
            let in_git = name.starts_with(".git/");
            let untracked =
                !in_git && tracked.is_some_and(|tracked| !tracked.contains(name.as_bytes()));
            for find in std::mem::take(&mut part.finds) {
                let mut place = Place::of(name.clone(), &find);
                if untracked {
                    place = place.noted("not tracked by git");
                }
                part.outcome.fold.add(find, place);
            }
        }
        Err(Some(reason)) => part.outcome.coverage.missed(name, reason),
        Err(None) => {}
    }
    buffer.clear();
    part.buffer = buffer;
}

/// Reads a file that still is one; no symbolic link is followed, no FIFO waited for. The error has no reason if there is
/// nothing to read.
fn read(path: &Path, most: u64, buffer: &mut Zeroizing<Vec<u8>>) -> Result<(), Option<String>> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => std::fs::File::from(file),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::LOOP) => return Err(None),
        Err(error) => return Err(Some(error.kind().to_string())),
    };
    let stat = rustix::fs::fstat(&file).map_err(|error| Some(error.kind().to_string()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(None);
    }
    let too_large = || Some(format!("larger than {most} bytes (--max-object)"));
    if u64::try_from(stat.st_size).unwrap_or_default() > most {
        return Err(too_large());
    }
    buffer.clear();
    let mut limited = file.take(most + 1);
    limited
        .read_to_end(buffer)
        .map_err(|error| Some(error.kind().to_string()))?;
    if u64::try_from(buffer.len()).unwrap_or(u64::MAX) > most {
        return Err(too_large());
    }
    Ok(())
}

fn is_git(entry: &DirEntry) -> bool {
    entry.file_name() == ".git"
}

fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .to_string_lossy()
        .into_owned()
}
