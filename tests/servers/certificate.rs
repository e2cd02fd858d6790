//! A certificate for servers on this machine, and a port for one. Included beside what starts a server with TLS.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// Makes `ca.pem`, and `server.pem` and `server.key` for localhost that come from it, in a directory; by openssl.
pub(crate) fn make(dir: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -x509 -days 2";
    for (keyout, rest) in [
        (
            "ca.key",
            "-out ca.pem -subj /CN=tests -addext basicConstraints=critical,CA:TRUE",
        ),
        (
            "server.key",
            "-out server.pem -subj /CN=localhost -CA ca.pem -CAkey ca.key \
             -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE",
        ),
    ] {
        let made = Command::new("openssl")
            .current_dir(dir)
            .arg("req")
            .args(key.split_whitespace())
            .args(["-keyout", keyout])
            .args(rest.split_whitespace())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{told}");
    }
}

/// Starts something on a free port, and again on another one if somebody was faster.
pub(crate) fn on_free_port<T>(start: impl Fn(u16) -> Result<T, String>) -> (u16, T) {
    let mut told = String::new();
    for _ in 0..8 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        match start(port) {
            Ok(started) => return (port, started),
            Err(why) => told = why,
        }
    }
    panic!("no port is free: {told}");
}
