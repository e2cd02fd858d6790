//! What is read of a running process, and what is not, with real processes.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use bailiwick_crypto::system::SystemRng;

use super::owner::Owner;
use super::{Outcome, ProcessError, Scanner};
use crate::report::Secret;
use crate::secrets::sample::hex_of;
use crate::secrets::{Engine, FingerprintKey, Load};

fn engine() -> Engine {
    Engine::new(Load::Little, None).unwrap()
}

fn secrets(outcome: Outcome) -> Vec<Secret> {
    outcome.fold.finish(&FingerprintKey::of_run(&SystemRng)).0
}

/// A process that waits until its stdin ends, with nothing of this one's environment.
struct Waiting(Child, Option<ChildStdin>);

impl Waiting {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        // It has replaced itself with the program when the program writes.
        let mut line = [0; 6];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut line)
            .unwrap();
        assert_eq!(&line, b"ready\n");
        Self(child, stdin)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.1.take());
        let _ = self.0.wait();
    }
}

/// A shell that waits, after `prelude`.
fn shell(prelude: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{prelude} echo ready; read line"), "sh"])
        .env_clear()
        .env("HOME", "/nonexistent");
    command
}

#[test]
fn a_process_is_read_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let unlinked = dir.path().join("unlinked");
    fs::write(&unlinked, "api_token=q8zjx0vkw3hgfp2mq1\n").unwrap();
    let mut command = shell(&format!("exec 7<{0}; rm {0};", unlinked.display()));
    command
        .env("HOME", dir.path())
        .env("DB_PASSWORD", "p;a's\"s#9! x=y")
        .env("SMTP_PASSWORD", "p;a's\"s#9!")
        .env("LOG_LEVEL", "info")
        .args(["--api-token", "9f86d081884c7d659a2feaa0c55ad015"]);
    fs::write(
        dir.path().join(".netrc"),
        "machine api.acme.net login ci password blue42horse!\n",
    )
    .unwrap();
    fs::create_dir(dir.path().join(".ssh")).unwrap();
    fs::write(dir.path().join(".ssh/note"), "password: yard!17-Blue\n").unwrap();
    let process = Waiting::start(&mut command);
    let outcome = Scanner::new(&engine(), "/proc")
        .process(process.pid(), false)
        .unwrap();
    let gaps: Vec<String> = outcome
        .coverage
        .gaps
        .iter()
        .map(|gap| format!("{} {}", gap.place, gap.reason))
        .collect();
    assert!(
        gaps.iter()
            .any(|gap| gap.starts_with("fd 0 ") && gap.contains("a pipe")),
        "{gaps:?}"
    );
    let found = secrets(outcome);
    let mut places: Vec<(String, usize)> = found
        .iter()
        .map(|secret| (secret.places[0].at.clone(), secret.length))
        .collect();
    places.sort();
    let of = |file: &str| dir.path().join(file).display().to_string();
    let mut expected = vec![
        ("environ SMTP_PASSWORD".to_owned(), 10),
        ("cmdline".to_owned(), 32),
        (format!("fd 7 → {} (deleted)", of("unlinked")), 18),
        (of(".netrc"), 12),
        (of(".ssh/note"), 12),
    ];
    expected.sort();
    assert_eq!(places, expected);
    let shown = format!("{found:?}");
    for planted in ["s#9!", "9f86d0", "q8zjx0", "42horse", "17-Blue"] {
        assert!(!shown.contains(planted), "{shown}");
    }
}

/// A pipe's bytes are there after the scan.
#[test]
fn a_pipe_keeps_its_bytes() {
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"password=blue42horse!\n").unwrap();
    let mut command = shell("");
    let shared = reader.try_clone().unwrap();
    command.stderr(shared);
    let process = Waiting::start(&mut command);
    let outcome = Scanner::new(&engine(), "/proc")
        .process(process.pid(), false)
        .unwrap();
    assert!(secrets(outcome).is_empty());
    drop(writer);
    let mut bytes = String::new();
    reader.read_to_string(&mut bytes).unwrap();
    assert_eq!(bytes, "password=blue42horse!\n");
}

#[test]
fn a_tree_has_children_and_nobody_else() {
    // The child says that it is there: until then it has its parent's environment.
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "exec 5<&0; DB_PASSWORD=\"$NOTE\" sh -c 'echo ready; read line' <&5 & wait",
        ])
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("DB_PASSWORD", "blue42horse!")
        .env("NOTE", "yard!17-Blue");
    let process = Waiting::start(&mut command);
    let other = Waiting::start(shell("").env("DB_PASSWORD", "other#99other"));
    let engine = engine();
    let scanner = Scanner::new(&engine, "/proc");
    assert_eq!(
        secrets(scanner.process(process.pid(), false).unwrap()).len(),
        1
    );
    let outcome = scanner.process(process.pid(), true).unwrap();
    assert!(!outcome.processes.contains(&other.pid()));
    assert_eq!(outcome.processes.len(), 2);
    assert_eq!(secrets(outcome).len(), 2);
}

#[test]
fn a_process_that_ended_is_gone() {
    let engine = engine();
    let scanner = Scanner::new(&engine, "/proc");
    let process = Waiting::start(&mut shell(""));
    let pid = process.pid();
    drop(process);
    assert!(matches!(
        scanner.process(pid, false),
        Err(ProcessError::Gone(_))
    ));
    assert!(matches!(
        scanner.process(u32::MAX, false),
        Err(ProcessError::Gone(_))
    ));
}

/// A `/proc` with one process, made of files: what needs no real one.
struct Made {
    dir: tempfile::TempDir,
}

impl Made {
    fn new(uid: u32) -> Self {
        let made = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        made.add(100, uid);
        made
    }

    fn of(&self, pid: u32) -> PathBuf {
        self.dir.path().join(pid.to_string())
    }

    fn add(&self, pid: u32, uid: u32) {
        let path = self.of(pid);
        fs::create_dir_all(path.join("fd")).unwrap();
        fs::create_dir_all(path.join("root/etc")).unwrap();
        let status = format!(
            "Name:\tagent\nPPid:\t1\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t{uid}\t{uid}\t{uid}\t{uid}\nGroups:\t\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n"
        );
        fs::write(path.join("status"), status).unwrap();
        fs::write(
            path.join("stat"),
            format!("{pid} (a) b) S 1 {} 4242 0", "0 ".repeat(17)),
        )
        .unwrap();
        fs::write(path.join("environ"), b"").unwrap();
        fs::write(path.join("cmdline"), b"agent\0").unwrap();
    }

    fn scan(&self, pid: u32) -> Result<Outcome, ProcessError> {
        Scanner::new(&engine(), self.dir.path()).process(pid, false)
    }
}

#[test]
fn the_nineteen_of_an_environment() {
    // Drawn at run time, so that none is in the repository.
    let drawn: [u8; 32] = bailiwick_crypto::system::random(&SystemRng);
    let hex = hex_of(&drawn);
    let variables: Vec<(String, String)> = [
        "PGPASSWORD",
        "API_TOKEN",
        "SESSION_SECRET",
        "SMTP_PASS",
        "x_api_key",
    ]
    .iter()
    .enumerate()
    .map(|(at, name)| ((*name).to_owned(), hex[at..at + 40].to_owned()))
    .collect();
    let made = Made::new(1_004);
    let mut environ: Vec<u8> = Vec::new();
    for (name, value) in &variables {
        environ.extend(format!("{name}={value}\0").into_bytes());
    }
    environ.extend(b"PATH=/usr/bin\0HOME=/home\0PASSWORD_FILE=/run/secrets/x\0TOKEN_TTL=3600\0NOTE=a=b;c\0=odd\0odd\0\xff\xfe=\xff\0");
    environ.extend([b"LARGE=".to_vec(), vec![b'x'; 1 << 20], vec![0]].concat());
    fs::write(made.of(100).join("environ"), environ).unwrap();
    let outcome = made.scan(100).unwrap();
    let found = secrets(outcome);
    let mut places: Vec<String> = found
        .iter()
        .map(|secret| secret.places[0].at.clone())
        .collect();
    places.sort();
    let mut expected: Vec<String> = variables
        .iter()
        .map(|(name, _)| format!("environ {name}"))
        .collect();
    expected.sort();
    assert_eq!(places, expected);
}

#[test]
fn links_of_a_container_lead_within_it() {
    let made = Made::new(1_004);
    let root = made.of(100).join("root");
    let outside = tempfile::tempdir().unwrap();
    fs::write(
        outside.path().join("netrc"),
        "machine a login b password outside!42\n",
    )
    .unwrap();
    fs::create_dir_all(root.join("people/a")).unwrap();
    fs::create_dir_all(root.join(outside.path().strip_prefix("/").unwrap())).unwrap();
    fs::write(
        root.join("etc/passwd"),
        "broken\na:x:1004:1004::/people/a:/bin/sh\n",
    )
    .unwrap();
    symlink(outside.path().join("netrc"), root.join("people/a/.netrc")).unwrap();
    symlink("/people/a", root.join("people/a/.ssh")).unwrap();
    fs::write(
        root.join("people/a/.npmrc"),
        "//r.acme.net/:_authToken=q8zjx0vkw3hgfp2mq1\n",
    )
    .unwrap();
    let outcome = made.scan(100).unwrap();
    let found = secrets(outcome);
    assert_eq!(
        found.iter().map(|secret| secret.length).collect::<Vec<_>>(),
        [18]
    );
}

#[test]
fn sockets_that_it_reaches_are_told() {
    let made = Made::new(rustix::process::getuid().as_raw());
    let root = made.of(100).join("root");
    fs::create_dir_all(root.join("var/run")).unwrap();
    fs::create_dir_all(root.join("tmp")).unwrap();
    let _docker = UnixListener::bind(root.join("var/run/docker.sock")).unwrap();
    let _agent = UnixListener::bind(root.join("tmp/agent")).unwrap();
    fs::write(made.of(100).join("environ"), b"SSH_AUTH_SOCK=/tmp/agent\0").unwrap();
    let checks: Vec<&str> = made
        .scan(100)
        .unwrap()
        .exposures
        .iter()
        .map(|exposure| exposure.check)
        .collect();
    assert_eq!(checks, ["runtime-socket", "ssh-agent"]);
}

#[test]
fn a_host_is_its_users_processes() {
    let made = Made::new(1_004);
    made.add(101, 1_004);
    made.add(102, 1_005);
    for pid in [100, 101, 102] {
        fs::write(
            made.of(pid).join("environ"),
            format!("DB_PASSWORD=blue42horse!{pid}\0"),
        )
        .unwrap();
    }
    fs::create_dir(made.dir.path().join("99")).unwrap();
    fs::create_dir(made.dir.path().join("not-a-number")).unwrap();
    let engine = engine();
    let outcome = Scanner::new(&engine, made.dir.path())
        .host(&[1_004])
        .unwrap();
    assert_eq!(outcome.processes, [100, 101]);
    assert_eq!(secrets(outcome).len(), 2);
    assert!(
        Scanner::new(&engine, made.dir.path().join("none"))
            .host(&[])
            .is_err()
    );
}

#[test]
fn what_may_not_be_read_is_told_with_what_would_help() {
    let made = Made::new(1_004);
    // As the kernel refuses them: the file is there and cannot be opened.
    for name in ["environ", "cmdline"] {
        fs::remove_file(made.of(100).join(name)).unwrap();
        symlink("self-loop", made.of(100).join(name)).unwrap();
        let _ = symlink("self-loop", made.of(100).join("self-loop"));
    }
    fs::remove_dir(made.of(100).join("fd")).unwrap();
    let error = made.scan(100).unwrap_err();
    assert!(
        matches!(error, ProcessError::NotPermitted { uid: 1_004, .. }),
        "{error}"
    );
    assert!(bailiwick_core::Fault::help(&error).contains("uid 1004"));
}

#[test]
fn rights_are_those_of_mode_and_capabilities() {
    let dir = tempfile::tempdir().unwrap();
    let file = File::create(dir.path().join("f")).unwrap();
    let mut stat = rustix::fs::fstat(&file).unwrap();
    let status = "Name: x\nPPid: 1\nUid: 7 7 7 7\nGid: 8 8 8 8\nGroups: 9\nCapEff: 0\n";
    let owner = Owner::parse(status).unwrap();
    (stat.st_uid, stat.st_gid, stat.st_mode) = (7, 1, 0o100_400);
    assert!(owner.may(4, &stat) && !owner.may(2, &stat));
    (stat.st_uid, stat.st_gid, stat.st_mode) = (1, 9, 0o100_020);
    assert!(owner.may(2, &stat) && !owner.may(4, &stat));
    (stat.st_uid, stat.st_gid, stat.st_mode) = (1, 1, 0o100_660);
    assert!(!owner.may(4, &stat));
    let root = Owner::parse(&status.replace("CapEff: 0", "CapEff: 2")).unwrap();
    assert!(root.may(4, &stat) && root.may(2, &stat));
    assert_eq!(Owner::parse("Name: x"), None);
}
