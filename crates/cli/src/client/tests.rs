//! Addresses are understood or refused, answers become problems, and nothing hangs on a peer that is none.

use bailiwick_core::{Code, Secret};
use http::{HeaderMap, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use super::{Client, Exchange, Target, encode, refused, with_query};

fn parsed(text: &str) -> Result<String, Code> {
    Target::parse(text, None)
        .map(|target| target.to_string())
        .map_err(|problem| problem.code)
}

#[test]
fn addresses() {
    assert_eq!(parsed("/run/admin.sock"), Ok("/run/admin.sock".to_owned()));
    assert_eq!(
        parsed("unix:/run/admin.sock"),
        Ok("/run/admin.sock".to_owned())
    );
    assert_eq!(
        parsed("unix:///run/admin.sock"),
        Ok("/run/admin.sock".to_owned())
    );
    assert_eq!(
        parsed("http://127.0.0.1:8420/"),
        Ok("http://127.0.0.1:8420".to_owned())
    );
    for secure in [
        "https://a.example",
        "https://a.example:1",
        "https://[::1]:1",
        "https://[::1]",
    ] {
        assert_eq!(parsed(secure), Ok(secure.to_owned()));
    }
    for bad in [
        "",
        "localhost:8420",
        "https://",
        "https://a:x",
        "https://u@a:1",
        "https://a/b",
        "https://a b",
        "http://a",
        "http://a:x",
        "http://u@a:1",
        "http://a/b:1",
    ] {
        assert_eq!(parsed(bad), Err(Code::InvalidInput), "{bad}");
    }
}

#[test]
fn a_token_leaves_this_machine_only_encrypted() {
    let token = || Some(Secret::new("bwa_x".to_owned()));
    for local in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"] {
        assert!(Target::parse(local, token()).is_ok(), "{local}");
    }
    for remote in [
        "http://10.0.0.1:1",
        "http://localhost.example:1",
        "http://127.0.0.1.example:1",
    ] {
        assert!(Target::parse(remote, token()).is_err(), "{remote}");
    }
    assert!(Target::parse("https://10.0.0.1", token()).is_ok());
}

#[test]
fn queries_are_escaped() {
    assert_eq!(
        with_query(
            "/v1/x",
            &[("a", "b/c d&e".to_owned()), ("n", "1".to_owned())]
        ),
        "/v1/x?a=b%2Fc%20d%26e&n=1"
    );
    assert_eq!(encode("ä../"), "%C3%A4..%2F");
}

#[test]
fn refusals_keep_what_the_node_said() {
    let refusal = |status: u16, body: &str| {
        refused(&Exchange {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        })
    };
    let known = refusal(
        409,
        r#"{"code":"approval_changed","message":"m","help":"h","request_id":"req_1"}"#,
    );
    assert_eq!(
        (
            known.problem.code,
            known.problem.message.as_str(),
            known.exit_code()
        ),
        (Code::ApprovalChanged, "m", 6)
    );
    assert_eq!(known.request_id.as_deref(), Some("req_1"));
    let unknown = refusal(403, r#"{"code":"newer_code","message":"because"}"#);
    assert_eq!(
        (
            unknown.problem.code,
            unknown.problem.message.contains("because")
        ),
        (Code::NotPermitted, true)
    );
    let oauth = refusal(
        400,
        r#"{"error":"invalid_grant","error_description":"gone"}"#,
    );
    assert_eq!(
        (oauth.problem.code, oauth.problem.message.as_str()),
        (Code::InvalidInput, "invalid_grant: gone")
    );
    assert_eq!(refusal(502, "<html>").problem.code, Code::NodeUnreachable);
}

#[tokio::test]
async fn no_node_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::new(Target::Unix(dir.path().join("admin.sock")));
    let failure = client.get("/v1/agents").await.unwrap_err();
    assert_eq!(
        (failure.problem.code, failure.exit_code()),
        (Code::NodeUnreachable, 4)
    );
    assert!(
        failure.problem.help.contains("bailiwick serve"),
        "{}",
        failure.problem.help
    );
}

#[tokio::test]
async fn a_stream_gives_its_events_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let server = tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.unwrap();
        let mut head = [0; 1024];
        let read = peer.read(&mut head).await.unwrap();
        assert!(head[..read].starts_with(b"GET /v1/audit/tail HTTP/1.1\r\n"));
        peer.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nid: 1\ndata: {\"n\":1}\n\n: beat\n\ndata: {\"n\"").await.unwrap();
        peer.write_all(b":2}\r\n\r\n").await.unwrap();
    });
    let mut lines = Client::new(Target::Unix(path))
        .follow("/v1/audit/tail")
        .await
        .unwrap();
    assert_eq!(lines.event().await.unwrap()["n"], 1);
    assert_eq!(lines.event().await.unwrap()["n"], 2);
    assert_eq!(lines.event().await, None);
    server.await.unwrap();
}
