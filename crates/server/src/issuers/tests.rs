//! Keys of issuers over real HTTP: how often an issuer is asked, what it may answer, and for how long its keys are good.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bailiwick_core::{Clock, Code, Timestamp};
use bailiwick_crypto::jose;
use bailiwick_crypto::jwk::Algorithm;
use bailiwick_crypto::keys::SigningKey;
use bailiwick_identity::remote::oidc::Preset;
use serde_json::{Value, json};

use super::Issuers;
use crate::config::IssuerAt;

const NOW: i64 = 1_800_000_000;
const US: &str = "https://bailiwick.example";

/// Seconds that have passed.
#[derive(Default)]
struct TestClock(AtomicI64);

impl TestClock {
    fn later(&self, by: Duration) {
        let secs = i64::try_from(by.as_secs()).unwrap();
        self.0.fetch_add(secs, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from_secs(NOW + self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.load(Ordering::SeqCst)).unwrap())
    }
}

/// An issuer: what it answers, and how often it was asked for its keys.
#[derive(Default)]
struct World {
    discovery: Mutex<Value>,
    keys: Mutex<Value>,
    status: Mutex<StatusCode>,
    asked: AtomicUsize,
}

impl World {
    fn publish(&self, keys: &[&SigningKey]) {
        let keys: Vec<_> = keys.iter().map(|key| json!(key.jwk())).collect();
        *self.keys.lock().unwrap() = json!({ "keys": keys });
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn answer(State(world): State<Arc<World>>, Path(name): Path<String>) -> Response {
    let document = if name == "openid-configuration" {
        world.discovery.lock().unwrap().to_string()
    } else {
        world.asked.fetch_add(1, Ordering::SeqCst);
        world.keys.lock().unwrap().to_string()
    };
    (*world.status.lock().unwrap(), document).into_response()
}

struct Bench {
    world: Arc<World>,
    clock: Arc<TestClock>,
    issuers: Arc<Issuers>,
    url: String,
}

async fn bench(published: &[&SigningKey]) -> Bench {
    bench_of(published, None).await
}

/// With an issuer of people, for whom these agents may act.
async fn bench_of(published: &[&SigningKey], agents: Option<&str>) -> Bench {
    bailiwick_crypto::tls::install_default_provider();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let world = Arc::new(World::default());
    world.publish(published);
    *world.discovery.lock().unwrap() =
        json!({"issuer": url, "jwks_uri": format!("{url}/.well-known/jwks")});
    let router = Router::new()
        .route("/.well-known/{name}", get(answer))
        .with_state(Arc::clone(&world));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let at = IssuerAt {
        name: "ci".to_owned(),
        agents: agents.map(|name| [name.parse().unwrap()].into()),
        preset: Preset::Generic,
        url: url.clone(),
        audience: None,
        algorithms: vec![Algorithm::Es256],
        jwks_uri: None,
        ca_file: None,
    };
    let clock = Arc::new(TestClock::default());
    let issuers = Issuers::new(&[at], US, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    Bench {
        world,
        clock,
        issuers: Arc::new(issuers),
        url,
    }
}

impl Bench {
    fn token(&self, key: &SigningKey) -> String {
        let now = self.clock.wall().as_secs();
        let claims = json!({"iss": self.url, "sub": "job", "aud": US, "iat": now, "exp": now + 60});
        jose::sign(key, Some("JWT"), &claims).unwrap()
    }

    async fn read(&self, key: &SigningKey) -> Result<String, Code> {
        let proven = self.issuers.read("ci", &self.token(key)).await;
        proven
            .map(|proven| proven.subject)
            .map_err(|problem| problem.code)
    }
}

fn key() -> SigningKey {
    SigningKey::generate().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_unknown_keys_asks_the_issuer_once() {
    let (known, new) = (key(), key());
    let bench = Arc::new(bench(&[&known]).await);
    let storm = |count: usize| {
        let tries: Vec<_> = (0..count)
            .map(|_| {
                let bench = Arc::clone(&bench);
                tokio::spawn(async move { bench.read(&key()).await })
            })
            .collect();
        async move {
            for tried in tries {
                assert_eq!(tried.await.unwrap(), Err(Code::TokenInvalid));
            }
        }
    };
    storm(50).await;
    assert_eq!(bench.world.asked(), 1);
    assert!(bench.read(&known).await.is_ok());
    // A new key is learned once it is time to ask again, and by one question.
    bench.world.publish(&[&known, &new]);
    bench.clock.later(Duration::from_secs(29));
    assert_eq!(bench.read(&new).await, Err(Code::TokenInvalid));
    assert_eq!(bench.world.asked(), 1);
    bench.clock.later(Duration::from_secs(1));
    storm(50).await;
    assert_eq!(bench.world.asked(), 2);
    assert!(bench.read(&new).await.is_ok());
    assert_eq!(bench.world.asked(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_asked_for_anew_and_end_with_an_issuer_that_is_gone() {
    let (old, new) = (key(), key());
    let bench = bench(&[&old]).await;
    assert_eq!(bench.read(&old).await, Ok(format!("{} job", bench.url)));
    // A key that was taken back is gone when it is asked again.
    bench.world.publish(&[&new]);
    bench.clock.later(Duration::from_mins(10));
    assert_eq!(bench.read(&old).await, Err(Code::TokenInvalid));
    assert_eq!(bench.read(&new).await.map(drop), Ok(()));
    // An issuer that fails is believed for an hour.
    *bench.world.status.lock().unwrap() = StatusCode::SERVICE_UNAVAILABLE;
    bench.clock.later(Duration::from_mins(59));
    assert_eq!(bench.read(&new).await.map(drop), Ok(()));
    bench.clock.later(Duration::from_mins(1));
    assert_eq!(bench.read(&new).await, Err(Code::IssuerDown));
    *bench.world.status.lock().unwrap() = StatusCode::OK;
    bench.clock.later(Duration::from_secs(30));
    assert_eq!(bench.read(&new).await.map(drop), Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_issuer_may_not_answer_gives_no_keys() {
    let known = key();
    let elsewhere = bench(&[&known]).await;
    let bench = bench(&[&known]).await;
    let url = bench.url.clone();
    let good = json!({"issuer": url, "jwks_uri": format!("{url}/.well-known/jwks")});
    for (case, discovery, keys) in [
        ("no document", json!("nothing"), json!({"keys": []})),
        (
            "another issuer",
            json!({"issuer": format!("{url}/"), "jwks_uri": format!("{url}/.well-known/jwks")}),
            json!({"keys": [known.jwk()]}),
        ),
        (
            "another origin",
            json!({"issuer": url, "jwks_uri": format!("{}/.well-known/jwks", elsewhere.url)}),
            json!({"keys": [known.jwk()]}),
        ),
        (
            "another origin behind a user's name",
            json!({"issuer": url, "jwks_uri": url.replacen("//", "//127.0.0.1@", 1)}),
            json!({"keys": [known.jwk()]}),
        ),
        ("no keys", good.clone(), json!({"error": "later"})),
        (
            "too long",
            good.clone(),
            json!({"keys": [known.jwk()], "more": "a".repeat(300_000)}),
        ),
    ] {
        *bench.world.discovery.lock().unwrap() = discovery;
        *bench.world.keys.lock().unwrap() = keys;
        bench.clock.later(Duration::from_secs(30));
        assert_eq!(bench.read(&known).await, Err(Code::IssuerDown), "{case}");
    }
    for status in [
        StatusCode::FOUND,
        StatusCode::NOT_FOUND,
        StatusCode::INTERNAL_SERVER_ERROR,
    ] {
        *bench.world.status.lock().unwrap() = status;
        bench.clock.later(Duration::from_secs(30));
        assert_eq!(bench.read(&known).await, Err(Code::IssuerDown), "{status}");
    }
    assert_eq!(elsewhere.world.asked(), 0, "nobody else was asked");
    assert!(
        bench
            .issuers
            .read("other", &bench.token(&known))
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_a_person_is_is_told_to_named_agents_alone() {
    let known = key();
    let people = bench_of(&[&known], Some("frontdesk")).await;
    let token = people.token(&known);
    let user = |agent: &str, token: &str| {
        let (issuers, agent) = (Arc::clone(&people.issuers), agent.parse().unwrap());
        let token = token.to_owned();
        async move {
            let told = issuers.user(&token, &agent).await;
            told.map(|(user, until)| (user.to_string(), until.as_secs()))
                .map_err(|problem| problem.code)
        }
    };
    let told = user("frontdesk", &token).await;
    assert_eq!(told, Ok(("user:ci:job".to_owned(), NOW + 60)));
    assert_eq!(user("triage", &token).await, Err(Code::NotPermitted));
    let forged = people.token(&key());
    assert_eq!(user("frontdesk", &forged).await, Err(Code::TokenInvalid));
    // Its tokens are no evidence of a workload, and those of an issuer of workloads name no person.
    assert_eq!(people.read(&known).await, Err(Code::InvalidInput));
    let workloads = bench(&[&known]).await;
    let theirs = workloads.token(&known);
    let agent = "frontdesk".parse().unwrap();
    let told = workloads.issuers.user(&theirs, &agent).await;
    assert_eq!(told.unwrap_err().code, Code::TokenInvalid);
    people.clock.later(Duration::from_mins(1));
    assert_eq!(user("frontdesk", &token).await, Err(Code::TokenExpired));
}
