//! Every object of a repository is read once, hostile ones included.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use bailiwick_crypto::system::SystemRng;
use tempfile::TempDir;

use super::{Objects, Options, Outcome, Skip, scan};
use crate::report::Secret;
use crate::secrets::{Engine, FingerprintKey, Load};

/// Passwords that the tests plant; each is told by its length.
fn password(length: usize) -> String {
    "blue!42-Horse_7yard".chars().cycle().take(length).collect()
}

/// Git with nothing of this machine's configuration.
fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([
            ("GIT_AUTHOR_NAME", "a"),
            ("GIT_AUTHOR_EMAIL", "a@acme.net"),
            ("GIT_COMMITTER_NAME", "a"),
            ("GIT_COMMITTER_EMAIL", "a@acme.net"),
        ])
        .output()
        .expect("git is installed by ci/deps");
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn repository(format: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    git(
        dir.path(),
        &[
            "init",
            "-q",
            "-b",
            "main",
            &format!("--object-format={format}"),
        ],
    );
    dir
}

fn commit(directory: &Path, file: &str, content: &str) -> String {
    fs::write(directory.join(file), content).unwrap();
    git(directory, &["add", "-A"]);
    git(directory, &["commit", "-q", "-m", "a change"]);
    git(directory, &["rev-parse", "HEAD"])
}

fn options() -> Options {
    Options {
        work_tree: true,
        objects: Objects::All,
        most_bytes: 1 << 20,
        skip: Skip::default(),
        threads: 2,
    }
}

fn outcome(path: &Path, options: &Options) -> Outcome {
    let engine = Engine::new(Load::Little, None).unwrap();
    scan(&engine, path, options).unwrap()
}

fn secrets(outcome: Outcome) -> Vec<Secret> {
    let mut secrets = outcome.fold.finish(&FingerprintKey::of_run(&SystemRng)).0;
    secrets.sort_by_key(|secret| secret.length);
    secrets
}

/// Lengths of what was found, which tell the planted passwords apart.
fn lengths(secrets: &[Secret]) -> Vec<usize> {
    secrets.iter().map(|secret| secret.length).collect()
}

#[test]
fn every_object_is_read_wherever_it_lies() {
    for format in ["sha1", "sha256"] {
        let dir = repository(format);
        let path = dir.path();
        let first = commit(path, "app.env", &format!("DB_PASSWORD={}\n", password(10)));
        commit(path, "app.env", "DB_PASSWORD=${DB_PASSWORD}\n");
        // Amended away: no reference leads to it.
        commit(path, "b.env", &format!("DB_PASSWORD={}\n", password(11)));
        fs::write(path.join("b.env"), "nothing\n").unwrap();
        git(path, &["add", "-A"]);
        git(path, &["commit", "-q", "--amend", "-m", "another"]);
        // Stashed.
        fs::write(
            path.join("app.env"),
            format!("DB_PASSWORD={}\n", password(12)),
        )
        .unwrap();
        git(path, &["stash", "-q"]);
        // In messages.
        git(
            path,
            &[
                "commit",
                "-q",
                "--allow-empty",
                "-m",
                &format!("use password={} for now", password(13)),
            ],
        );
        git(
            path,
            &[
                "tag",
                "-a",
                "v1",
                "-m",
                &format!("password={}", password(14)),
            ],
        );
        for packed in [false, true] {
            if packed {
                git(path, &["repack", "-q", "-a", "-d", "-k"]);
            }
            let outcome = outcome(path, &options());
            assert!(outcome.coverage.is_complete(), "{:?}", outcome.coverage);
            let secrets = secrets(outcome);
            assert_eq!(
                lengths(&secrets),
                [10, 11, 12, 13, 14],
                "{format}, packed: {packed}"
            );
            let place = &secrets[0].places[0];
            assert_eq!(
                (place.at.as_str(), place.line, place.commit.as_deref()),
                ("app.env", Some(1), Some(first.as_str()))
            );
            assert_eq!(
                secrets[1].places[0].note.as_deref(),
                Some("no reference leads to it")
            );
            assert_eq!(secrets[3].places[0].at, "commit message");
            assert_eq!(secrets[4].places[0].at, "tag message");
        }
    }
}

#[test]
fn three_hundred_versions_and_an_alternate() {
    let dir = repository("sha1");
    let path = dir.path();
    let mut stream = Vec::new();
    for version in 0..300 {
        let content = format!(
            "version {version}\n{}DB_PASSWORD={}\n",
            "a line of the file\n".repeat(20),
            password(10 + version / 100)
        );
        let head = format!(
            "commit refs/heads/main\ncommitter a <a@acme.net> {} +0000\ndata 1\nx\n",
            1_700_000_000 + version
        );
        write!(
            stream,
            "{head}M 644 inline settings.conf\ndata {}\n{content}\n",
            content.len()
        )
        .unwrap();
    }
    fs::write(path.join("stream"), stream).unwrap();
    let file = fs::File::open(path.join("stream")).unwrap();
    let import = Command::new("git")
        .args(["fast-import", "--quiet"])
        .current_dir(path)
        .stdin(file)
        .status()
        .unwrap();
    assert!(import.success());
    fs::remove_file(path.join("stream")).unwrap();
    git(path, &["gc", "-q"]);
    let borrowed = tempfile::tempdir().unwrap();
    git(
        borrowed.path(),
        &[
            "clone",
            "-q",
            "--shared",
            "--bare",
            path.to_str().unwrap(),
            "bare",
        ],
    );
    for path in [path.to_owned(), borrowed.path().join("bare")] {
        let outcome = outcome(&path, &options());
        assert!(outcome.coverage.units >= 600, "{:?}", outcome.coverage);
        let secrets = secrets(outcome);
        assert_eq!(lengths(&secrets), [10, 11, 12]);
        assert!(secrets.iter().all(|secret| secret.count == 100));
    }
}

#[test]
fn the_work_tree_is_read_with_what_git_ignores() {
    let dir = repository("sha1");
    let path = dir.path();
    commit(path, ".gitignore", ".env\n");
    fs::write(path.join(".env"), format!("DB_PASSWORD={}\n", password(10))).unwrap();
    git(
        path,
        &[
            "remote",
            "add",
            "origin",
            &format!("https://ci:{}@git.acme.net/a", password(15)),
        ],
    );
    fs::create_dir(path.join("vendor")).unwrap();
    fs::write(
        path.join("vendor/x.env"),
        format!("DB_PASSWORD={}\n", password(16)),
    )
    .unwrap();
    let all = secrets(outcome(path, &options()));
    assert_eq!(lengths(&all), [10, 15, 16]);
    assert_eq!(all[0].places[0].note.as_deref(), Some("not tracked by git"));
    assert_eq!(all[1].places[0].at, ".git/config");
    let less = Options {
        skip: Skip::parse(&["vendor".to_owned()]).unwrap(),
        ..options()
    };
    let outcome = outcome(path, &less);
    assert!(!outcome.coverage.is_complete(), "what was left out is said");
    assert_eq!(lengths(&secrets(outcome)), [10, 15]);
}

#[test]
fn staged_is_the_index_alone() {
    let dir = repository("sha1");
    let path = dir.path();
    commit(path, "a.env", &format!("DB_PASSWORD={}\n", password(10)));
    commit(path, "a.env", "none\n");
    fs::write(
        path.join("b.env"),
        format!("DB_PASSWORD={}\n", password(11)),
    )
    .unwrap();
    git(path, &["add", "b.env"]);
    fs::write(
        path.join("c.env"),
        format!("DB_PASSWORD={}\n", password(12)),
    )
    .unwrap();
    let staged = Options {
        work_tree: false,
        objects: Objects::Index,
        ..options()
    };
    assert_eq!(lengths(&secrets(outcome(path, &staged))), [11]);
    let plain = tempfile::tempdir().unwrap();
    let engine = Engine::new(Load::Little, None).unwrap();
    assert!(scan(&engine, plain.path(), &staged).is_err());
}

/// A repository that wants to run something, to lead elsewhere, or to fill the memory.
#[test]
fn a_hostile_repository_runs_nothing_and_ends() {
    let dir = repository("sha1");
    let path = dir.path();
    let marker = path.join("ran");
    let run = format!("touch {}", marker.display());
    let outside = tempfile::tempdir().unwrap();
    fs::write(
        outside.path().join("outside.env"),
        format!("DB_PASSWORD={}\n", password(18)),
    )
    .unwrap();
    fs::write(path.join(".gitattributes"), "* filter=evil diff=evil\n").unwrap();
    commit(path, "a.env", &format!("DB_PASSWORD={}\n", password(10)));
    for (key, value) in [
        ("core.fsmonitor", run.as_str()),
        ("filter.evil.clean", &run),
        ("filter.evil.smudge", &run),
        ("filter.evil.process", &run),
        ("diff.evil.textconv", &run),
        ("core.sshCommand", &run),
        ("core.hooksPath", path.to_str().unwrap()),
        ("core.worktree", outside.path().to_str().unwrap()),
        ("extensions.partialClone", "origin"),
        ("remote.origin.url", "ext::sh -c touch% ran"),
        ("remote.origin.promisor", "true"),
        (
            "include.path",
            outside.path().join("outside.env").to_str().unwrap(),
        ),
    ] {
        git(path, &["config", "--file", ".git/config", key, value]);
    }
    symlink(outside.path(), path.join("elsewhere")).unwrap();
    symlink(path, path.join("loop")).unwrap();
    symlink("a.env", path.join("same")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path.join("fifo"),
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    let deep = path.join("d/".repeat(600));
    fs::create_dir_all(&deep).unwrap();
    fs::write(path.join("large.bin"), vec![b'x'; (1 << 20) + 1]).unwrap();
    fs::write(
        path.join("binary"),
        (0..=255_u8).cycle().take(100_000).collect::<Vec<_>>(),
    )
    .unwrap();
    let outcome = outcome(path, &options());
    assert!(!marker.exists());
    let gaps: Vec<&str> = outcome
        .coverage
        .gaps
        .iter()
        .map(|gap| gap.place.as_str())
        .collect();
    assert!(gaps.contains(&"large.bin"), "{gaps:?}");
    assert!(gaps.iter().any(|gap| gap.starts_with("d/")), "{gaps:?}");
    let found = secrets(outcome);
    assert_eq!(lengths(&found), [10], "{found:?}");
}

#[test]
fn damaged_objects_are_named_and_the_rest_is_read() {
    let dir = repository("sha1");
    let path = dir.path();
    commit(path, "a.env", &format!("DB_PASSWORD={}\n", password(10)));
    let loose = git(path, &["rev-parse", "HEAD:a.env"]);
    commit(path, "b.env", &format!("DB_PASSWORD={}\n", password(11)));
    let file = path
        .join(".git/objects")
        .join(&loose[..2])
        .join(&loose[2..]);
    fs::remove_file(path.join("a.env")).unwrap();
    fs::remove_file(&file).unwrap();
    fs::write(&file, b"not zlib").unwrap();
    let broken = outcome(path, &options());
    assert!(
        broken
            .coverage
            .gaps
            .iter()
            .any(|gap| gap.place.contains(&loose)),
        "{:?}",
        broken.coverage
    );
    assert_eq!(lengths(&secrets(broken)), [11]);
    // Packs: cut, overwritten, and with an index that leads nowhere.
    fs::remove_file(&file).unwrap();
    git(path, &["checkout", "-q", "--orphan", "other"]);
    git(path, &["rm", "-q", "--cached", "a.env"]);
    git(path, &["commit", "-q", "-m", "x"]);
    git(path, &["branch", "-q", "-D", "main"]);
    git(path, &["reflog", "expire", "--expire=now", "--all"]);
    git(path, &["gc", "-q", "--prune=now"]);
    let packs: Vec<_> = fs::read_dir(path.join(".git/objects/pack"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    for ending in ["pack", "idx"] {
        let pack = packs
            .iter()
            .find(|path| path.extension().is_some_and(|found| found == ending))
            .unwrap();
        let whole = fs::read(pack).unwrap();
        for at in [whole.len() / 4, whole.len() / 2, whole.len() - 30] {
            for bytes in [
                whole[..at].to_vec(),
                [&whole[..at], &[0xff; 16], &whole[at + 16..]].concat(),
            ] {
                fs::remove_file(pack).unwrap();
                fs::write(pack, &bytes).unwrap();
                // Whatever is broken, the work tree is read.
                let found = lengths(&secrets(outcome(path, &options())));
                assert!(found.contains(&11), "{ending} at {at}: {found:?}");
            }
        }
        fs::remove_file(pack).unwrap();
        fs::write(pack, &whole).unwrap();
    }
}

#[test]
fn many_files_are_read() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..3_000 {
        fs::write(
            dir.path().join(format!("{number}.txt")),
            format!("file {number}\n"),
        )
        .unwrap();
    }
    fs::write(
        dir.path().join("last.env"),
        format!("DB_PASSWORD={}\n", password(10)),
    )
    .unwrap();
    let outcome = outcome(dir.path(), &options());
    assert_eq!(outcome.coverage.units, 3_001);
    assert!(outcome.coverage.is_complete(), "{:?}", outcome.coverage);
    assert_eq!(lengths(&secrets(outcome)), [10]);
}

#[test]
fn what_is_no_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    let engine = Engine::new(Load::Little, None).unwrap();
    for path in [&file, &dir.path().join("none")] {
        let error = scan(&engine, path, &options()).unwrap_err();
        assert!(error.to_string().contains("is no directory"), "{error}");
    }
    assert!(Skip::parse(&["[".to_owned()]).is_err());
}
