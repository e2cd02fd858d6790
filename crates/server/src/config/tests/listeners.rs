//! Where a node may listen, and what TLS goes with.

use std::path::Path;

use expect_test::expect;

use super::check;
use crate::config::Config;

#[test]
fn a_listener_beyond_loopback_is_refused() {
    check(
        "version = 1\n[console]\nlisten = \"192.0.2.1:8420\"\n",
        &expect![[r#"
            bailiwick.toml:3:10: console.listen: 192.0.2.1:8420 can be reached from outside this machine, and there is no TLS
              help: give it a certificate (tls = { cert = "…", key = "…" }), or listen on loopback (listen = "127.0.0.1:8420") behind a proxy with TLS
        "#]],
    );
}

#[test]
fn with_tls_a_listener_may_be_anywhere() {
    let tls = "tls = { cert = \"node.pem\", key = \"/etc/ssl/node.key\" }";
    let text = format!(
        "version = 1\n[console]\nlisten = \"192.0.2.1:8420\"\n{tls}\n[gateway]\nlisten = \"0.0.0.0:8421\"\n\
         public_url = \"https://node.example:8421\"\n{tls}\n[oauth]\nmtls_listen = \"[::]:8422\"\n\
         mtls_url = \"https://svids.node.example\"\n"
    );
    let directory = Path::new("/etc/bailiwick");
    let config = Config::parse(&text, "bailiwick.toml", directory, directory).unwrap();
    let files = config.console.tls.clone().unwrap();
    assert_eq!(files.cert, Path::new("/etc/bailiwick/node.pem"));
    assert_eq!(files.key, Path::new("/etc/ssl/node.key"));
    assert_eq!(config.gateway.listener.tls, Some(files));
    let mtls = config.mtls.unwrap();
    assert_eq!(mtls.listen.to_string(), "[::]:8422");
    assert_eq!(
        mtls.public_url.as_deref(),
        Some("https://svids.node.example")
    );
}

#[test]
fn what_tls_does_not_go_with() {
    let tls = "tls = { cert = \"node.pem\", key = \"node.key\" }";
    let text = format!(
        "version = 1\n[oauth]\nmtls_listen = \"127.0.0.1:8422\"\nmtls_url = \"https://a.example\"\n\
         [console]\npublic_url = \"http://127.0.0.1:8420\"\n{tls}\n[gateway]\nlisten = \"0.0.0.0:8421\"\n{tls}\n"
    );
    check(
        &text,
        &expect![[r"
        bailiwick.toml:6:14: console.public_url: the listener speaks TLS, and this URL does not
          help: write https://
        bailiwick.toml:9:10: gateway.listen: 0.0.0.0:8421 is every address, and no client can call that
          help: set public_url to the URL that the certificate is for, such as https://bailiwick.example:8421
    "]],
    );
    check(
        "version = 1\n[oauth]\nmtls_listen = \"127.0.0.1:8422\"\n[console]\ntls = { cert = \"node.pem\" }\n",
        &expect![[r#"
            bailiwick.toml:5:7: console.tls: `key` is missing
              help: it takes {cert = "…", key = "…"}, files in PEM
        "#]],
    );
    check(
        "version = 1\n[oauth]\nmtls_listen = \"127.0.0.1:8422\"\n[gateway]\ntls = { cert = \"\", key = \"a\", ca = \"b\" }\n",
        &expect![[r"
            bailiwick.toml:5:7: gateway.tls: unknown key `ca`
              help: it takes cert, key
        "]],
    );
    check(
        "version = 1\n[oauth]\nmtls_listen = \"127.0.0.1:8422\"\n",
        &expect![[r"
            bailiwick.toml:3:15: oauth.mtls_listen: certificates are shown over TLS, at the token endpoint and at the gateway
              help: set [console] tls and [gateway] tls
        "]],
    );
    check(
        "version = 1\n[oauth]\nmtls_url = \"https://a.example\"\n",
        &expect![[r"
            bailiwick.toml:3:12: oauth.mtls_url: nothing listens there
              help: set [oauth] mtls_listen
        "]],
    );
    let same = format!(
        "version = 1\n[oauth]\nmtls_listen = \"127.0.0.1:8420\"\nmtls_url = \"http://127.0.0.1\"\n[console]\n{tls}\n[gateway]\n{tls}\n"
    );
    check(
        &same,
        &expect![[r"
        bailiwick.toml:4:12: oauth.mtls_url: the listener speaks TLS, and this URL does not
          help: write https://
    "]],
    );
}

#[test]
fn two_listeners_cannot_share_a_port() {
    check(
        "version = 1\n[gateway]\nlisten = \"127.0.0.1:8420\"\n",
        &expect![[r"
            bailiwick.toml:3:10: gateway.listen: console and gateway cannot listen on the same address
              help: give each its own port
        "]],
    );
}
