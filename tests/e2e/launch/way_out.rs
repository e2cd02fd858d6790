//! A launched curl uses an HTTPS API whose key it never sees, by the run token of its launch.

use serde_json::{Value, json};

use super::Bench;
use crate::egress::{Api, KEY, seal_key};
use crate::harness::Setup;
use crate::harness::world::{demo_policy, publish};

const PERMIT: &str = r#"
@id("coder-api")
@reason("The coder asks the API.")
permit (principal == Bailiwick::Agent::"coder", action == Bailiwick::Action::"egress", resource)
when { context.input.connector == "api" };
"#;

#[test]
fn a_launched_curl_uses_an_api_by_its_run_token_for_as_long_as_it_runs() {
    let mut api = Api::start();
    let setup = Setup {
        audit: api.connector("api", true),
        ..Setup::default()
    };
    let bench = Bench::with(&setup);
    seal_key(&bench.node);
    let mut files = demo_policy();
    files["egress.cedar"] = json!(PERMIT);
    publish(&bench.node, &files);
    let script = r#"curl -sS -H "Authorization: Bearer $BAILIWICK_RUN_TOKEN" "$BAILIWICK_EGRESS_URL/api/v1/orders"; echo
        curl -sS "$BAILIWICK_EGRESS_URL/api/v1/orders"; echo
        curl -sS -H "Authorization: Bearer bwr_guessed" "$BAILIWICK_EGRESS_URL/api/v1/orders"; echo
        echo "$BAILIWICK_EGRESS_URL"; echo "$BAILIWICK_RUN_TOKEN""#;
    let ran = bench.run(&[], &["sh", "-c", script]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let &[answer, unnamed, guessed, url, token] = lines.as_slice() else {
        panic!("{ran:?}");
    };
    let answer: Value = serde_json::from_str(answer).unwrap();
    assert_eq!(answer["path"], "/v1/orders");
    assert_eq!(api.seen()["authorization"], format!("Bearer {KEY}"));
    for refused in [unnamed, guessed] {
        assert!(refused.contains("run_token_required"), "{refused}");
    }
    assert!(!ran.stdout.contains(KEY), "{ran:?}");
    // With the launch its way out is over, and its token is nowhere else.
    let place = url.strip_prefix("http://").unwrap().trim_end_matches("/p");
    assert!(std::net::TcpStream::connect(place).is_err(), "{place}");
    let record = serde_json::to_string(&bench.node.events()).unwrap();
    for kept in [&record, &bench.node.log(), &ran.stderr] {
        assert!(!kept.contains(token) && !kept.contains(KEY), "{kept}");
    }
}
