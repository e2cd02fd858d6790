//! The files below the workspace's root. A path that leaves the root, or runs through a link, is refused.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::failure::ToolFailure;

/// A line of a note that holds what was searched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Match {
    path: String,
    line: usize,
    text: String,
}

/// The directory that is served. Only this server writes below it, and none of its tools makes a link, so that checking a
/// path before it is used leaves no gap for the callers.
#[derive(Debug, Clone)]
pub(super) struct Files {
    root: Arc<Path>,
}

impl Files {
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        Ok(Self {
            root: root.canonicalize()?.into(),
        })
    }

    pub(super) async fn read(&self, path: String) -> Result<String, ToolFailure> {
        self.blocking(move |root| read(root, &path)).await
    }

    /// Writes `content`, replacing the file if it exists; directories on the way are made.
    pub(super) async fn write(&self, path: String, content: String) -> Result<(), ToolFailure> {
        self.blocking(move |root| {
            let target = resolve(root, &path)?;
            too_large("the content", content.len())?;
            make_parent(&target)?;
            Ok(std::fs::write(target, content)?)
        })
        .await
    }

    /// Relative paths of all files, sorted, at most [`MOST_FILES`].
    pub(super) async fn list(&self) -> Result<Vec<String>, ToolFailure> {
        self.blocking(list).await
    }

    /// Lines of the notes that hold `query`, letter case apart, at most [`MOST_MATCHES`].
    pub(super) async fn search_notes(&self, query: String) -> Result<Vec<Match>, ToolFailure> {
        self.blocking(move |root| {
            let query = query.to_lowercase();
            let mut matches = Vec::new();
            for path in list(root)?
                .into_iter()
                .filter(|path| path.starts_with("notes/"))
            {
                let Ok(content) = read(root, &path) else {
                    continue;
                };
                let lines = content
                    .lines()
                    .enumerate()
                    .filter(|(_, text)| text.to_lowercase().contains(&query));
                matches.extend(lines.map(|(index, text)| Match {
                    path: path.clone(),
                    line: index + 1,
                    text: text.to_owned(),
                }));
            }
            matches.truncate(MOST_MATCHES);
            Ok(matches)
        })
        .await
    }

    /// Adds a note named after its title and gives its path. A note is never replaced.
    pub(super) async fn add_note(
        &self,
        title: String,
        body: String,
    ) -> Result<String, ToolFailure> {
        self.blocking(move |root| {
            let path = format!("notes/{}.md", slug(&title).ok_or(ToolFailure::Title)?);
            let target = resolve(root, &path)?;
            let content = format!("# {title}\n\n{body}\n");
            too_large("the note", content.len())?;
            make_parent(&target)?;
            let file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(target);
            match file.and_then(|mut file| file.write_all(content.as_bytes())) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    Err(ToolFailure::Exists(path))
                }
                written => Ok(written.map(|()| path)?),
            }
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, ToolFailure> + Send + 'static,
    ) -> Result<T, ToolFailure> {
        let root = Arc::clone(&self.root);
        tokio::task::spawn_blocking(move || work(&root)).await?
    }
}

/// The place of `path` below `root`, refused if any part of it is not a plain name or is a link.
fn resolve(root: &Path, path: &str) -> Result<PathBuf, ToolFailure> {
    let refused =
        || ToolFailure::Path(path.chars().filter(|c| !c.is_control()).take(200).collect());
    let parts: Vec<&str> = path.split('/').collect();
    let plain = |part: &&str| {
        !part.is_empty()
            && *part != "."
            && *part != ".."
            && !part.contains('\\')
            && !part.chars().any(char::is_control)
    };
    if path.len() > LONGEST_PATH || parts.len() > DEEPEST || !parts.iter().all(plain) {
        return Err(refused());
    }
    let mut place = root.to_owned();
    for part in parts {
        place.push(part);
        match place.symlink_metadata() {
            Ok(found) if found.is_symlink() => return Err(refused()),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(refused()),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(place)
}

fn read(root: &Path, path: &str) -> Result<String, ToolFailure> {
    let place = resolve(root, path)?;
    let mut content = String::new();
    let file = std::fs::File::open(place).and_then(|file| {
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(ErrorKind::NotFound.into())
        }
    });
    match file.and_then(|file| file.take(LARGEST_FILE + 1).read_to_string(&mut content)) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(ToolFailure::NoFile(path.to_owned()))
        }
        Err(error) => Err(error.into()),
        Ok(_) => too_large("the file", content.len()).map(|()| content),
    }
}

fn list(root: &Path) -> Result<Vec<String>, ToolFailure> {
    let mut found = Vec::new();
    let mut directories = vec![(root.to_owned(), String::new())];
    while let Some((directory, prefix)) = directories.pop() {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let kind = entry.file_type()?;
            if kind.is_dir() && prefix.split('/').count() < DEEPEST {
                directories.push((entry.path(), format!("{prefix}{name}/")));
            } else if kind.is_file() && found.len() < MOST_FILES {
                found.push(format!("{prefix}{name}"));
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn make_parent(target: &Path) -> io::Result<()> {
    target.parent().map_or(Ok(()), std::fs::create_dir_all)
}

fn too_large(what: &'static str, length: usize) -> Result<(), ToolFailure> {
    if length as u64 > LARGEST_FILE {
        Err(ToolFailure::TooLarge {
            what,
            limit: LARGEST_FILE,
        })
    } else {
        Ok(())
    }
}

/// The letters and digits of a title, joined by hyphens; none if there are none.
fn slug(title: &str) -> Option<String> {
    let words = title
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let slug: String = words
        .collect::<Vec<_>>()
        .join("-")
        .to_ascii_lowercase()
        .chars()
        .take(64)
        .collect();
    (!slug.is_empty()).then_some(slug)
}

const LARGEST_FILE: u64 = 1 << 20;
const LONGEST_PATH: usize = 1024;
const DEEPEST: usize = 16;
const MOST_FILES: usize = 10_000;
const MOST_MATCHES: usize = 50;
