//! What is asked for, and what never is: addresses of private networks by every way to write or name them, names that change their
//! address, redirects, answers without end.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::Redirect;
use axum::routing::{get, post};
use reqwest::StatusCode;
use tokio::net::TcpListener;

use super::address::is_public;
use super::public_only::PublicOnly;
use super::{Bounds, DOCUMENT, FetchError, Outbound};

fn outbound(named: &[&str], public_only: PublicOnly) -> Outbound {
    bailiwick_crypto::tls::install_default_provider();
    Outbound::with(named.iter().copied(), &[], public_only).unwrap()
}

/// Every name has these addresses.
fn always(addresses: &[&str]) -> PublicOnly {
    let addresses: Vec<IpAddr> = addresses.iter().map(|one| one.parse().unwrap()).collect();
    PublicOnly {
        lookup: Arc::new(move |_| {
            let addresses = addresses.clone();
            Box::pin(async move { Ok(addresses) })
        }),
        fits: Arc::new(is_public),
    }
}

/// Connections that came in at an address; each is closed at once.
async fn counted(address: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(address).await.unwrap();
    let (at, came) = (
        listener.local_addr().unwrap(),
        Arc::new(AtomicUsize::new(0)),
    );
    let count = Arc::clone(&came);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            drop(connection);
        }
    });
    (at, came)
}

#[test]
fn only_addresses_that_anybody_reaches_are_public() {
    for public in [
        "1.1.1.1",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.0.1",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2001:4860:4860::8888",
        "2a00:1450:4001::200e",
    ] {
        assert!(is_public(public.parse().unwrap()), "{public}");
    }
    for not in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.7",
        "203.0.113.7",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:1.1.1.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert!(!is_public(not.parse().unwrap()), "{not}");
    }
}

#[tokio::test]
async fn nothing_leads_to_an_address_that_only_this_node_reaches() {
    let (trap, came) = counted("127.0.0.1:0".parse().unwrap()).await;
    let port = trap.port();
    let system = outbound(&[], PublicOnly::system());
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[0:0:0:0:0:ffff:7f00:1]",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "0.0.0.0",
        "localhost",
        "LOCALHOST",
    ] {
        let url = format!("https://{host}:{port}/latest/meta-data/");
        let error = system.document(&url, DOCUMENT).await.unwrap_err();
        assert!(
            matches!(error, FetchError::NotPublic(_)),
            "{host}: {error:?}"
        );
    }
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("https://user@127.0.0.1:{port}/"),
        format!("https://:secret@public.example:{port}/"),
        "http://public.example/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "ftp://public.example/".to_owned(),
        "gopher://127.0.0.1:6379/_".to_owned(),
        "https:".to_owned(),
        "public.example".to_owned(),
        String::new(),
    ] {
        let error = system.document(&url, DOCUMENT).await.unwrap_err();
        assert!(
            matches!(error, FetchError::Place { .. }),
            "{url}: {error:?}"
        );
    }
    // A name is as good as the worst of its addresses.
    for addresses in [
        &["127.0.0.1"][..],
        &["1.1.1.1", "127.0.0.1"],
        &["2606:4700:4700::1111", "::1"],
        &["169.254.169.254"],
    ] {
        let rebound = outbound(&[], always(addresses));
        let url = format!("https://rebound.example:{port}/");
        let error = rebound.document(&url, DOCUMENT).await.unwrap_err();
        assert!(
            matches!(error, FetchError::NotPublic(_)),
            "{addresses:?}: {error:?}"
        );
        let posted = rebound
            .form(&url, "code=1".to_owned(), None, DOCUMENT)
            .await;
        assert!(matches!(posted.unwrap_err(), FetchError::NotPublic(_)));
    }
    assert_eq!(came.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn ssrf_rebinding_a_name_is_looked_up_once_and_that_address_is_dialled() {
    // 127.0.0.2 plays the public address; the second answer is the trap.
    let (good, came) = counted("127.0.0.2:0".parse().unwrap()).await;
    let (_, trapped) = counted(SocketAddr::new([127, 0, 0, 1].into(), good.port())).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let rebinding = PublicOnly {
        lookup: Arc::new(move |_| {
            let first = count.fetch_add(1, Ordering::SeqCst) == 0;
            let address: IpAddr = if first { "127.0.0.2" } else { "127.0.0.1" }
                .parse()
                .unwrap();
            Box::pin(async move { Ok(vec![address]) })
        }),
        fits: Arc::new(|address| address != IpAddr::from([127, 0, 0, 1])),
    };
    let url = format!("https://rebinding.example:{}/client.json", good.port());
    let outbound = outbound(&[], rebinding);
    let error = outbound.document(&url, DOCUMENT).await.unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(came.load(Ordering::SeqCst), 1);
    // The next connection is another lookup, and the trap is seen before it is dialled.
    let error = outbound.document(&url, DOCUMENT).await.unwrap_err();
    assert!(matches!(error, FetchError::NotPublic(_)), "{error:?}");
    assert_eq!(trapped.load(Ordering::SeqCst), 0);
}

/// Documents as they should not be, over plain HTTP on loopback.
async fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/good", get(|| async { "{}" }))
        .route(
            "/echo",
            post(|body: String| async move { (StatusCode::BAD_REQUEST, body) }),
        )
        .route("/moved", get(|| async { Redirect::to("/good") }))
        .route("/long", get(|| async { "a".repeat(1_001) }))
        .route("/never", get(std::future::pending::<&str>));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn a_place_that_the_operator_named_is_asked_wherever_it_is_and_no_other_port_of_it() {
    let (address, other) = (server().await, server().await);
    let url = format!("http://{address}/good");
    let nobody = || always(&[]);
    for named in [
        format!("http://{address}/some/issuer"),
        address.to_string(),
        "127.0.0.1".to_owned(),
    ] {
        let outbound = outbound(&[&named], nobody());
        let answer = outbound.document(&url, DOCUMENT).await.unwrap();
        assert_eq!(answer.body, b"{}", "{named}");
    }
    let narrow = outbound(&[&address.to_string()], nobody());
    let error = narrow
        .document(&format!("http://{other}/good"), DOCUMENT)
        .await;
    assert!(matches!(error.unwrap_err(), FetchError::Place { .. }));
    let error = narrow
        .document(&format!("https://{other}/good"), DOCUMENT)
        .await;
    assert!(matches!(error.unwrap_err(), FetchError::NotPublic(_)));
    // In the clear on loopback alone, whoever named it.
    let named = outbound(&["http://plain.example/"], nobody());
    let error = named.document("http://plain.example/", DOCUMENT).await;
    assert!(matches!(error.unwrap_err(), FetchError::Place { .. }));
}

#[tokio::test]
async fn answers_are_bounded_and_lead_nowhere_else() {
    let address = server().await;
    let outbound = outbound(&[&address.to_string()], always(&[]));
    let bounds = Bounds {
        within: Duration::from_secs(30),
        bytes: 1_000,
    };
    let ask = |path: &str, bounds: Bounds| {
        let (outbound, url) = (&outbound, format!("http://{address}/{path}"));
        async move { outbound.document(&url, bounds).await }
    };
    let moved = ask("moved", bounds).await.unwrap_err();
    assert!(
        matches!(moved, FetchError::Status { status, .. } if status == StatusCode::SEE_OTHER),
        "{moved:?}"
    );
    let long = ask("long", bounds).await.unwrap_err();
    assert!(matches!(long, FetchError::TooLong { .. }), "{long:?}");
    let soon = Bounds {
        within: Duration::from_millis(50),
        ..bounds
    };
    let never = ask("never", soon).await.unwrap_err();
    let FetchError::Unreachable { source, .. } = never else {
        panic!("{never:?}");
    };
    assert!(source.is_timeout(), "{source:?}");
    // What a form is answered with is told, whatever the status.
    let url = format!("http://{address}/echo");
    let answer = outbound
        .form(&url, "code=1".to_owned(), None, bounds)
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.body, b"code=1");
}
