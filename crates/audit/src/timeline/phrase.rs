//! Small facts as people read them: how a call ended, what changed, how long, how much.

use bailiwick_core::Timestamp;
use bailiwick_core::event::{Event, Status, TaskRef};
use bailiwick_core::label::Label;

/// How a call ended, and whether that calls for attention.
pub(super) fn ending(event: &Event) -> (String, bool) {
    let Some(outcome) = &event.outcome else {
        return ("OUTCOME UNKNOWN".to_owned(), true);
    };
    let code = outcome.code.clone().map(|code| format!(": {code}"));
    let code = code.unwrap_or_default();
    let took = match outcome.us {
        0 => String::new(),
        us => format!(" {}", duration(us)),
    };
    let bytes = match outcome.bytes {
        0 => String::new(),
        bytes => format!(", {}", size(bytes)),
    };
    match outcome.status {
        Status::Ok => (format!("ok{took}{bytes}"), false),
        Status::Error => (format!("the tool said no{code}{took}{bytes}"), true),
        Status::Refused => (format!("REFUSED{code}{took}"), true),
        Status::Timeout => (format!("NO ANSWER IN TIME{code}{took}"), true),
        Status::Cut => (format!("CUT{code} after{took}"), true),
        Status::Unknown => (format!("OUTCOME UNKNOWN{code}"), true),
    }
}

/// What changed in a task between two events of it.
pub(super) fn changes(before: &TaskRef, now: &TaskRef) -> Vec<String> {
    let mut changes = Vec::new();
    if before.stage != now.stage {
        changes.push(format!("stage {} → {}", before.stage, now.stage));
    }
    if before.risk != now.risk {
        changes.push(format!("risk {} → {}", before.risk, now.risk));
    }
    let had: Vec<&str> = before.labels.iter().map(Label::as_str).collect();
    let new = now
        .labels
        .iter()
        .filter(|label| !had.contains(&label.as_str()));
    changes.extend(new.map(|label| format!("label +{label}")));
    changes
}

/// `tasks=1 approvals=0 leases=2` without what is none, as words.
pub(super) fn counts(text: &str) -> String {
    let parts: Vec<String> = text
        .split(' ')
        .filter_map(|part| part.split_once('='))
        .filter(|(_, count)| *count != "0")
        .map(|(name, count)| {
            let name = if count == "1" {
                name.trim_end_matches('s')
            } else {
                name
            };
            format!("{count} {name}")
        })
        .collect();
    if parts.is_empty() {
        "nothing that ran".to_owned()
    } else {
        parts.join(", ")
    }
}

/// Microseconds as people read them.
pub(super) fn duration(us: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let us_f = us as f64;
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{:.1} ms", us_f / 1e3),
        10_000..1_000_000 => format!("{:.0} ms", us_f / 1e3),
        _ => format!("{:.1} s", us_f / 1e6),
    }
}

/// Bytes as people read them.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

/// A stretch of time in its largest unit that fits: `30 min`.
pub(super) fn span(time: std::time::Duration) -> String {
    // What was given in whole units is a moment shorter by the time it is on record.
    let seconds = time.as_secs() + u64::from(time.subsec_millis() >= 500);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{} h", (seconds + 1_800) / 3_600),
    }
}

/// Time since the story's start: `+1.204`, `+2:05.3`, `+1:02:05`.
pub(super) fn offset(ms: u64) -> String {
    let (seconds, rest) = (ms / 1_000, ms % 1_000);
    let (minutes, hours) = (seconds / 60, seconds / 3_600);
    match seconds {
        0..100 => format!("+{seconds}.{rest:03}"),
        100..3_600 => format!("+{minutes}:{:02}.{}", seconds % 60, rest / 100),
        _ => format!("+{hours}:{:02}:{:02}", minutes % 60, seconds % 60),
    }
}

/// How long ago, in the largest unit that fits.
pub(super) fn ago(now: Timestamp, at: Timestamp) -> String {
    let seconds = now.since(at).as_secs();
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}
