//! What a fence cuts, and labels that an answer brings.

use http::Method;

use super::bench::{Bench, DEADLINE};
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

/// Opens a stream, revokes, and looks at what all three sides see of it.
async fn is_cut(bench: &Bench, connector: &str, subject: &str, count: usize) {
    let mut stream = bench.get(&format!("{connector}/sse")).send().await.unwrap();
    assert_eq!(stream.status(), 200, "{subject}");
    // What comes goes on at once, though the stream is open.
    assert_eq!(stream.chunk().await.unwrap().unwrap(), "data: 1\n\n");
    bench.revoke(subject).await;
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
