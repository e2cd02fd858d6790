//! A real point against a real node over HTTP.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::{Code, Fault, Secret};
use bailiwick_crypto::head::HeadKey;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use bailiwick_enforce::Replica;
use bailiwick_enforce::point::{HttpLink, Point};
use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::node::tests::running::Running;

/// Longer than anything here takes on the slowest machine.
const DEADLINE: Duration = Duration::from_mins(1);

fn point(added: &Value) -> Point {
    let text = |member: &str| added[member].as_str().unwrap().to_owned();
    let key = HeadKey::parse(added["head_keys"][0].as_str().unwrap()).unwrap();
    let link = HttpLink::new(&text("url"), Secret::new(text("token")), None).unwrap();
    Point::new(
        text("name").parse().unwrap(),
        vec![key],
        Arc::new(link),
        Arc::new(SystemClock),
        Arc::new(SystemRng),
    )
}

struct Elsewhere {
    replica: Arc<Replica>,
    running: JoinHandle<()>,
}

impl Elsewhere {
    async fn start(added: &Value) -> Self {
        let point = point(added);
        let replica = Arc::clone(point.replica());
        let elsewhere = Self {
            replica,
            running: tokio::spawn(point.run(CancellationToken::new())),
        };
        elsewhere
            .until(|replica| replica.view(|_| ()).is_ok())
            .await;
        elsewhere
    }

    async fn until(&self, holds: impl Fn(&Replica) -> bool) {
        let held = async {
            while !holds(&self.replica) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, held).await.unwrap();
    }
}

/// Whether a point allows nothing under this subject: it knows the fence, or denies everything.
fn closed_to(replica: &Replica, subject: &str) -> bool {
    let subject = (subject.parse().unwrap(), 0);
    let dead = replica.view(|state| state.fences().any_dead([&subject]).is_some());
    dead.unwrap_or(true)
}

async fn revoke(running: &Running, subject: &str) -> Value {
    let order = json!({"subjects": [subject], "reason": "INC-4"});
    running.post("/v1/revocations", order).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_point_elsewhere_is_closed_by_the_time_a_revocation_is_answered() {
    let running = Running::start().await;
    running.agent().await;
    let (north, south) = (
        running.post("/v1/points", json!({"name": "north"})).await,
        running.post("/v1/points", json!({"name": "south"})).await,
    );
    let (mut north_point, south_point) = (
        Elsewhere::start(&north).await,
        Elsewhere::start(&south).await,
    );
    let report = revoke(&running, "agent/coder").await;
    let named = |report: &Value| -> Vec<String> {
        let points = report["points"].as_array().unwrap().iter();
        points
            .map(|point| point["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(named(&report).get(1..).unwrap(), ["north", "south"]);
    for point in [&north_point, &south_point] {
        assert!(closed_to(&point.replica, "agent/coder"), "{report}");
        point
            .until(|replica| replica.view(|state| state.fences().len() == 1) == Ok(true))
            .await;
    }
    // Both say so, as soon as the machine lets them.
    let mut order = 0;
    let both_said_so = async {
        loop {
            order += 1;
            let report = revoke(&running, &format!("owner/team-{order}")).await;
            let mut points = report["points"].as_array().unwrap().iter();
            if points.all(|point| point["how"] == "acked") {
                break report;
            }
        }
    };
    let report = tokio::time::timeout(DEADLINE, both_said_so).await.unwrap();
    assert!(!report["receipt"].as_str().unwrap().is_empty());
    // One falls silent: its lease ends it, and whoever waits is told so no sooner than that.
    north_point.running.abort();
    assert!((&mut north_point.running).await.is_err());
    let report = revoke(&running, "owner/team-dev").await;
    assert_eq!(named(&report).get(1..).unwrap(), ["north", "south"]);
    assert_eq!(report["points"][1]["how"], "lapsed", "{report}");
    let behind = north_point.replica.view(|_| ()).unwrap_err();
    assert_eq!(behind.code(), Code::LeaseExpired);
    assert!(closed_to(&south_point.replica, "owner/team-dev"));
    let listed = running.admin(Method::GET, "/v1/points", None).await.body;
    assert_eq!(listed["items"][0]["name"], "north");
    assert_eq!(listed["items"][0]["open"], false, "{listed}");
    assert!(listed["items"][1]["applied"].is_u64(), "{listed}");
    assert!(!listed.to_string().contains("bwp_"), "{listed}");

    running.node.shutdown().await;
    // Without its node it closes by itself.
    south_point
        .until(|replica| replica.view(|_| ()).is_err())
        .await;
    south_point.running.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_point_outlives_a_restart_of_its_node_and_its_removal_ends_it() {
    let running = Running::start().await;
    running.agent().await;
    let added = running.post("/v1/points", json!({"name": "edge"})).await;
    let again = running
        .admin(Method::POST, "/v1/points", Some(json!({"name": "edge"})))
        .await;
    assert_eq!(again.body["code"], "already_exists", "{again:?}");
    let running = running.restart().await;
    // The port is another one now.
    let moved = json!({"name": "edge", "url": running.url(""), "token": added["token"], "head_keys": added["head_keys"]});
    let elsewhere = Elsewhere::start(&moved).await;
    let report = revoke(&running, "agent/coder").await;
    assert_eq!(report["points"][1]["id"], "edge", "{report}");
    assert!(closed_to(&elsewhere.replica, "agent/coder"));

    let gone = running.admin(Method::DELETE, "/v1/points/edge", None).await;
    assert_eq!(gone.status, 204, "{gone:?}");
    assert!(
        elsewhere.replica.view(|_| ()).is_err(),
        "it decides no more"
    );
    let report = revoke(&running, "owner/team-dev").await;
    assert_eq!(report["points"].as_array().unwrap().len(), 1, "{report}");
    let gone = running.admin(Method::DELETE, "/v1/points/edge", None).await;
    assert_eq!(gone.status, 404, "{gone:?}");
    elsewhere.running.abort();
    running.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_points_follow_and_what_they_send_has_bounds() {
    let running = Running::start().await;
    let admin = running.account("root", &["admin", "viewer"]).await;
    let added = running.post("/v1/points", json!({"name": "edge"})).await;
    let token = added["token"].as_str().unwrap();
    let good = json!({"session": "s", "nonce": "n", "applied": null});
    for (bearer, body, status, code) in [
        (admin.as_str(), good.to_string(), 401, "not_signed_in"),
        ("bwp_nonsense", good.to_string(), 401, "not_signed_in"),
        (token, "{}".to_owned(), 400, "invalid_input"),
        (
            token,
            format!("{{\"pad\":\"{}\"}}", "a".repeat(2_000)),
            413,
            "too_large",
        ),
        (
            token,
            json!({"session": "s", "nonce": "n", "applied": {"epoch": 1, "seq": 1_u64 << 40}})
                .to_string(),
            409,
            "feed_regressed",
        ),
    ] {
        let request = running.client.post(running.url("/v1/feed"));
        let request = request
            .bearer_auth(bearer)
            .header("content-type", "application/json");
        let response = request.body(body.clone()).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{body}");
        let said: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert_eq!(said["code"], code, "{said}");
    }
    // A point's token opens nothing else.
    let answer = running.tcp("GET", "/v1/agents", Some(token)).await;
    assert_eq!(answer.status, 401);
    let events = running.tcp("GET", "/v1/audit/events", Some(&admin)).await;
    assert!(!events.body.to_string().contains(token));
    running.node.shutdown().await;
}
