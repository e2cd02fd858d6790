//! Attestation of real processes over real sockets.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};

use bailiwick_core::selector::Selector;

use super::{AttestError, Hashes, attest, attest_parent};
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
fn connected_child(directory: &std::path::Path) -> (std::process::Child, UnixStream) {
    let path = directory.join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let script = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\ns.sendall(b'x')\nsys.stdin.read()\n";
    let child = Command::new("python3")
        .args(["-c", script, path.to_str().unwrap()])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0]).unwrap();
    (child, stream)
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
