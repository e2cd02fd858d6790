//! Step 5: calls carried a leased credential, and no trace of it is anywhere the agent can look.

use std::path::Path;

use serde_json::Value;

use super::super::narrate::Narrator;
use super::super::setting::{CREDENTIAL, Setting, agent_facts, broken};
use crate::failure::Failure;

/// Plays it.
pub(super) async fn play(
    narrator: &mut Narrator,
    setting: &mut Setting<'_>,
) -> Result<(), Failure> {
    narrator.step(
        "lease",
        "The tool server insists on a token. The gateway leased and injected it; the agent has never had it.",
        &format!("bailiwick lease list --task {}", setting.task),
    );
    let leases = setting.leases(&setting.task).await?;
    let lease = leases
        .iter()
        .find(|lease| lease.get("credential").and_then(Value::as_str) == Some(CREDENTIAL));
    let state = lease
        .and_then(|lease| lease.get("state"))
        .and_then(Value::as_str)
        .unwrap_or("none");
    narrator.check(
        state == "ACTIVE",
        format!("a lease of {CREDENTIAL} for this task: {state}"),
    );
    let calls = ["read_file", "update_order"]
        .iter()
        .map(|tool| setting.ran(tool))
        .collect::<Result<Vec<_>, _>>()?
        .concat();
    let with = calls.iter().filter(|(_, bearer)| *bearer).count();
    narrator.check(
        !calls.is_empty() && with == calls.len(),
        format!("{with} of {} calls presented the token", calls.len()),
    );

    let pid = setting
        .agent
        .child()
        .pid()
        .ok_or_else(|| broken("the agent has ended".to_owned()))?;
    let mut found = Vec::new();
    let mut searched = 0;
    let mut look = |what: String, bytes: &[u8]| {
        searched += 1;
        if contains(bytes, setting.bearer.expose().as_bytes()) {
            found.push(what);
        }
    };
    for (path, what) in agent_facts(pid) {
        let bytes = read(&path)?;
        look(format!("the agent's {what}"), &bytes);
    }
    look(
        "the agent's transcript".to_owned(),
        setting.agent.child().transcript().as_bytes(),
    );
    for path in setting
        .place
        .files()
        .map_err(|error| broken(error.to_string()))?
    {
        // The store's journal can go while we look.
        if let Ok(bytes) = std::fs::read(&path) {
            look(path.display().to_string(), &bytes);
        }
    }
    narrator.check(
        found.is_empty(),
        if found.is_empty() {
            format!("the token is in none of {searched} places: environment, arguments, transcript, store, record, logs")
        } else {
            format!("the token is in {}", found.join(", "))
        },
    );
    let secret = setting.agent.child().transcript().contains(&setting.canary);
    narrator.check(!secret, "nor did the workspace's secret reach the agent");
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| broken(format!("{} cannot be read: {error}", path.display())))
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    //! The search finds what is there.

    use super::contains;

    #[test]
    fn the_search_finds() {
        assert!(contains(b"a demo-bearer-00 b", b"demo-bearer-00"));
        assert!(contains(b"x", b"x"));
        assert!(!contains(b"demo-bearer", b"demo-bearer-00"));
        assert!(!contains(b"", b"x"));
    }
}
