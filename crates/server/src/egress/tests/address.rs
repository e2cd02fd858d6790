//! Where nothing is dialled: by every way to write or name it, and however a name changes its mind.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bailiwick_core::Secret;
use bailiwick_enforce::ports::{Outgoing, UpstreamError, Upstreams as _};
use bytes::Bytes;
use http::HeaderMap;
use tokio::net::TcpListener;

use crate::config::{Config, ConnectorAt};
use crate::egress::Ways;
use crate::outbound::address::Besides;
use crate::outbound::public_only::PublicOnly;

fn connector(upstream: &str, more: &str) -> Result<ConnectorAt, String> {
    let text = format!(
        "version = 1\n[[egress.connectors]]\nname = \"api\"\nupstream = \"{upstream}\"\ncredential = \"key\"\n\
         slot = \"header authorization: Bearer {{secret}}\"\nallow = \"GET /**\"\n{more}\n"
    );
    let config = Config::parse(&text, "test", Path::new("/"), Path::new("/data"));
    let mut config = config.map_err(|error| format!("{error:?}"))?;
    Ok(config.connectors.remove(0))
}

async fn ask(ways: &Ways, at: &ConnectorAt) -> Result<u16, UpstreamError> {
    let outgoing = Outgoing {
        method: "GET".to_owned(),
        target: Secret::new("/x".to_owned()),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    };
    let answer = ways.send(&at.connector, outgoing).await;
    answer.map(|answer| answer.status.as_u16())
}

/// A way on which names have these addresses: those of the first look-up, of the second, and so on.
fn ways(at: &ConnectorAt, found: &[&[&str]], own: &[SocketAddr]) -> (Ways, Arc<AtomicUsize>) {
    bailiwick_crypto::tls::install_default_provider();
    let looked = Arc::new(AtomicUsize::new(0));
    let rounds: Vec<Vec<IpAddr>> = found
        .iter()
        .map(|round| round.iter().map(|one| one.parse().unwrap()).collect())
        .collect();
    let counter = Arc::clone(&looked);
    let ways = Ways::with(std::slice::from_ref(at), own, move |fits| {
        let (rounds, counter) = (rounds.clone(), Arc::clone(&counter));
        PublicOnly {
            lookup: Arc::new(move |_| {
                let at = counter.fetch_add(1, Ordering::SeqCst).min(rounds.len() - 1);
                let addresses = rounds[at].clone();
                Box::pin(async move { Ok(addresses) })
            }),
            fits: Arc::from(fits),
        }
    });
    (ways.unwrap(), looked)
}

/// Connections that came in at a loopback port.
async fn counted() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, came) = (
        listener.local_addr().unwrap().port(),
        Arc::new(AtomicUsize::new(0)),
    );
    let count = Arc::clone(&came);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, came)
}

fn blocked(answer: &Result<u16, UpstreamError>) -> bool {
    matches!(answer, Err(UpstreamError::Address(_)))
}

#[tokio::test]
async fn metadata_every_spelling() {
    // What is no plain spelling is no configuration.
    for spelled in [
        "https://2852039166",
        "https://0xa9fea9fe",
        "https://0251.0376.0251.0376",
        "https://0xa9.0xfe.0xa9.0xfe",
        "https://169.254.43518",
        "https://169.16689662",
        "https://169.254.169.254.",
        "https://１６９.254.169.254",
        "https://[::ffff:169.254.169.254]",
        "https://user@api.example",
        "https://api.example/path",
        "https://api.example:443",
        "HTTPS://api.example",
        "https://API.example",
        "http://api.example",
        "ftp://api.example",
    ] {
        assert!(connector(spelled, "").is_err(), "{spelled}");
    }
    // What is one is not dialled, even where private addresses are.
    for literal in [
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "[fd00:ec2::254]",
        "[fd20:ce::254]",
        "[fe80::1]",
        "[ff02::1]",
        "[::]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "[2001:0:a9fe:a9fe::1]",
    ] {
        let all = "allow_private = \"yes\"\nallow_loopback = \"yes\"";
        let at = connector(&format!("https://{literal}"), all).unwrap();
        let (ways, looked) = ways(&at, &[&["1.1.1.1"]], &[]);
        let answer = ask(&ways, &at).await;
        assert!(blocked(&answer), "{literal}: {answer:?}");
        assert_eq!(looked.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn only_what_an_operator_lets_through_is_dialled_beside_public_addresses() {
    let fits = |private, loopback, address: &str| {
        Besides { private, loopback }.fits(address.parse().unwrap())
    };
    for address in [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "fd12::1",
        "::ffff:10.0.0.1",
    ] {
        assert!(
            fits(true, false, address) && !fits(false, true, address),
            "{address}"
        );
    }
    for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
        assert!(
            fits(false, true, address) && !fits(true, false, address),
            "{address}"
        );
    }
    for address in ["1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1"] {
        assert!(fits(false, false, address), "{address}");
    }
    for address in ["100.128.0.1", "100.63.0.1"] {
        assert!(fits(false, false, address), "{address}");
    }
}

#[tokio::test]
async fn mixed_answer() {
    let (port, came) = counted().await;
    let at = connector(&format!("https://api.example:{port}"), "").unwrap();
    for found in [
        &["1.1.1.1", "127.0.0.1"][..],
        &["127.0.0.1", "1.1.1.1"],
        &["1.1.1.1", "169.254.169.254"],
        &["2606:4700:4700::1111", "fd00:ec2::254"],
        &["10.0.0.1"],
        &["::ffff:127.0.0.1"],
    ] {
        let (ways, looked) = ways(&at, &[found], &[]);
        let answer = ask(&ways, &at).await;
        assert!(blocked(&answer), "{found:?}: {answer:?}");
        assert_eq!(looked.load(Ordering::SeqCst), 1);
    }
    assert_eq!(came.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn dns_rebinding() {
    // The address that was looked at is the one that is dialled: a second, other answer is never asked for.
    let (port, came) = counted().await;
    let loopback = "allow_loopback = \"yes\"";
    let at = connector(&format!("https://api.example:{port}"), loopback).unwrap();
    let (first, looked) = ways(&at, &[&["127.0.0.1"], &["169.254.169.254"]], &[]);
    let answer = ask(&first, &at).await;
    assert!(answer.is_err() && !blocked(&answer), "{answer:?}");
    assert_eq!(looked.load(Ordering::SeqCst), 1);
    assert!(came.load(Ordering::SeqCst) >= 1);
    // The next request looks anew, and is refused.
    let answer = ask(&first, &at).await;
    assert!(blocked(&answer), "{answer:?}");
}

#[tokio::test]
async fn this_nodes_own_listeners_are_no_upstream() {
    let (port, came) = counted().await;
    let own = SocketAddr::from(([127, 0, 0, 1], port));
    let loopback = "allow_loopback = \"yes\"";
    for host in ["127.0.0.1", "localhost", "127.0.0.2"] {
        let at = connector(&format!("https://{host}:{port}"), loopback).unwrap();
        let (ways, _) = ways(&at, &[&["127.0.0.1"]], &[own]);
        let answer = ask(&ways, &at).await;
        assert!(blocked(&answer), "{host}: {answer:?}");
    }
    assert_eq!(came.load(Ordering::SeqCst), 0);
}

#[test]
fn this_machine_is_known_by_what_it_can_bind() {
    for (address, here) in [
        ("127.0.0.1", true),
        ("127.9.9.9", true),
        ("::1", true),
        ("::ffff:127.0.0.1", true),
        // Of documentation (RFC 5737, RFC 3849): nobody's.
        ("192.0.2.1", false),
        ("2001:db8::1", false),
    ] {
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(crate::egress::is_here(address), here, "{address}");
    }
}
