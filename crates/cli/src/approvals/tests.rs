//! What an approver reads is the call, with nothing hidden in it.

use expect_test::expect;
use serde_json::json;

use super::call;
use crate::output::{Color, Format, Out};

#[test]
fn the_exact_call_is_shown_with_hidden_characters_visible() {
    let view = json!({
        "approval": {
            "id": "appr_1", "state": "pending", "tool": "workspace/update_order", "effect": "write",
            "arguments": "{\"id\":7,\"status\":\"ship\u{202e}ped\"}\u{1b}[2K",
            "agent": "triage", "user": "user:local:uid-1", "task": "task_1", "risk": "low",
            "reasons": [{"source": "demo/orders", "reason": "A person looks first."}],
            "votes": [], "quorum": 1, "expires_at": "2026-11-23T09:00:00.000000Z",
        },
        "shown": {}, "shown_digest": "sha256:00",
    });
    let text = call(&Out::of_process(Format::Table, Color::Never, true), &view);
    expect![[r#"
        appr_1  pending
          call       workspace/update_order (write)
          arguments  {"id":7,"status":"ship⟦U+202E⟧ped"}⟦U+001B⟧[2K
          agent      triage for user:local:uid-1
          task       task_1 at risk low
          because    A person looks first. (demo/orders)
          answers    0 of 1
          until      2026-11-23T09:00:00.000000Z
          digest     sha256:00"#]]
    .assert_eq(&text);
}
