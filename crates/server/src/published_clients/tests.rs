//! Documents of clients over real HTTP: what they have to say, whose count, how long, and what they may cost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bailiwick_core::client::ClientId;
use bailiwick_core::{Clock, Code, Timestamp};
use serde_json::{Value, json};

use super::{MAX_FETCHES, PublishedClients};
use crate::outbound::Bounds;

#[derive(Default)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.load(Ordering::SeqCst)).unwrap())
    }
}

/// What the publisher answers, and how often it was asked.
struct Publisher {
    status: Mutex<StatusCode>,
    headers: Mutex<HeaderMap>,
    body: Mutex<Vec<u8>>,
    asked: AtomicUsize,
}

struct Bench {
    publisher: Arc<Publisher>,
    clock: Arc<TestClock>,
    clients: PublishedClients,
    place: String,
}

async fn document(State(publisher): State<Arc<Publisher>>) -> Response {
    publisher.asked.fetch_add(1, Ordering::SeqCst);
    let status = *publisher.status.lock().unwrap();
    let headers = publisher.headers.lock().unwrap().clone();
    let body = publisher.body.lock().unwrap().clone();
    (status, headers, body).into_response()
}

async fn never() -> Response {
    std::future::pending().await
}

async fn bench(hosts: &[&str]) -> Bench {
    bailiwick_crypto::tls::install_default_provider();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let publisher = Arc::new(Publisher {
        status: Mutex::new(StatusCode::OK),
        headers: Mutex::new(headers),
        body: Mutex::default(),
        asked: AtomicUsize::new(0),
    });
    let router = Router::new()
        .route("/client.json", get(document))
        .route("/never", get(never))
        .with_state(Arc::clone(&publisher));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let clock = Arc::new(TestClock::default());
    let hosts: BTreeMap<_, _> = hosts
        .iter()
        .map(|host| (host.replace("HERE", &place), "ide".parse().unwrap()))
        .collect();
    let private = [place.clone()];
    let clients = PublishedClients::new(hosts, &private, Arc::clone(&clock) as Arc<dyn Clock>);
    let bench = Bench {
        publisher,
        clock,
        clients: clients.unwrap(),
        place,
    };
    bench.publish(&bench.good());
    bench
}

impl Bench {
    fn id(&self) -> ClientId {
        format!("http://{}/client.json", self.place)
            .parse()
            .unwrap()
    }

    fn good(&self) -> Value {
        json!({
            "client_id": self.id(),
            "client_name": "Example IDE",
            "client_uri": "https://app.example",
            "redirect_uris": ["http://127.0.0.1/callback", "cursor://cb"],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        })
    }

    fn publish(&self, document: &Value) {
        *self.publisher.body.lock().unwrap() = document.to_string().into_bytes();
    }

    fn header(&self, name: HeaderName, value: &'static str) {
        let value = HeaderValue::from_static(value);
        self.publisher.headers.lock().unwrap().insert(name, value);
    }

    fn asked(&self) -> usize {
        self.publisher.asked.load(Ordering::SeqCst)
    }

    async fn code(&self) -> Result<(), Code> {
        let found = self.clients.client(&self.id()).await;
        found.map(drop).map_err(|problem| problem.code)
    }
}

#[tokio::test]
async fn a_client_is_what_its_document_says_and_its_host_decides_for_whom_it_acts() {
    let bench = bench(&["HERE"]).await;
    let found = bench.clients.client(&bench.id()).await.unwrap().client;
    assert_eq!(found.id, bench.id());
    assert_eq!(found.agent.as_str(), "ide");
    assert_eq!(found.name.as_deref(), Some("Example IDE"));
    assert!(found.redirects_to("http://127.0.0.1:4711/callback"));
    // A scheme that any program can take is left out.
    assert!(!found.redirects_to("cursor://cb"));
    assert!(!found.redirects_to("http://127.0.0.1:4711/callback/.."));
    for absent in [
        "grant_types",
        "response_types",
        "token_endpoint_auth_method",
    ] {
        let mut document = bench.good();
        document.as_object_mut().unwrap().remove(absent);
        bench.publish(&document);
        bench.clock.0.fetch_add(600, Ordering::SeqCst);
        assert_eq!(bench.code().await, Ok(()), "{absent}");
    }
}

#[tokio::test]
async fn documents_that_say_something_else_are_refused() {
    let bench = bench(&["HERE"]).await;
    let with = |member: &str, value: Value| {
        let mut document = bench.good();
        document[member] = value;
        document.to_string().into_bytes()
    };
    let without = |member: &str| {
        let mut document = bench.good();
        document.as_object_mut().unwrap().remove(member);
        document.to_string().into_bytes()
    };
    let twice = bench.good().to_string().replacen(
        '{',
        r#"{"redirect_uris":["https://evil.example/cb"],"#,
        1,
    );
    let many: Vec<String> = (0..17)
        .map(|at| format!("https://app.example/{at}"))
        .collect();
    for (case, body) in [
        (
            "another URL",
            with("client_id", json!("https://app.example/client.json")),
        ),
        (
            "its own URL otherwise",
            with("client_id", json!(format!("{}?", bench.id()))),
        ),
        ("no client_id", without("client_id")),
        ("no name", without("client_name")),
        ("an empty name", with("client_name", json!("  "))),
        ("a long name", with("client_name", json!("a".repeat(129)))),
        ("no redirect_uris", without("redirect_uris")),
        ("none of them", with("redirect_uris", json!([]))),
        (
            "none that can be used",
            with("redirect_uris", json!(["javascript:alert(1)"])),
        ),
        ("too many of them", with("redirect_uris", json!(many))),
        (
            "one that is no text",
            with("redirect_uris", json!([{"uri": 1}])),
        ),
        ("a secret", with("client_secret", json!("hunter2"))),
        ("a secret's end", with("client_secret_expires_at", json!(0))),
        (
            "client_secret_basic",
            with("token_endpoint_auth_method", json!("client_secret_basic")),
        ),
        (
            "client_secret_jwt",
            with("token_endpoint_auth_method", json!("client_secret_jwt")),
        ),
        (
            "another grant",
            with("grant_types", json!(["client_credentials"])),
        ),
        ("another response", with("response_types", json!(["token"]))),
        ("members twice", twice.into_bytes()),
        ("no JSON", b"<html>".to_vec()),
        ("no object", b"[]".to_vec()),
        ("huge", with("logo", json!("a".repeat(70_000)))),
    ] {
        *bench.publisher.body.lock().unwrap() = body;
        let asked = bench.asked();
        assert_eq!(bench.code().await, Err(Code::ClientMetadata), "{case}");
        assert_eq!(bench.asked(), asked + 1, "{case}: what failed is not kept");
    }
    bench.publish(&bench.good());
    for status in [
        StatusCode::FOUND,
        StatusCode::NOT_FOUND,
        StatusCode::CREATED,
    ] {
        *bench.publisher.status.lock().unwrap() = status;
        assert_eq!(bench.code().await, Err(Code::ClientMetadata), "{status}");
    }
    *bench.publisher.status.lock().unwrap() = StatusCode::OK;
    bench.header(CONTENT_TYPE, "text/html");
    assert_eq!(bench.code().await, Err(Code::ClientMetadata));
    bench.header(CONTENT_TYPE, "application/client+json; charset=utf-8");
    assert_eq!(bench.code().await, Ok(()));
}

#[tokio::test]
async fn a_document_holds_as_long_as_it_says_and_an_hour_at_most() {
    let bench = bench(&["HERE"]).await;
    let mut asked = 0;
    for (control, holds) in [
        ("max-age=60", 60),
        ("public, MAX-AGE=120", 120),
        ("max-age=999999999", 3_600),
        ("private", 300),
        ("max-age=never", 300),
        ("no-store, max-age=60", 0),
        ("no-cache", 0),
        ("max-age=0", 0),
    ] {
        bench.header(CACHE_CONTROL, control);
        assert_eq!(bench.code().await, Ok(()));
        asked += 1;
        if holds > 0 {
            bench.clock.0.fetch_add(holds - 1, Ordering::SeqCst);
            assert_eq!(bench.code().await, Ok(()));
            assert_eq!(bench.asked(), asked, "{control}");
            bench.clock.0.fetch_add(1, Ordering::SeqCst);
        }
        assert_eq!(bench.code().await, Ok(()));
        asked += 1;
        assert_eq!(bench.asked(), asked, "{control}");
        bench.clock.0.fetch_add(4_000, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn nobody_is_asked_who_is_not_let_in() {
    let closed = bench(&[]).await;
    assert!(!closed.clients.any());
    assert_eq!(closed.code().await, Err(Code::InvalidInput));
    assert_eq!(closed.asked(), 0);

    let bench = bench(&["app.example", "desk.example:8443"]).await;
    assert_eq!(bench.code().await, Err(Code::InvalidInput));
    assert_eq!(bench.asked(), 0);
    let agent = |url: &str| bench.clients.agent(url).is_some();
    assert!(agent("https://app.example/client.json"));
    assert!(agent("https://app.example:8443/client.json"));
    assert!(agent("https://desk.example:8443/client.json"));
    for url in [
        "https://desk.example/client.json",
        "https://evil.app.example/client.json",
        "https://app.example.evil.example/client.json",
        "https://app.example@evil.example/client.json",
        "https://APP.example/client.json",
        "https://app.example:443/client.json",
        "https://app.example/a/../client.json",
    ] {
        assert!(!agent(url), "{url}");
    }
    // Everybody's are let in: still nobody who cannot be reached by everybody.
    let open = self::bench(&["*"]).await;
    for url in [
        "https://127.0.0.1/client.json",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/",
        "https://localhost/client.json",
        "http://127.0.0.1:1/client.json",
    ] {
        let id: ClientId = url.parse().unwrap();
        let problem = open.clients.client(&id).await.unwrap_err();
        assert_eq!(problem.code, Code::ClientMetadata, "{url}");
        assert!(
            problem.message.contains("is not asked for"),
            "{url}: {problem}"
        );
    }
    assert_eq!(open.code().await, Ok(()));
}

#[tokio::test]
async fn slow_documents_take_no_more_than_their_room() {
    let mut bench = bench(&["HERE"]).await;
    bench.clients.bounds = Bounds {
        within: Duration::from_millis(50),
        ..bench.clients.bounds
    };
    let never: ClientId = format!("http://{}/never", bench.place).parse().unwrap();
    let problem = bench.clients.client(&never).await.unwrap_err();
    assert_eq!(problem.code, Code::ClientMetadata);
    assert!(
        problem.message.contains("did not come in time"),
        "{problem}"
    );

    bench.clients.bounds.within = Duration::from_hours(1);
    let bench = Arc::new(bench);
    let slow: Vec<_> = (0..MAX_FETCHES)
        .map(|_| {
            let (bench, never) = (Arc::clone(&bench), never.clone());
            tokio::spawn(async move { bench.clients.client(&never).await })
        })
        .collect();
    // All of them are on their way, and the one that was given up came first or not at all.
    while bench.clients.fetches.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.code().await, Err(Code::Overloaded));
    for one in slow {
        one.abort();
        assert!(one.await.unwrap_err().is_cancelled());
    }
    assert_eq!(bench.code().await, Ok(()));
}
