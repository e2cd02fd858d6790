//! A report for people: each secret with its places, what was not read, and one line that says how it stands.

use bailiwick_posture::report::{Known, Place, Report, Secret};
use bailiwick_posture::secrets::Severity;

use crate::output::{Out, Style, Untrusted};

/// The report, without a line feed at its end.
pub(super) fn text(out: &Out, report: &Report) -> String {
    let mut lines = Vec::new();
    for secret in &report.secrets {
        lines.extend(of_secret(out, secret));
    }
    for exposure in &report.exposures {
        let what = format!(
            "{}  {}  {}",
            exposure.check,
            Untrusted(&exposure.what),
            Untrusted(&exposure.place)
        );
        lines.push(format!("{}  {what}", label(out, exposure.severity)));
    }
    for gap in &report.coverage.gaps {
        lines.push(format!(
            "not read: {} ({})",
            Untrusted(&gap.place),
            Untrusted(&gap.reason)
        ));
    }
    if report.coverage.more_gaps > 0 {
        lines.push(format!("not read: {} more", report.coverage.more_gaps));
    }
    lines.push(summary(report));
    lines.join("\n")
}

fn of_secret(out: &Out, secret: &Secret) -> Vec<String> {
    let mut head = vec![
        label(out, secret.severity),
        Untrusted(&secret.check).to_string(),
    ];
    head.extend(secret.key.as_ref().map(|key| Untrusted(key).to_string()));
    head.push(format!("{} bytes", secret.length));
    head.push(secret.fingerprint.clone());
    head.push(secret.link.to_string());
    let public = secret.public.iter();
    head.extend(public.map(|(name, value)| format!("{name}={}", Untrusted(value))));
    if !secret.wrapped.is_empty() {
        head.push(format!("in {}", secret.wrapped.join(" in ")));
    }
    let mut lines = vec![head.join("  ")];
    let places = secret.places.iter();
    lines.extend(places.map(|place| format!("          {}", Untrusted(&of_place(place)))));
    let listed = u64::try_from(secret.places.len()).unwrap_or(u64::MAX);
    if secret.count > listed {
        lines.push(format!(
            "          and {} more places",
            secret.count - listed
        ));
    }
    if let Some(known) = &secret.known {
        lines.extend(of_known(known));
    }
    let fix = secret.known.as_ref().map_or(&secret.remedy, |it| &it.fix);
    lines.push(format!("          fix: {}", Untrusted(fix)));
    lines
}

/// What the node says: whose it is, and who answers for it until when.
fn of_known(known: &Known) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some(lease), Some(task), Some(agent)) = (&known.lease, &known.task, &known.agent) {
        lines.push(format!(
            "          ours: {}, {} of {}",
            Untrusted(lease),
            Untrusted(task),
            Untrusted(agent)
        ));
    }
    lines.push(format!(
        "          {}: {}, due {}",
        Untrusted(&known.finding),
        Untrusted(&known.owner),
        Untrusted(&known.due_at)
    ));
    lines
}

fn of_place(place: &Place) -> String {
    let mut parts = vec![match (place.line, place.column) {
        (Some(line), Some(column)) => format!("{}:{line}:{column}", place.at),
        _ => place.at.clone(),
    }];
    let short = |id: &str| id.get(..12).unwrap_or(id).to_owned();
    match (&place.commit, &place.object) {
        (Some(commit), _) => parts.push(format!("since commit {}", short(commit))),
        (None, Some(object)) => parts.push(format!("object {}", short(object))),
        (None, None) => {}
    }
    parts.extend(place.note.clone());
    parts.join("  ")
}

fn label(out: &Out, severity: Severity) -> String {
    let style = match severity {
        Severity::Critical | Severity::High => Style::Bad,
        Severity::Medium => Style::Warn,
        Severity::Low | Severity::Info => Style::Dim,
    };
    out.paint(
        style,
        &format!("{:<8}", severity.as_str().to_ascii_uppercase()),
    )
}

fn summary(report: &Report) -> String {
    let secrets = report.secrets.len();
    let found = match secrets {
        0 => "no secret found".to_owned(),
        1 => "1 secret".to_owned(),
        _ => format!("{secrets} secrets"),
    };
    let more = if report.more_secrets > 0 {
        format!(", and {} beyond what a report holds", report.more_secrets)
    } else {
        String::new()
    };
    let coverage = &report.coverage;
    let read = format!("{} read, {} KiB", coverage.units, coverage.bytes / 1024);
    let gaps = u64::try_from(coverage.gaps.len())
        .unwrap_or(u64::MAX)
        .saturating_add(coverage.more_gaps);
    let rest = if gaps == 0 {
        "everything that was to be read was".to_owned()
    } else {
        format!("{gaps} not read, so this is not all")
    };
    format!("{found}{more}; {read}; {rest}")
}
