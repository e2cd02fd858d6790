//! What a fence cuts, and labels that an answer brings.

use http::Method;
use serde_json::{Value, json};

use super::bench::{Bench, DEADLINE, POLICY};
use crate::node::tests::running::Answer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn second_request_after_fence() {
    let bench = Bench::start().await;
    assert_eq!(bench.get("api/x").send().await.unwrap().status(), 200);
    bench.revoke("credential/api-key").await;
    let (status, code) = bench.refused(bench.get("api/x")).await;
    assert_eq!((status, code.as_str()), (401, "revoked"));
    bench.revoke(&format!("task/{}", bench.task)).await;
    let (status, code) = bench.refused(bench.get("api/x")).await;
    assert_eq!((status, code.as_str()), (401, "revoked"));
    assert_eq!(bench.site.requests().len(), 1);
    bench.end().await;
}

async fn is_cut(bench: &Bench, connector: &str, subject: &str, count: usize) {
    is_cut_by(bench, (connector, subject), count, bench.revoke(subject)).await;
}

/// Opens a stream, has something happen, and looks at what all three sides see of it. Gives what is on record of its end.
async fn is_cut_by(
    bench: &Bench,
    (connector, subject): (&str, &str),
    count: usize,
    happens: impl Future<Output = ()>,
) -> Value {
    let mut stream = bench.get(&format!("{connector}/sse")).send().await.unwrap();
    assert_eq!(stream.status(), 200, "{subject}");
    // What comes goes on at once, though the stream is open.
    assert_eq!(stream.chunk().await.unwrap().unwrap(), "data: 1\n\n");
    happens.await;
    let rest = tokio::time::timeout(DEADLINE, stream.chunk()).await;
    let rest = rest.expect("it was not cut");
    assert!(
        rest.is_err(),
        "{subject}: what was cut has no end: {rest:?}"
    );
    // The upstream hears of it too, whether or not somebody reads.
    let left = tokio::time::timeout(DEADLINE, bench.site.left(count)).await;
    left.expect("the upstream still sends");
    let results = bench.results(count).await;
    assert_eq!(results[count - 1]["outcome"]["status"], "cut", "{subject}");
    results[count - 1].clone()
}

/// What policy no longer permits is cut in mid-answer, with what changed it as its cause; what it still permits goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_published_policy_cuts_the_answers_that_it_no_longer_permits() {
    let bench = Bench::start().await;
    let other = bench.get("strict/sse").send().await.unwrap();
    assert_eq!(other.status(), 200);
    let files = |policy: String| json!({ "files": { "bundle.toml": "name = \"egress\"\n", "egress.cedar": policy } });
    let stricter = files(POLICY.replace("\"api\"", "\"strict\""));
    let publish = async {
        let published = bench.api(Method::PUT, "/v1/policy", Some(stricter)).await;
        assert!(published.status < 300, "{published:?}");
    };
    let cut = is_cut_by(&bench, ("api", "policy"), 1, publish).await;
    let path = format!("/v1/audit/events/{}", cut["cause"].as_str().unwrap());
    let cause = bench.api(Method::GET, &path, None).await;
    assert_eq!(cause.body["leaf"]["type"], "policy.published", "{cause:?}");
    assert_eq!(bench.site.were_left(), 1, "the other goes on");
    let refused = bench.refused(bench.get("api/x")).await;
    assert_eq!(refused, (403, "no_permit".to_owned()));
    drop(other);
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_sse_is_cut() {
    let bench = Bench::start().await;
    is_cut(&bench, "strict", "server/strict", 1).await;
    is_cut(&bench, "api", "credential/api-key", 2).await;
    bench.end().await;
    let bench = Bench::start().await;
    let task = format!("task/{}", bench.task);
    is_cut(&bench, "api", &task, 1).await;
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hangs_up_leaves_a_result_and_a_fence_still_cuts() {
    let bench = Bench::start().await;
    let asking = tokio::spawn(bench.get("api/silent").send());
    let came = async {
        while bench.site.requests().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, came)
        .await
        .expect("nothing came");
    asking.abort();
    assert!(asking.await.is_err());
    bench.revoke(&format!("task/{}", bench.task)).await;
    let left = tokio::time::timeout(DEADLINE, bench.site.left(1)).await;
    left.expect("the upstream still answers");
    assert_eq!(bench.results(1).await[0]["outcome"]["status"], "cut");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_from_outside_marks_the_task() {
    let bench = Bench::start().await;
    let path = format!("/v1/tasks/{}", bench.task);
    let labels = |answer: Answer| answer.body["labels"].to_string();
    assert!(!labels(bench.api(Method::GET, &path, None).await).contains("untrusted"));
    assert_eq!(bench.get("api/x").send().await.unwrap().status(), 200);
    assert!(labels(bench.api(Method::GET, &path, None).await).contains("untrusted"));
    bench.end().await;
}
