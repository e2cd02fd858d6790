//! Git through gix, the only place that speaks it. Options are isolated: the repository's own configuration is read for its
//! format alone, none of the user's or the system's, no environment, no includes, and nothing is run.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use gix::objs::Kind;
use gix::prelude::HeaderExt as _;
use gix::{ObjectId, ThreadSafeRepository};

use super::{Objects, Options, Outcome, Part, in_parallel};
use crate::report::Place;
use crate::secrets::Engine;

/// Objects of one repository, commits that are walked for a find's first place, and the depth of a tree.
const MOST_OBJECTS: usize = 20_000_000;
const MOST_COMMITS: usize = 2_000_000;
const DEEPEST: usize = 256;
/// Neighbours in a pack share deltas: a thread takes this many at once.
const RUN: usize = 512;
/// Notation that is assumed while a blob's path is not known: the one in which most is found. Blobs with finds are
/// scanned again when it is.
const ANY_NOTATION: &str = "unknown.conf";
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";

pub(super) struct Repository(ThreadSafeRepository);

impl Repository {
    /// Opens the repository at a work tree's top or a bare directory; the error says why it is none.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let options = gix::open::Options::isolated()
            .strict_config(false)
            .lossy_config(true);
        options
            .open(path)
            .map(Self)
            .map_err(|error| format!("no repository is here: {error}"))
    }

    /// Paths of the index.
    pub(super) fn tracked(&self) -> Option<HashSet<Vec<u8>>> {
        let index = self.0.to_thread_local().open_index().ok()?;
        Some(
            index
                .entries()
                .iter()
                .map(|entry| entry.path(&index).to_vec())
                .collect(),
        )
    }

    /// Scans the objects that were asked for.
    pub(super) fn scan(&self, engine: &Engine, options: &Options, outcome: &mut Outcome) {
        let repository = self.0.to_thread_local();
        let ids = match options.objects {
            Objects::All => all_objects(&repository, outcome),
            Objects::Index => of_index(&repository, outcome),
        };
        let part = in_parallel(
            options.threads,
            &ids,
            RUN,
            |part, id| object(engine, *id, ANY_NOTATION, options.most_bytes, part),
            || Part::new(Some(self.0.to_thread_local())),
        );
        outcome.coverage.join(part.coverage);
        let wanted: HashSet<ObjectId> = part.objects.into_iter().collect();
        if wanted.is_empty() {
            return;
        }
        let places = first_places(&repository, &wanted, outcome);
        let mut again: Vec<ObjectId> = wanted.into_iter().collect();
        again.sort();
        let mut second = in_parallel(
            options.threads,
            &again,
            1,
            |part, id| {
                let path = places.get(id).map_or("", |(_, path)| path.as_str());
                object(engine, *id, path, options.most_bytes, part);
            },
            || Part::new(Some(self.0.to_thread_local())),
        );
        for place in second.fold.places() {
            let id: Option<ObjectId> = place.object.as_ref().and_then(|id| id.parse().ok());
            match id.and_then(|id| places.get(&id)) {
                Some((commit, path)) => {
                    place.commit = Some(commit.to_string());
                    place.at.clone_from(path);
                }
                None => place.note = Some("no reference leads to it".to_owned()),
            }
        }
        outcome.fold.join(second.fold);
    }
}

fn all_objects(repository: &gix::Repository, outcome: &mut Outcome) -> Vec<ObjectId> {
    use gix::odb::store::iter::Ordering;
    let all = match repository.objects.store_ref().iter() {
        Ok(all) => all.with_ordering(Ordering::PackAscendingOffsetThenLooseLexicographical),
        Err(error) => {
            outcome.coverage.missed("git objects", error.to_string());
            return Vec::new();
        }
    };
    let mut seen = HashSet::new();
    let mut ids = Vec::new();
    let mut failures = 0_usize;
    for id in all {
        match id {
            Ok(id) if seen.insert(id) => ids.push(id),
            Ok(_) => {}
            Err(error) => {
                outcome.coverage.missed("git objects", error.to_string());
                failures += 1;
                if failures > 1_000 {
                    break;
                }
            }
        }
        if ids.len() >= MOST_OBJECTS {
            outcome
                .coverage
                .missed("git objects", format!("there are more than {MOST_OBJECTS}"));
            break;
        }
    }
    ids
}

fn of_index(repository: &gix::Repository, outcome: &mut Outcome) -> Vec<ObjectId> {
    match repository.open_index() {
        Ok(index) => {
            let mut seen = HashSet::new();
            index
                .entries()
                .iter()
                .map(|entry| entry.id)
                .filter(|id| seen.insert(*id))
                .collect()
        }
        Err(error) => {
            outcome.coverage.missed("index", error.to_string());
            Vec::new()
        }
    }
}

/// Scans one blob, or the text of a commit or tag.
fn object(engine: &Engine, id: ObjectId, path: &str, most: u64, part: &mut Part) {
    let Some(repository) = part.repository.take() else {
        return;
    };
    match repository.objects.header(id) {
        Ok(header) if header.kind() == Kind::Tree => {}
        Ok(header) if header.size() > most => {
            part.outcome.coverage.missed(
                format!("object {id}"),
                format!("larger than {most} bytes (--max-object)"),
            );
        }
        Ok(_) => match repository.find_object(id) {
            Ok(mut object) => {
                let text = zeroize::Zeroizing::new(std::mem::take(&mut object.data));
                let at = match object.kind {
                    Kind::Commit => "commit message",
                    Kind::Tag => "tag message",
                    Kind::Blob | Kind::Tree => "blob",
                };
                if text.starts_with(LFS) {
                    part.outcome.coverage.missed(
                        format!("object {id}"),
                        "its content is kept by Git LFS, not in the repository",
                    );
                }
                part.look(engine, &text, path, || format!("object {id}"));
                if !part.finds.is_empty() {
                    part.outcome.objects.push(id);
                }
                for find in std::mem::take(&mut part.finds) {
                    let place = Place {
                        object: Some(id.to_string()),
                        ..Place::of(at, &find)
                    };
                    part.outcome.fold.add(find, place);
                }
            }
            Err(error) => part
                .outcome
                .coverage
                .missed(format!("object {id}"), error.to_string()),
        },
        Err(error) => part
            .outcome
            .coverage
            .missed(format!("object {id}"), error.to_string()),
    }
    part.repository = Some(repository);
}

/// The first commit that has each wanted object, and its path there.
fn first_places(
    repository: &gix::Repository,
    wanted: &HashSet<ObjectId>,
    outcome: &mut Outcome,
) -> HashMap<ObjectId, (ObjectId, String)> {
    let mut tips = Vec::new();
    let mut places = HashMap::new();
    if let Ok(references) = repository.references()
        && let Ok(all) = references.all()
    {
        for mut reference in all.filter_map(Result::ok) {
            if let Some(target) = reference.target().try_id()
                && wanted.contains(target)
            {
                places.insert(
                    target.to_owned(),
                    (target.to_owned(), "tag message".to_owned()),
                );
            }
            if let Ok(id) = reference.peel_to_id() {
                tips.push(id.detach());
            }
        }
    }
    tips.extend(repository.head_id().ok().map(gix::Id::detach));
    let mut commits: Vec<(i64, ObjectId, ObjectId)> = Vec::new();
    let mut seen: HashSet<ObjectId> = HashSet::new();
    // A walk of our own: one broken commit must not end it.
    while let Some(id) = tips.pop() {
        if commits.len() >= MOST_COMMITS {
            outcome.coverage.missed(
                "first commits",
                format!("there are more than {MOST_COMMITS} commits"),
            );
            break;
        }
        if !seen.insert(id) {
            continue;
        }
        let Ok(commit) = repository.find_commit(id) else {
            continue;
        };
        let time = commit.time().map_or(0, |time| time.seconds);
        if let Ok(tree) = commit.tree_id() {
            commits.push((time, id, tree.detach()));
        }
        tips.extend(commit.parent_ids().map(gix::Id::detach));
    }
    commits.sort_unstable();
    let mut missing = wanted.len() - places.len();
    let mut trees = HashSet::new();
    for (_, commit, tree) in commits {
        if missing == 0 {
            break;
        }
        if wanted.contains(&commit)
            && places
                .insert(commit, (commit, "commit message".to_owned()))
                .is_none()
        {
            missing -= 1;
        }
        let mut open = vec![(tree, String::new(), 0_usize)];
        while let Some((tree, directory, depth)) = open.pop() {
            if depth > DEEPEST || !trees.insert(tree) {
                continue;
            }
            let Ok(tree) = repository.find_tree(tree) else {
                continue;
            };
            for entry in tree.iter().filter_map(Result::ok) {
                let path = format!("{directory}{}", String::from_utf8_lossy(entry.filename()));
                let id = entry.object_id();
                if entry.mode().is_tree() {
                    open.push((id, format!("{path}/"), depth + 1));
                } else if wanted.contains(&id) && !places.contains_key(&id) {
                    places.insert(id, (commit, path));
                    missing -= 1;
                }
            }
        }
    }
    places
}
