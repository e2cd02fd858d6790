//! Evidence for frameworks from a running node: pages that people can read, claims that lead to the record, and rows that fall with the
//! control they rest on.

use serde_json::{Value, json};

use crate::harness::{Mcp, Node, World, agent};

const FRAMEWORKS: [&str; 4] = ["owasp-agentic", "owasp-nhi", "maestro", "nist-ai-rmf"];

fn report(node: &Node, framework: &str) -> Value {
    node.cli(&["evidence", "--framework", framework, "--since", "1h"])
}

fn status(report: &Value, number: &str) -> String {
    let claims = report["claims"].as_array().unwrap();
    let claim = claims.iter().find(|claim| claim["number"] == number);
    let claim = claim.unwrap_or_else(|| panic!("no {number} in {report}"));
    claim["status"].as_str().unwrap().to_owned()
}

fn fact<'a>(report: &'a Value, id: &str) -> &'a Value {
    let facts = report["facts"].as_array().unwrap();
    let found = facts.iter().find(|fact| fact["id"] == id);
    found.unwrap_or_else(|| panic!("no {id} in {report}"))
}

/// A session in a task that has a bound on what it may do.
fn bounded_session(world: &World) -> Mcp<'_> {
    let task = json!({
        "agent": agent::NAME,
        "user": "user:local:anna",
        "request": "look after the orders",
        "scope": {
            "grants": [{ "server": ["workspace"], "tool": ["*"], "effects": ["read", "write"] }],
            "budget": { "calls": 100 },
        },
    });
    let opened = world.node.api("POST", "/v1/tasks", Some(&task));
    Mcp::open(&world.agent, "workspace", opened["id"].as_str().unwrap())
}

#[test]
fn each_framework_is_a_page_whose_claims_lead_to_the_record_and_fall_with_their_control() {
    let world = World::start();
    let node = &world.node;
    let client = bounded_session(&world);
    client.ok("read_file", r#"{"path":"notes/plan.md"}"#);

    // Calls, definitions and limits are as they should be; the row says no more than its cap.
    let maestro = report(node, "maestro");
    assert_eq!(status(&maestro, "L3"), "partial", "{maestro}");
    assert_eq!(status(&maestro, "L1"), "not_covered");
    assert_eq!(
        status(&maestro, "L4"),
        "not_covered",
        "confinement is not built"
    );
    let nist = report(node, "nist-ai-rmf");
    assert_eq!(status(&nist, "MEASURE 2.8"), "partial", "{nist}");
    assert_eq!(nist["silent"].as_array().unwrap().len(), 49);

    for framework in FRAMEWORKS {
        let page = node.home().join(format!("{framework}.html"));
        let path = page.to_str().unwrap();
        let words = [
            "evidence",
            "--framework",
            framework,
            "--since",
            "1h",
            "-o",
            path,
        ];
        let report = node.cli(&words);
        let page = std::fs::read_to_string(&page).unwrap();
        assert!(page.starts_with("<!doctype html>"), "{framework}");
        assert!(
            !page.contains("<script") && !page.contains(" src="),
            "{framework}"
        );
        for claim in report["claims"].as_array().unwrap() {
            let number = claim["number"].as_str().unwrap();
            assert!(page.contains(number), "{framework} {number}");
            let covered = claim["status"] == "covered";
            let because = claim["because"].as_array().unwrap();
            assert_eq!(because.is_empty(), covered, "{claim}");
        }
        // Each fact says how to see the same, or why nothing measures it; each event it names is on record, where it says.
        for fact in report["facts"].as_array().unwrap() {
            let measured = fact["query"].is_string() && fact["measured"].is_object();
            assert!(measured != fact["missing"].is_string(), "{fact}");
            let places = |list: &str| {
                let list = fact["measured"][list].as_array().cloned();
                list.unwrap_or_default()
            };
            for place in places("examples").iter().chain(&places("against")) {
                if place["kind"] == "event" {
                    let id = place["id"].as_str().unwrap();
                    assert_eq!(node.event(id)["id"], id, "{place}");
                    assert!(page.contains(&format!("audit prove {id}")), "{place}");
                }
            }
        }
    }

    // Policy is observed instead of enforced: what it denies goes out, and the rows that rest on decisions fall.
    node.cli(&[
        "policy", "mode", "observe", "--for", "1h", "--reason", "a test",
    ]);
    client.ok("read_file", r#"{"path":"secrets/prod.env"}"#);
    let after = report(node, "maestro");
    assert_eq!(status(&after, "L3"), "not_covered", "{after}");
    assert_eq!(fact(&after, "F03")["status"], "not_covered", "{after}");
    let against = fact(&after, "F03")["measured"]["against"][0]["id"].as_str();
    let event = node.event(against.unwrap());
    assert_eq!(event["decision"]["mode"], "observe", "{event}");
    for untouched in ["F07", "F22"] {
        assert_eq!(
            fact(&after, untouched)["status"],
            fact(&maestro, untouched)["status"]
        );
    }

    // Nobody answers for the agent any more: the rows that rest on owners fall.
    let agent = node.cli(&["agent", "show", agent::NAME]);
    let owner = agent["owner"].as_str().unwrap();
    node.cli(&["revoke", "owner", owner, "--reason", "left", "--yes"]);
    let after = report(node, "nist-ai-rmf");
    assert_eq!(status(&after, "MEASURE 2.8"), "not_covered", "{after}");
    assert_eq!(
        fact(&after, "F01")["measured"]["against"][0]["id"],
        agent["name"]
    );
    assert_eq!(fact(&after, "F10")["status"], fact(&nist, "F10")["status"]);
}

#[test]
fn a_period_that_was_quiet_shows_nothing() {
    let node = Node::start();
    for framework in FRAMEWORKS {
        let report = report(&node, framework);
        assert_eq!(report["counts"]["covered"], Value::Null, "{report}");
    }
    let (status, answer) = node.try_api("GET", "/v1/evidence/iso-9001", None);
    assert_eq!((status, &answer["code"]), (404, &json!("not_found")));
    let backwards = "/v1/evidence/maestro?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z";
    let (status, answer) = node.try_api("GET", backwards, None);
    assert_eq!((status, &answer["code"]), (400, &json!("invalid_input")));
    let refused = node.run(&["evidence", "--framework", "iso-9001"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let text = node
        .command(&["--output", "table", "evidence", "--framework", "owasp-nhi"])
        .output()
        .unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.contains("| NHI9:2025 NHI Reuse | **not covered** | F23 |"),
        "{text}"
    );
}
