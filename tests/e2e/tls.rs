//! Listeners with TLS: worked with as those without, by our own clients and by others; what is weak, slow or in the clear gets nothing; and
//! certificates are replaced while the node runs.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::bad_config::serve;
use crate::harness::http::{self, Place};
use crate::harness::node::{self, config_of, run};
use crate::harness::{DEADLINE, Node, Setup, World, pki};
use crate::points;

fn with_tls() -> Setup {
    Setup {
        tls: true,
        ..Setup::default()
    }
}

/// The address of a URL of the node.
fn address(url: &str) -> String {
    url.strip_prefix("https://").expect("no https").to_owned()
}

fn openssl(node: &Node, arguments: &[&str]) -> String {
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-connect", &address(node.ready("console"))])
        .arg("-CAfile")
        .arg(node.home().join("ca.pem"))
        .args(["-verify_return_error"])
        .args(arguments);
    let ran = run(&mut command, "");
    format!("{}{}", ran.stdout, ran.stderr)
}

#[test]
fn a_node_with_tls_is_worked_with_as_one_without() {
    let world = World::with(&with_tls());
    let (_, client) = world.session();
    client.ok("list_files", "{}");
    let tasks = world.node.cli(&["task", "list"]);
    assert_eq!(tasks["items"].as_array().map(Vec::len), Some(1), "{tasks}");

    // Without the authority the same command does not send its token.
    let mut command = world.node.command(&["task", "list", "--output", "json"]);
    let ran = run(command.env_remove("BAILIWICK_CA"), "");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    let problem = ran.problem();
    assert_eq!(problem["code"], "node_unreachable", "{problem}");
    assert!(
        problem["help"].as_str().unwrap().contains("--ca"),
        "{problem}"
    );

    // A point elsewhere follows it, and a revocation waits for it.
    let mut point = points::watch(&world, "edge");
    points::revoke(&world, "nobody");
    assert_eq!(points::fence(&mut point)["subject"], "owner/nobody");
}

#[test]
fn browsers_are_told_to_stay_with_tls_and_their_cookies_are_of_this_host() {
    let node = Node::with(&with_tls());
    let console = node.ready("console").to_owned();
    let link = node.api("POST", "/v1/accounts/e2e/link", None);
    let code = link["url"].as_str().unwrap().split_once('#').unwrap().1;
    let body = json!({ "code": code }).to_string();
    let post = |origin: &str| {
        let headers = [
            ("Content-Type", "application/json"),
            ("Sec-Fetch-Site", "same-origin"),
            ("Origin", origin),
        ];
        let (place, body) = (Place::of(&console), Some(body.as_bytes()));
        http::send(&place, "POST", "/v1/session", &headers, body).unwrap()
    };
    // The same host in the clear is another origin.
    let plain = console.replacen("https", "http", 1);
    assert_eq!(post(&plain).expect(403).json()["code"], "origin_refused");
    let signed_in = post(&console);
    assert!(signed_in.status < 300, "{}", signed_in.text());
    let cookie = signed_in.header("set-cookie").unwrap().to_owned();
    assert!(cookie.starts_with("__Host-bailiwick-session="), "{cookie}");
    assert!(
        cookie.ends_with("; Secure") && cookie.contains("; Path=/;"),
        "{cookie}"
    );
    let year = signed_in.header("strict-transport-security");
    assert_eq!(year, Some("max-age=31536000"));
    // Names are looked at as before.
    let wrong = [("Host", "rebound.example")];
    let answer = http::send(&Place::of(&console), "GET", "/healthz", &wrong, None).unwrap();
    assert!(answer.status >= 400, "{}", answer.status);
}

#[test]
fn curl_and_openssl_speak_with_it_and_what_is_weak_is_refused() {
    let node = Node::with(&with_tls());
    let url = format!("{}/healthz", node.ready("console"));
    for version in ["--http1.1", "--http2"] {
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--fail", version, "--cacert"])
            .arg(node.home().join("ca.pem"))
            .args(["--write-out", " over %{http_version}", &url]);
        let ran = run(&mut command, "");
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let spoken = version.trim_start_matches("--http");
        assert!(ran.stdout.contains(r#""status":"ok""#), "{ran:?}");
        assert!(ran.stdout.ends_with(&format!("over {spoken}")), "{ran:?}");
    }
    for good in [&["-tls1_3"][..], &["-tls1_2"]] {
        let said = openssl(&node, good);
        assert!(
            said.contains("Verify return code: 0 (ok)"),
            "{good:?}: {said}"
        );
    }
    let weak = "DEFAULT@SECLEVEL=0";
    for bad in [
        &["-tls1", "-cipher", weak][..],
        &["-tls1_1", "-cipher", weak],
        // No forward secrecy; and no authenticated encryption.
        &["-tls1_2", "-cipher", "AES128-GCM-SHA256"],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"],
    ] {
        let said = openssl(&node, bad);
        assert!(said.contains("alert"), "{bad:?}: {said}");
        assert!(said.contains("Cipher is (NONE)"), "{bad:?}: {said}");
    }
}

#[test]
fn in_the_clear_or_slowly_nobody_gets_anything_and_others_are_served() {
    let node = Node::with(&with_tls());
    let connect = |listener| {
        let stream = TcpStream::connect(address(node.ready(listener))).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    };
    for listener in ["console", "gateway"] {
        let mut plain = connect(listener);
        let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
        plain.write_all(request).unwrap();
        let mut answer = Vec::new();
        // An alert, and the end.
        let _ = plain.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    // The first byte of a handshake, and never the second: many of them, and at the gateway more than go on at once.
    let mut slow = Vec::new();
    for (listener, many) in [("console", 200), ("gateway", 300)] {
        slow.extend((0..many).map(|_| connect(listener)));
    }
    for stream in &mut slow {
        stream.write_all(&[22]).unwrap();
    }
    node.api("GET", "/healthz", None);
    for mut stream in slow {
        let end = stream.read(&mut [0; 16]);
        let reset = |error: &std::io::Error| error.kind() == ErrorKind::ConnectionReset;
        let ended = end.as_ref().map_or_else(reset, |read| *read == 0);
        assert!(ended, "{end:?}");
    }
    let answer = http::send(
        &Place::of(node.ready("gateway")),
        "GET",
        "/mcp/x",
        &[],
        None,
    );
    assert_eq!(answer.unwrap().status, 401);
}

/// What a new connection is shown, DER.
fn shown(node: &Node) -> Vec<u8> {
    use rustls::pki_types::ServerName;
    use rustls::{ClientConnection, Stream};
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = ClientConnection::new(pki::authority().client(), name).unwrap();
    let mut stream = TcpStream::connect(address(node.ready("console"))).unwrap();
    Stream::new(&mut connection, &mut stream).flush().unwrap();
    connection.peer_certificates().unwrap()[0].to_vec()
}

/// Waits for something to be so.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    use bailiwick_core::Clock as _;
    let clock = bailiwick_crypto::system::SystemClock;
    let deadline = clock.monotonic() + DEADLINE;
    while !done() {
        assert!(clock.monotonic() < deadline, "{what} does not come");
        std::thread::yield_now();
    }
}

#[test]
fn a_renewed_certificate_is_shown_without_a_restart_and_a_broken_one_never() {
    let node = Node::with(&with_tls());
    let first = shown(&node);
    let renewed = pki::authority().issue(&pki::NAMES, 7_200);
    renewed.put(node.home());
    until("the renewed certificate", || shown(&node) != first);
    let second = shown(&node);
    // A key of another certificate, and nothing at all.
    let other = pki::authority().issue(&pki::NAMES, 3_600);
    let bad = [
        pki::Pair {
            key: other.key,
            ..renewed.clone()
        },
        pki::Pair {
            cert: String::new(),
            ..renewed
        },
    ];
    for (told, pair) in bad.iter().enumerate() {
        pair.put(node.home());
        let line = "changed and cannot be used: it goes on with what it had";
        // By both listeners.
        until("the complaint", || {
            node.log().matches(line).count() == 2 * (told + 1)
        });
        assert_eq!(shown(&node), second);
    }
    assert!(
        node.log()
            .contains("the private key is not the certificate's"),
        "{}",
        node.log()
    );
    let metrics = node.request("GET", "/metrics", None).text();
    assert!(
        metrics.contains(r#"bailiwick_tls_certificate_not_after_seconds{key="console.tls"}"#),
        "{metrics}"
    );
}

/// What `serve` says to a certificate that it does not start with.
fn refused(home: &Path, pair: &pki::Pair, prepare: impl FnOnce(&Path)) -> Value {
    pair.put(home);
    prepare(home);
    let data = json!(home.join("data"));
    let tls = r#"tls = { cert = "server.pem", key = "server.key" }"#;
    let text = format!(
        "version = 1\n[node]\ndata_dir = {data}\n[console]\nlisten = \"127.0.0.1:0\"\n{tls}\n[gateway]\nlisten = \"127.0.0.1:0\"\n"
    );
    std::fs::write(config_of(home), text).unwrap();
    let ran: node::Ran = serve(&config_of(home), "json");
    assert_eq!(ran.code, Some(3), "{ran:?}");
    ran.problem()
}

#[test]
fn a_certificate_that_clients_would_refuse_is_an_error_at_start() {
    let home = tempdir().unwrap();
    let good = pki::authority().issue(&pki::NAMES, 3_600);
    let other = pki::authority().issue(&pki::NAMES, 3_600);
    let cases = [
        (
            pki::authority().issue(&pki::NAMES, -60),
            "ended at",
            "get a new certificate",
        ),
        (
            pki::Pair {
                key: other.key,
                ..good.clone()
            },
            "not the certificate's",
            "was asked for with",
        ),
        (
            pki::authority().issue(&["bailiwick.example"], 3_600),
            "not for `127.0.0.1`",
            "public_url",
        ),
        (
            pki::Pair {
                key: "no key".to_owned(),
                ..good.clone()
            },
            "no private key",
            "P-256",
        ),
    ];
    for (pair, why, help) in cases {
        let problem = refused(home.path(), &pair, |_| {});
        let text = problem.to_string();
        assert_eq!(problem["code"], "config_invalid", "{problem}");
        assert!(
            text.contains("console.tls") && text.contains(why),
            "{problem}"
        );
        assert!(text.contains(help), "{problem}");
    }
    let problem = refused(home.path(), &good, |home| {
        use std::os::unix::fs::PermissionsExt as _;
        let all = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(home.join("server.key"), all).unwrap();
    });
    assert!(
        problem
            .to_string()
            .contains("others could read the private key"),
        "{problem}"
    );
}
