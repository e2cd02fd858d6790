//! Exchanges through a real node with an upstream that keeps every byte: what goes out, what comes back, and what never leaves.

mod address;
mod bench;
mod clients;
mod cut;
mod site;

use bailiwick_core::Secret;
use bailiwick_crypto::system::SystemRng;
use bailiwick_enforce::egress::RunToken;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::node::tests::running::Answer;
use bench::{Bench, CANARY};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_credential_goes_out_and_never_comes_back() {
    let bench = Bench::start().await;
    let request = bench
        .post("api/echo?q=1&r=%27", "the body")
        .header("cookie", "mine=1")
        .header("x-forwarded-for", "10.1.2.3")
        .header("x-http-method-override", "DELETE")
        .header("accept-encoding", "gzip")
        .header("x-mine", "kept");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-echo"], "Bearer [redacted:lease]");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert!(!answer.headers().contains_key("set-cookie"));
    let body = answer.text().await.unwrap();
    let sent = bench.site.requests();
    assert_eq!(sent.len(), 1);
    let sent = &sent[0];
    assert!(
        sent.starts_with("POST /echo?q=1&r=%27 HTTP/1.1\r\n"),
        "{sent}"
    );
    assert!(
        sent.contains(&format!("authorization: Bearer {CANARY}\r\n")),
        "{sent}"
    );
    assert!(sent.contains("accept-encoding: identity\r\n") && sent.contains("x-mine: kept\r\n"));
    assert!(sent.ends_with("\r\n\r\nthe body"));
    for gone in ["cookie", "forwarded", "override", &bench.token, "gzip"] {
        assert!(!sent.contains(gone), "{gone} went on: {sent}");
    }
    assert_eq!(body, sent.replace(CANARY, "[redacted:lease]"));
    let results = bench.results(1).await;
    assert_eq!(results[0]["outcome"]["status"], "ok");
    assert_eq!(results[0]["action"]["op"], "POST");
    assert_eq!(results[0]["action"]["server"], "api");
    let reflected = bench.events("egress.reflected").await;
    assert!(!reflected.is_empty());
    assert_eq!(reflected[0]["lease"], results[0]["lease"]);
    // One lease serves them all, and it is in the list.
    assert_eq!(bench.get("api/x").send().await.unwrap().status(), 200);
    let leases = bench.api(http::Method::GET, "/v1/leases", None).await;
    assert_eq!(
        leases.body["items"].as_array().unwrap().len(),
        1,
        "{leases:?}"
    );
    assert_eq!(leases.body["items"][0]["class"], "R0");
    let dir = bench.end().await;
    // Nothing that the node keeps has it.
    let mut looked = 0;
    let mut places = vec![dir.path().to_owned()];
    while let Some(place) = places.pop() {
        for entry in std::fs::read_dir(place).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                places.push(entry.path());
            } else {
                let bytes = std::fs::read(entry.path()).unwrap();
                let found = bytes
                    .windows(CANARY.len())
                    .any(|at| at == CANARY.as_bytes());
                assert!(!found, "{}", entry.path().display());
                looked += 1;
            }
        }
    }
    assert!(looked > 5);
}

/// Requests, and how each is answered: the status and the code.
fn requests(bench: &Bench) -> Vec<(reqwest::RequestBuilder, u16, &'static str)> {
    let client = &bench.running.client;
    let gateway = bench.running.node.addresses().gateway_url.clone();
    vec![
        (bench.get("api/only/x"), 200, ""),
        (bench.get("api/never"), 403, "forbidden"),
        (bench.get("unpermitted/x"), 403, "no_permit"),
        (bench.get("nothing/x"), 403, "egress_denied"),
        (
            client
                .delete(bench.url("api/only/x"))
                .bearer_auth(&bench.token),
            200,
            "",
        ),
        (
            client
                .delete(bench.url("api/else/x"))
                .bearer_auth(&bench.token),
            403,
            "egress_denied",
        ),
        (
            client.put(bench.url("api/x")).bearer_auth(&bench.token),
            403,
            "egress_denied",
        ),
        (client.get(bench.url("api/x")), 401, "run_token_required"),
        (
            client.get(bench.url("api/x")).bearer_auth("bwr_else"),
            401,
            "run_token_required",
        ),
        (
            client
                .get(bench.url("api/x"))
                .basic_auth("x", Some(&bench.token)),
            200,
            "",
        ),
        (
            client
                .get(bench.url("api/x"))
                .header("host", "evil.example")
                .bearer_auth(&bench.token),
            421,
            "egress_host_mismatch",
        ),
        // Of use at the listener of its launch alone.
        (
            client
                .get(format!("{gateway}/p/api/x"))
                .bearer_auth(&bench.token),
            401,
            "token_unbound",
        ),
        (
            client.get(format!("{gateway}/p/api/x")),
            401,
            "not_signed_in",
        ),
        (bench.get("api/zip"), 502, "egress_encoded"),
        (bench.get("api/big"), 502, "answer_too_large"),
        (bench.get("api/coded"), 502, "egress_encoded"),
        (
            bench.get("api/part").header("range", "bytes=0-9"),
            502,
            "egress_upstream",
        ),
        (
            bench.get("api/x").header("x-to", &b"caf\xe9"[..]),
            400,
            "egress_bad_request",
        ),
        (
            bench.get("api/x").header("max-forwards", "1"),
            400,
            "egress_bad_request",
        ),
        (
            bench.get("api/x").version(http::Version::HTTP_10),
            400,
            "egress_bad_request",
        ),
        (
            bench.get(&format!("api/{}", "x".repeat(17_000))),
            413,
            "egress_too_large",
        ),
    ]
}

async fn the_path_has_one_reading(bench: &Bench) {
    for path in ["a%2fb", "a%252e%252e/b", "a%252%65%252%65/b", "/b"] {
        let answer = Answer::of(bench.get(&format!("api/{path}"))).await;
        let found = (answer.status, answer.body["code"].as_str());
        assert_eq!(found, (400, Some("egress_bad_request")), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_is_decided_and_what_is_refused_never_leaves() {
    let bench = Bench::start().await;
    let (_, other): (Secret<String>, RunToken) = RunToken::draw(&SystemRng);
    assert!(!other.is(&bench.token));
    for (request, status, code) in requests(&bench) {
        let answer = Answer::of(request).await;
        let found = answer.body["code"].as_str().unwrap_or_default();
        assert_eq!((answer.status, found), (status, code), "{answer:?}");
    }
    the_path_has_one_reading(&bench).await;
    let sent = bench.site.requests();
    let paths: Vec<&str> = sent
        .iter()
        .map(|sent| sent.split(' ').nth(1).unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "/only/x", "/only/x", "/x", "/zip", "/big", "/coded", "/part"
        ]
    );
    assert!(!sent[6].contains("range"), "{}", sent[6]);
    let refused = bench.events("egress.refused").await;
    assert_eq!(refused.len(), 4, "{refused:?}");
    assert_eq!(bench.events("egress.intent").await.len(), 7);
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_lead_nowhere_by_themselves() {
    let bench = Bench::start().await;
    let moved = bench.get("api/moved").send().await.unwrap();
    assert_eq!(moved.status(), 302);
    assert_eq!(moved.headers()["location"], "/p/api/there?x=1");
    let away = bench.get("api/away").send().await.unwrap();
    assert_eq!(away.headers()["location"], "http://evil.example/x");
    assert_eq!(bench.site.requests().len(), 2);
    bench.end().await;
}

/// The head of the first answer to bytes as they are. The connection stays open until it is there.
async fn raw(bench: &Bench, text: &str) -> String {
    let mut stream = TcpStream::connect(bench.listen).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let first = async {
        while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
            if stream.read_buf(&mut answer).await.unwrap_or(0) == 0 {
                break;
            }
        }
    };
    let answered = tokio::time::timeout(bench::DEADLINE, first).await;
    answered.expect("no answer");
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cl_te_both_orders() {
    let bench = Bench::start().await;
    let head = format!(
        "POST /p/api/echo HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n",
        bench.listen, bench.token
    );
    let hidden = "GET /p/api/never HTTP/1.1\r\nHost: x\r\n\r\n";
    let chunked = format!("0\r\n\r\n{hidden}");
    let length = chunked.len();
    for framing in [
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
        "Content-Length: 4\r\nContent-Length: 5\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
        "Transfer-Encoding : chunked\r\n".to_owned(),
        "X: y\r\n Transfer-Encoding: chunked\r\n".to_owned(),
    ] {
        let before = bench.site.requests().len();
        let answer = raw(&bench, &format!("{head}{framing}\r\n{chunked}")).await;
        assert!(answer.starts_with("HTTP/1.1 "), "{framing:?}: {answer}");
        let sent = &bench.site.requests()[before..];
        // At most the one request that was decided on, framed by this node alone.
        assert!(sent.len() <= 1, "{framing:?}: {sent:?}");
        for request in sent {
            let lower = request.to_lowercase();
            assert!(request.starts_with("POST /echo "), "{framing:?}: {request}");
            assert!(
                !lower.contains("transfer-encoding") && !request.contains("never"),
                "{request}"
            );
        }
    }
    let named = format!(
        "GET http://{}/p/api/x HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        bench.site.address, bench.listen, bench.token
    );
    let before = bench.site.requests().len();
    let answer = raw(&bench, &named).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(bench.site.requests().len(), before);
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_needs_a_person_runs_once_and_as_it_was_shown() {
    let bench = Bench::start().await;
    let pay = |body| bench.post("api/pay/7", body);
    let asked = Answer::of(pay("100 EUR")).await;
    assert_eq!(
        (asked.status, &asked.body["code"]),
        (403, &json!("approval_required")),
        "{asked:?}"
    );
    let id = asked.body["approval"].as_str().unwrap().to_owned();
    // The same request waits for the same answer; another one for another.
    assert_eq!(
        Answer::of(pay("100 EUR")).await.body["approval"],
        id.as_str()
    );
    assert_ne!(
        Answer::of(pay("900 EUR")).await.body["approval"],
        id.as_str()
    );
    let path = format!("/v1/approvals/{id}");
    let shown = bench.api(http::Method::GET, &path, None).await;
    let arguments = shown.body["shown"]["arguments"]
        .as_str()
        .unwrap_or_else(|| panic!("{shown:?}"));
    assert!(
        arguments.contains("/pay/7") && arguments.contains("100 EUR"),
        "{arguments}"
    );
    let vote = json!({ "reason": "agreed", "shown_digest": shown.body["shown_digest"] });
    let approve = format!("{path}/approve");
    let voted = bench.api(http::Method::POST, &approve, Some(vote)).await;
    assert_eq!(voted.status, 200, "{voted:?}");
    assert_eq!(bench.refused(pay("900 EUR")).await.1, "approval_required");
    assert!(bench.site.requests().is_empty());
    assert_eq!(pay("100 EUR").send().await.unwrap().status(), 200);
    assert_eq!(bench.refused(pay("100 EUR")).await.1, "approval_required");
    assert_eq!(bench.site.requests().len(), 1);
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_reflects_loses_the_lease_where_that_is_wanted() {
    let bench = Bench::start().await;
    assert_eq!(
        bench.refused(bench.get("strict/echo")).await,
        (502, "egress_reflected".to_owned())
    );
    let leases = bench.api(http::Method::GET, "/v1/leases", None).await;
    assert_ne!(leases.body["items"][0]["state"], "ACTIVE", "{leases:?}");
    assert_eq!(leases.body["items"][0]["cause"], "reflected");
    bench.end().await;
}
