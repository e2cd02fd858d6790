//! Reports what was found to a node, which says whose each secret is and keeps it as a finding. Digests go, never secrets.

use bailiwick_core::name::OwnerName;
use bailiwick_core::{Code, Problem};
use bailiwick_posture::report::{Known, Place, Report};
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::Failure;
use crate::output::table;

/// Secrets that one report may have.
const MOST: usize = 1_000;
/// Where the kernel tells what this machine is called (proc(5)).
const HOSTNAME: &str = "/proc/sys/kernel/hostname";
/// Longest text that the node takes, in bytes.
const MAX_TEXT: usize = 512;

/// Sends it, and puts what the node says into the report.
pub(super) async fn send(
    context: &Context,
    owner: &OwnerName,
    report: &mut Report,
) -> Result<(), Failure> {
    let host = std::fs::read_to_string(HOSTNAME).unwrap_or_default();
    let host = match host.trim() {
        "" => "unknown",
        name => name,
    };
    let whole = report.more_secrets == 0 && report.secrets.len() <= MOST;
    let secrets: Vec<Value> = report
        .secrets
        .iter()
        .take(MOST)
        .map(|secret| {
            let digest = bailiwick_core::Digest(*secret.digest.expose());
            json!({
                "digest": digest,
                "check": clip(&secret.check),
                "severity": secret.severity,
                "key": secret.key.as_deref().map(clip).filter(|key| !key.is_empty()),
                "public": secret.public.iter().map(|(name, value)| (*name, clip(value))).filter(|(_, value)| !value.is_empty()).collect::<std::collections::BTreeMap<_, _>>(),
                "places": secret.places.iter().map(|place| clip(&of_place(place)).to_owned()).collect::<Vec<_>>(),
                "count": secret.count,
            })
        })
        .collect();
    let body = json!({
        "kind": report.kind,
        "host": clip(host),
        "target": clip(&report.target),
        "complete": whole && report.coverage.is_complete(),
        "owner": owner,
        "secrets": secrets,
    });
    let answer = context.api()?.post("/v1/scans", &body).await?;
    let told = table::items(&answer);
    if told.len() != report.secrets.len().min(MOST) {
        let message = "the node did not say of each secret whose it is";
        return Err(Problem::new(Code::Internal, message, "").into());
    }
    for (secret, told) in report.secrets.iter_mut().zip(told) {
        let text = |name: &str| told.get(name).and_then(Value::as_str).map(str::to_owned);
        if let (Some(subject), Some(link), Some(id)) = (text("subject"), text("link"), text("id")) {
            secret.fingerprint = subject;
            secret.link = link.into();
            secret.known = Some(Known {
                finding: id,
                lease: text("lease"),
                task: text("task"),
                agent: text("agent"),
                owner: text("owner").unwrap_or_default(),
                due_at: text("due_at").unwrap_or_default(),
                fix: text("fix").unwrap_or_default(),
            });
        }
    }
    Ok(())
}

fn of_place(place: &Place) -> String {
    let at = match (place.line, place.column) {
        (Some(line), Some(column)) => format!("{}:{line}:{column}", place.at),
        _ => place.at.clone(),
    };
    let more = place.commit.iter().chain(&place.note);
    more.fold(at, |text, part| format!("{text} {part}"))
}

/// At most [`MAX_TEXT`] bytes of it, whole characters.
fn clip(text: &str) -> &str {
    let end = text.floor_char_boundary(MAX_TEXT);
    text.get(..end).unwrap_or_default()
}
