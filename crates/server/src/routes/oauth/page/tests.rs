//! What a client or user is called cannot become part of a page.

use axum::http::StatusCode;

use super::{escaped, failure, page};
use bailiwick_core::{Code, Problem};

#[test]
fn names_stay_text() {
    assert_eq!(
        escaped("<script>\"'&</script>"),
        "&lt;script&gt;&quot;&#39;&amp;&lt;/script&gt;"
    );
    assert_eq!(
        escaped("a\u{202e}b\u{200b}\n"),
        "a\u{fffd}b\u{fffd}\u{fffd}"
    );
}

#[test]
fn no_page_can_be_framed_or_run_a_script() {
    let problem = Problem::new(Code::InvalidInput, "<b>", "");
    for response in [
        page(StatusCode::OK, "x", "", Some("https://app.example")),
        failure(&problem),
    ] {
        let policy = response.headers()["content-security-policy"]
            .to_str()
            .unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self';"),
            "{policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(
            !policy.contains("unsafe") && !policy.contains("script-src"),
            "{policy}"
        );
        assert_eq!(response.headers()["x-frame-options"], "DENY");
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
}
