//! Sessions of the console as browsers use them, and as other sites, other ports and other people would like to.

use bailiwick_core::id::ConsoleSessionId;
use reqwest::Method;
use serde_json::{Value, json};

use super::{operations, sample};
use crate::node::tests::running::{Answer, Running};

/// Operations whose credential is in the body, or another than people have: sessions are no matter to them.
const IN_BODY: [&str; 4] = ["attest", "attest.renew", "sessions.open", "feed"];

/// Both halves of a session.
struct Halves {
    cookie: String,
    page: String,
}

/// A request as a page of the console makes it, changed as a test wants it; an empty value leaves the header out.
async fn page(
    running: &Running,
    method: &str,
    path: &str,
    body: Option<Value>,
    headers: &[(&str, &str)],
) -> Answer {
    let origin = running.url("");
    let mut all = vec![
        ("sec-fetch-site", "same-origin"),
        ("origin", origin.trim_end_matches('/')),
        ("content-type", "application/json"),
    ];
    all.retain(|(name, _)| !headers.iter().any(|(other, _)| other == name));
    all.extend(headers.iter().filter(|(_, value)| !value.is_empty()));
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = running.client.request(method, running.url(path));
    for (name, value) in all {
        request = request.header(name, value);
    }
    if let Some(body) = body {
        request = request.body(body.to_string());
    }
    Answer::of(request).await
}

/// A code for an account.
async fn code(running: &Running, name: &str) -> String {
    let path = format!("/v1/accounts/{name}/link");
    let answer = running.post(&path, json!({})).await;
    let url = answer["url"].as_str().unwrap();
    let (before, code) = url.split_once('#').unwrap();
    assert_eq!(before, running.url("/login"), "{url}");
    code.to_owned()
}

async fn sign_in(running: &Running, name: &str) -> Halves {
    let code = code(running, name).await;
    let answer = page(
        running,
        "POST",
        "/v1/session",
        Some(json!({ "code": code })),
        &[],
    );
    let answer = answer.await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let kept = answer.headers["set-cookie"].to_str().unwrap().to_owned();
    for attribute in ["; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(kept.contains(attribute), "{kept}");
    }
    Halves {
        cookie: kept.split(';').next().unwrap().to_owned(),
        page: answer.body["session"].as_str().unwrap().to_owned(),
    }
}

impl Halves {
    fn headers(&self) -> [(&str, &str); 2] {
        [
            ("cookie", self.cookie.as_str()),
            ("x-bailiwick-session", self.page.as_str()),
        ]
    }

    async fn ask(&self, running: &Running, method: &str, path: &str) -> Answer {
        page(running, method, path, None, &self.headers()).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_session_or_a_foreign_page_reaches_nothing() {
    let running = Running::start().await;
    running
        .account("anna", &["viewer", "approver", "operator", "admin"])
        .await;
    let anna = sign_in(&running, "anna").await;
    let other = sign_in(&running, "anna").await;
    let (cookie, half) = (
        ("cookie", anna.cookie.as_str()),
        ("x-bailiwick-session", anna.page.as_str()),
    );
    let mixed = ("x-bailiwick-session", other.page.as_str());
    let twice = format!("{0}; {0}", anna.cookie);
    let mut walked = 0;
    for (method, path, id) in operations(&running).await {
        if !path.starts_with("/v1/") || super::AGENTS.contains(&id.as_str()) {
            continue;
        }
        walked += 1;
        for (what, headers) in [
            ("the cookie alone", vec![cookie]),
            ("the page's half alone", vec![half]),
            ("halves of two sessions", vec![cookie, mixed]),
            ("two cookies", vec![("cookie", twice.as_str()), half]),
            (
                "a token of an agent's kind",
                vec![cookie, half, ("authorization", "Bearer x")],
            ),
        ] {
            let answer = page(&running, &method, &path, None, &headers).await;
            assert_eq!(answer.status, 401, "{id} with {what}: {answer:?}");
            assert_eq!(answer.body["code"], "not_signed_in", "{id} with {what}");
        }
        for site in ["", "cross-site", "same-site", "none"] {
            let headers = [cookie, half, ("sec-fetch-site", site)];
            let answer = page(&running, &method, &path, None, &headers).await;
            let wanted = if IN_BODY.contains(&id.as_str()) {
                401
            } else {
                403
            };
            assert_eq!(answer.status, wanted, "{id} from {site:?}: {answer:?}");
        }
        if method == "GET" || IN_BODY.contains(&id.as_str()) {
            continue;
        }
        for changed in [
            ("origin", ""),
            ("origin", "null"),
            ("origin", "https://evil.example"),
            ("content-type", "text/plain"),
            ("content-type", "application/x-www-form-urlencoded"),
        ] {
            let answer = page(&running, &method, &path, None, &[cookie, half, changed]).await;
            assert_eq!(answer.status, 403, "{id} with {changed:?}: {answer:?}");
            assert_eq!(answer.body["code"], "origin_refused", "{id}: {answer:?}");
        }
    }
    assert!(walked > 40, "{walked}");
    // Nothing of all that ended it.
    let answer = anna.ask(&running, "GET", "/v1/session").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    running.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_has_the_roles_of_its_account_and_ends_when_told() {
    let running = Running::start().await;
    running.account("vera", &["viewer"]).await;
    let vera = sign_in(&running, "vera").await;
    let who = vera.ask(&running, "GET", "/v1/session").await;
    assert_eq!(who.body["account"], "vera", "{who:?}");
    assert_eq!(who.body["roles"], json!(["viewer"]), "{who:?}");
    assert_eq!(who.body["build"].as_str().unwrap().len(), 16, "{who:?}");
    for (method, path, status) in [
        ("GET", "/v1/approvals", 200),
        ("POST", "/v1/revocations", 403),
        ("PUT", "/v1/policy", 403),
        ("POST", "/v1/accounts/vera/link", 403),
    ] {
        let answer = vera.ask(&running, method, path).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
    }
    let path = sample("/v1/tasks/{id}");
    assert_eq!(vera.ask(&running, "GET", &path).await.status, 404);

    let out = vera.ask(&running, "DELETE", "/v1/session").await;
    assert_eq!(out.status, 204, "{out:?}");
    let forgotten = out.headers["set-cookie"].to_str().unwrap();
    assert!(forgotten.contains("Max-Age=0"), "{forgotten}");
    for _ in 0..2 {
        let answer = vera.ask(&running, "GET", "/v1/session").await;
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    running.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_lets_in_once_from_our_own_page_and_leaves_no_trace() {
    let running = Running::start().await;
    running.account("anna", &["admin", "viewer"]).await;
    let code = code(&running, "anna").await;
    let body = Some(json!({ "code": code }));
    // Another site that learned of it cannot sign its visitors in.
    for changed in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://evil.example"),
    ] {
        let answer = page(&running, "POST", "/v1/session", body.clone(), &[changed]).await;
        assert_eq!(answer.body["code"], "origin_refused", "{answer:?}");
    }
    let begun = page(&running, "POST", "/v1/session", body.clone(), &[]).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    let again = page(&running, "POST", "/v1/session", body, &[]).await;
    assert_eq!(again.status, 401, "{again:?}");

    let halves = [
        code,
        begun.body["session"].as_str().unwrap().to_owned(),
        begun.headers["set-cookie"]
            .to_str()
            .unwrap()
            .split(['=', ';'])
            .nth(1)
            .unwrap()
            .to_owned(),
    ];
    let viewer = running.account("vera", &["viewer"]).await;
    let events = running
        .tcp("GET", "/v1/audit/events?limit=1000", Some(&viewer))
        .await;
    let events = events.body.to_string();
    for kind in ["login.accepted", "login.refused"] {
        assert!(events.contains(kind), "{kind} is not on record: {events}");
    }
    for half in halves {
        assert!(half.len() > 60, "{half}");
        assert!(!events.contains(&half), "a secret is on record");
    }
    running.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_starts_where_it_is_told_and_ends_with_its_session() {
    let running = Running::start().await;
    running.account("vera", &["viewer"]).await;
    let vera = sign_in(&running, "vera").await;
    let mut request = running.client.get(running.url("/v1/live?from=0"));
    request = request.header("sec-fetch-site", "same-origin");
    for (name, value) in vera.headers() {
        request = request.header(name, value);
    }
    let mut stream = request.send().await.unwrap();
    assert_eq!(stream.status().as_u16(), 200);
    let mut text = String::new();
    while !text.contains("login.accepted") {
        let chunk = stream.chunk().await.unwrap().expect("it ended too early");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(text.starts_with("event: hello\n"), "{text}");
    assert!(
        text.contains("\"index\":0,"),
        "the first event is missing: {text}"
    );
    let out = vera.ask(&running, "DELETE", "/v1/session").await;
    assert_eq!(out.status, 204, "{out:?}");
    // It ends by itself; that it was asked for with good halves does not outlive them.
    while stream.chunk().await.unwrap().is_some() {}
    running.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_and_assets_come_under_the_policy() {
    let running = Running::start().await;
    let index = running.client.get(running.url("/")).send().await.unwrap();
    let html = index.text().await.unwrap();
    let assets: Vec<&str> = html
        .split('"')
        .filter(|part| part.starts_with("/assets/"))
        .collect();
    assert!(assets.len() >= 3, "script, style and icon: {html}");
    let pages = ["/", "/login", "/approvals", "/tasks/task_1", "/audit"];
    for path in pages.iter().chain(&assets) {
        let answer = running.client.get(running.url(path)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        for part in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin");
        let kept = header("cache-control");
        assert_eq!(
            kept.contains("immutable"),
            path.starts_with("/assets/"),
            "{path}: {kept}"
        );
    }
    assert!(
        !html.contains("style=") && !html.contains("<style"),
        "{html}"
    );
    for path in [
        "/assets/",
        "/assets/../index.html",
        "/assets/%2e%2e/index.html",
        "/index.html",
        "/login/x",
    ] {
        let answer = running.client.get(running.url(path)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 404, "{path}");
    }
    assert!(
        "sess_00000000000000000000000000"
            .parse::<ConsoleSessionId>()
            .is_ok()
    );
    running.node.shutdown().await;
}
