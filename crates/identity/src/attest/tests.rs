//! Attestation of real processes over real sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};

use bailiwick_core::selector::Selector;

use super::{AttestError, Found, Hashes, attest, attest_parent};
use crate::peer::Peer;

fn own_peer() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

#[test]
fn finds_uid_path_and_digest_of_this_process() {
    let (near, _far) = own_peer();
    let peer = Peer::of(&near).unwrap();
    assert_eq!(peer.pid, std::process::id());
    let found = attest(&peer, &Hashes::default()).unwrap();
    let path = std::env::current_exe()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    assert!(found.selectors.contains(&Selector::Path(path)), "{found:?}");
    assert!(found.selectors.contains(&Selector::Uid(peer.uid)));
    assert!(found.selectors.contains(&Selector::Sha256(found.digest)));
    let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert_eq!(found.digest, bailiwick_crypto::hash::sha256(&[&bytes]));
}

/// Starts a child that connects to a socket we listen on and then waits.
fn connected_child(directory: &std::path::Path) -> (Child, UnixStream) {
    connected(directory, "sys.stdin.read()")
}

/// Starts a child that connects to a socket we listen on, tells so with a byte, and goes on with `then`.
fn connected(directory: &std::path::Path, then: &str) -> (Child, UnixStream) {
    let path = directory.join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let script = format!(
        "import os,socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\ns.sendall(b'x')\n{then}\n"
    );
    let child = Command::new("python3")
        .args(["-c", &script, path.to_str().unwrap()])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0]).unwrap();
    (child, stream)
}

fn paths(found: &Found) -> Vec<&str> {
    let selectors = found.selectors.iter();
    let paths = selectors.filter_map(|selector| match selector {
        Selector::Path(path) => Some(path.as_str()),
        _ => None,
    });
    paths.collect()
}

fn stop(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn pid_reuse_exec_scm_rights() {
    // Another program in the same process: it is what it is now, not what it was when it connected.
    let directory = tempfile::tempdir().unwrap();
    let turn = "sys.stdin.buffer.read(1)\ns.set_inheritable(True)\nos.execv('/bin/sh', ['sh', '-c', 'echo turned >&%d; read wait' % s.fileno()])";
    let (mut child, stream) = connected(directory.path(), turn);
    let peer = Peer::of(&stream).unwrap();
    let hashes = Hashes::default();
    let before = attest(&peer, &hashes).unwrap();
    child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).unwrap();
    let after = attest(&peer, &hashes).unwrap();
    assert_eq!((line.as_str(), before.pid), ("turned\n", after.pid));
    assert_ne!(before.digest, after.digest);
    assert_ne!(paths(&before), paths(&after));
    stop(child);

    // The connection in other hands: it is its maker's, and dead with its maker, though somebody speaks on it.
    let directory = tempfile::tempdir().unwrap();
    let hand_on = "near,far=socket.socketpair()\nif os.fork():\n    socket.send_fds(near,[b'f'],[s.fileno()])\n    near.recv(1)\n    os._exit(0)\n\
        s.close()\n_,held=socket.recv_fds(far,1,1)[:2]\nmaker=os.getppid()\nfar.send(b'x')\nwhile os.getppid()==maker: pass\nos.write(held[0],b'thief')\nsys.stdin.read()";
    let (mut child, mut stream) = connected(directory.path(), hand_on);
    let peer = Peer::of(&stream).unwrap();
    child.wait().unwrap();
    let mut said = [0; 5];
    stream.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"thief");
    assert!(matches!(attest(&peer, &hashes), Err(AttestError::Gone(_))));

    // What was opened of a process is read of that process or not at all, whoever has its id by then.
    let directory = tempfile::tempdir().unwrap();
    let (child, _stream) = connected_child(directory.path());
    let process = super::Process::open(child.id()).unwrap();
    stop(child);
    let read = process.examine(0, 0, &hashes);
    assert!(matches!(read, Err(AttestError::Gone(_))), "{read:?}");
}

#[test]
fn mount_namespace_path() {
    let script = "echo ready; read wait";
    let mut child = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n", "this machine lets nobody unshare mounts");
    let process = super::Process::open(child.id()).unwrap();
    let found = process.examine(0, 0, &Hashes::default()).unwrap();
    stop(child);
    // `/bin/sh` there may be anything; the bytes that run are what they are.
    assert_eq!(paths(&found), [""; 0]);
    let shell = bailiwick_crypto::hash::sha256(&[&std::fs::read("/bin/sh").unwrap()]);
    assert!(found.selectors.contains(&Selector::Sha256(shell)));
}

#[test]
fn giant_binary() {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("agent");
    std::fs::copy("/bin/sleep", &copy).unwrap();
    // A hole behind the program takes no room on the disk, and would keep the node reading.
    let file = std::fs::File::options().write(true).open(&copy).unwrap();
    file.set_len((1 << 30) + 1).unwrap();
    drop(file);
    let child = Command::new(&copy).arg("60").spawn().unwrap();
    let process = super::Process::open(child.id()).unwrap();
    let found = process.examine(0, 0, &Hashes::default());
    stop(child);
    assert!(matches!(found, Err(AttestError::TooLarge(_))), "{found:?}");
}

#[test]
fn a_peer_that_exited_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (mut child, stream) = connected_child(directory.path());
    let peer = Peer::of(&stream).unwrap();
    let hashes = Hashes::default();
    let found = attest(&peer, &hashes).unwrap();
    assert_eq!(found.pid, child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(matches!(attest(&peer, &hashes), Err(AttestError::Gone(_))));
}

#[test]
fn the_parent_of_a_shim_is_attested() {
    let directory = tempfile::tempdir().unwrap();
    let (mut child, mut stream) = connected_child(directory.path());
    let found = attest_parent(&Peer::of(&stream).unwrap(), &Hashes::default()).unwrap();
    assert_eq!(found.pid, std::process::id());
    stream.write_all(b"x").unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_replaced_executable_loses_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("agent");
    std::fs::copy("/bin/sleep", &copy).unwrap();
    let mut child = Command::new(&copy).arg("60").spawn().unwrap();
    std::fs::remove_file(&copy).unwrap();
    std::fs::copy("/bin/true", &copy).unwrap();
    let process = super::Process::open(child.id()).unwrap();
    let found = process.examine(0, 0, &Hashes::default()).unwrap();
    let true_digest = bailiwick_crypto::hash::sha256(&[&std::fs::read("/bin/true").unwrap()]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        !found
            .selectors
            .iter()
            .any(|selector| matches!(selector, Selector::Path(_))),
        "{found:?}"
    );
    assert_ne!(
        found.digest, true_digest,
        "the running file is hashed, not the one at its path"
    );
}
