//! Step 1: the agent's SVID chains to the bundle and names it; a process that is not the agent gets none.

use std::process::Stdio;

use bailiwick_core::Clock as _;
use bailiwick_crypto::bundle::Bundle;
use bailiwick_crypto::svid::VerifiedSvid;
use bailiwick_crypto::system::SystemClock;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::process::Command;

use super::super::narrate::Narrator;
use super::super::setting::{AGENT, Setting, TRUST_DOMAIN, broken};
use crate::client::{Client, Target};
use crate::failure::Failure;

/// Plays it.
pub(super) async fn play(
    narrator: &mut Narrator,
    setting: &mut Setting<'_>,
) -> Result<(), Failure> {
    let socket = setting.workload_socket().display().to_string();
    narrator.step(
        "identity",
        "The node looks at the agent's process and gives it an identity. No password, no key in a file.",
        &format!("bailiwick svid fetch --socket {socket}"),
    );
    let document = Client::new(Target::parse(setting.console(), None)?)
        .get("/spiffe/bundle")
        .await?;
    let trust_domain = TRUST_DOMAIN
        .parse()
        .map_err(|_| broken(format!("{TRUST_DOMAIN} is no trust domain")))?;
    let bundle = Bundle::from_json(trust_domain, document.to_string().as_bytes())?;
    let chain = chain(&setting.agent.svid);
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    match VerifiedSvid::verify(&chain, &bundle, SystemClock.wall()) {
        Ok(svid) => {
            let names = svid
                .id()
                .as_instance()
                .is_ok_and(|(agent, _)| agent.as_str() == AGENT);
            narrator.check(
                names,
                format!(
                    "the agent is {}, signed by an authority of the bundle",
                    svid.id()
                ),
            );
        }
        Err(error) => narrator.check(
            false,
            format!("the agent's SVID does not chain to the bundle: {error}"),
        ),
    }

    let executable = std::env::current_exe().map_err(|error| broken(error.to_string()))?;
    let stranger = Command::new(&executable)
        .args(["svid", "fetch", "--json", "--socket", &socket])
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| broken(error.to_string()))?;
    let said: Value = serde_json::from_slice(&stranger.stderr).unwrap_or(Value::Null);
    let code = said
        .get("code")
        .and_then(Value::as_str)
        .unwrap_or("nothing");
    narrator.check(
        stranger.status.code() == Some(5) && stranger.stdout.is_empty() && code == "no_identity",
        format!("the same program under its own path gets none: {code}"),
    );
    Ok(())
}

fn chain(svid: &Value) -> Vec<Vec<u8>> {
    let texts = svid.get("x509_svid").and_then(Value::as_array);
    texts
        .into_iter()
        .flatten()
        .filter_map(|text| STANDARD.decode(text.as_str()?).ok())
        .collect()
}
