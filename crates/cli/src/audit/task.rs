//! `audit task`: what happened in a task and everything below it, told from a node or from logs' files. Every tick was checked here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bailiwick_audit::read::Directory;
use bailiwick_audit::timeline::{
    Answer, Lookup, People, SentLog, Timeline, Tone, View, Words, find, identities, moment, render,
    render_chain, render_moment, tell, worth_revealing,
};
use bailiwick_core::id::TaskId;
use bailiwick_core::{Clock as _, Code, Problem, Timestamp};
use bailiwick_crypto::system::SystemClock;
use serde_json::{Value, json};

use super::privacy::opened;
use crate::audit::log_key;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Out, Style, ascii, table};
use crate::{Exit, Outcome};

/// Values that are opened for one story; each opening is an event.
const MOST_OPENED: usize = 500;

/// Which task, and what of it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: bailiwick audit task task_01h455vb4pex5vsknk084sn02q")]
pub(crate) struct TaskArgs {
    /// Its id.
    task: TaskId,
    /// A log's directory, instead of a node; again for each further log.
    #[arg(long, value_name = "DIR")]
    dir: Vec<PathBuf>,
    /// The log's public key, the key itself or a file with it: what the ticks rest on. Without it: the key that the node names.
    #[arg(long, value_name = "KEY")]
    vkey: Vec<String>,
    /// Prints instead the state at a moment: RFC 3339, or as the story says it (+12.345).
    #[arg(long, value_name = "TIME", conflicts_with = "chain")]
    at: Option<String>,
    /// Prints instead who acted: the chain of delegations with instances, code, tokens, scopes.
    #[arg(long)]
    chain: bool,
    /// Waits until everything on record is in the index, so that nothing can be missing.
    #[arg(long, conflicts_with = "dir")]
    wait: bool,
    /// Opens sealed requests, arguments and reasons. Each opening is on record first; role operator.
    #[arg(long, requires = "reason", conflicts_with = "dir")]
    reveal: bool,
    /// Why they are opened; it goes on record.
    #[arg(long, requires = "reveal")]
    reason: Option<String>,
}

/// Tells the story.
pub(super) async fn task(context: &Context, args: TaskArgs) -> Outcome {
    let answer = if args.dir.is_empty() {
        let wait = if args.wait { "?wait=true" } else { "" };
        let path = format!("/v1/tasks/{}/timeline{wait}", args.task);
        context.api()?.read(&path).await?
    } else {
        from_files(&args.dir, args.task)?
    };
    let keys = args.vkey.iter().map(|key| log_key(key));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    let timeline = answer.assemble((!keys.is_empty()).then_some(&keys))?;
    if timeline.events.is_empty() {
        let message = format!("nothing of {} is on record", args.task);
        return Err(Problem::new(Code::NotFound, message, "bailiwick task list").into());
    }
    let words = match &args.reason {
        Some(reason) if args.reveal => reveal(context, &timeline, reason).await?,
        _ => Words::default(),
    };
    show(context, &args, &timeline, &words)
}

fn show(context: &Context, args: &TaskArgs, timeline: &Timeline, words: &Words) -> Outcome {
    if let Some(at) = &args.at {
        let then = moment(timeline, words, instant(timeline, at)?);
        let body = in_json(&then)?;
        context.out.show(&body, |out, _| {
            for_terminal(out, render_moment(timeline, &then))
        });
        return Ok(Exit::DONE);
    }
    if args.chain {
        let body = in_json(&identities(timeline, words))?;
        context.out.show(&body, |out, _| {
            for_terminal(out, render_chain(timeline, words))
        });
        return Ok(Exit::DONE);
    }
    let whole = timeline.wholeness();
    let leaves = timeline.events.iter().map(|placed| {
        json!({"origin": placed.origin, "index": placed.index, "proof": placed.mark, "leaf": placed.leaf})
    });
    let body = json!({
        "root": timeline.root,
        "lines": tell(timeline, words),
        "whole": whole,
        "logs": timeline.logs,
        "opened": timeline.opened,
        "events": leaves.collect::<Vec<_>>(),
    });
    context.out.show(&body, |out, _| {
        let paint = |tone: Tone, text: &str| painted(out, tone, text);
        let view = View {
            width: table::columns(out),
            now: SystemClock.wall(),
            paint: &paint,
        };
        for_terminal(out, render(timeline, words, &view))
    });
    // What is not as it was signed is an answer, and it is no.
    Ok(if whole.altered > 0 {
        Exit::NO
    } else {
        Exit::DONE
    })
}

/// The moment that a text names: an instant, or an offset as the story has it.
fn instant(timeline: &Timeline, text: &str) -> Result<Timestamp, Failure> {
    let unknown = || {
        let message = format!("`{text}` is no moment");
        let help =
            "write it like 2026-11-23T09:00:00Z, or as the story does: +12.345, +2:05.3, +1:02:05";
        Problem::new(Code::InvalidInput, message, help)
    };
    let Some(offset) = text.strip_prefix('+') else {
        return Ok(text.parse().map_err(|_| unknown())?);
    };
    let mut millis: u64 = 0;
    for part in offset.split(':') {
        let (whole, fraction) = part.split_once('.').unwrap_or((part, ""));
        let whole: u64 = whole.parse().map_err(|_| unknown())?;
        if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(unknown().into());
        }
        let fraction: u64 = format!("{fraction:0<3}").parse().map_err(|_| unknown())?;
        let part = whole.saturating_mul(1_000).saturating_add(fraction);
        millis = millis.saturating_mul(60).saturating_add(part);
    }
    // The story shows less of a moment than there is: all of what it shows as this moment has happened.
    let shown_as = match offset.split_once('.') {
        Some((_, fraction)) => {
            10_u64.saturating_pow(3_u32.saturating_sub(u32::try_from(fraction.len()).unwrap_or(3)))
        }
        None => 1_000,
    };
    let last = millis.saturating_add(shown_as.saturating_sub(1));
    let start = timeline
        .events
        .first()
        .map(bailiwick_audit::timeline::Placed::at);
    Ok(start.unwrap_or_default().plus(Duration::from_millis(last)))
}

fn from_files(dirs: &[PathBuf], task: TaskId) -> Result<Answer, Failure> {
    let mut merged: Option<Answer> = None;
    for dir in dirs {
        let directory = Directory::existing(dir.clone())?;
        let found = find(&directory, task)?;
        let log = SentLog {
            origin: directory
                .origin()?
                .unwrap_or_else(|| dir.display().to_string()),
            size: found.looked,
            looked: found.looked,
            lookup: Lookup::Scan,
            vkey: None,
            checkpoint: None,
            witnessed: None,
        };
        let answer = Answer::of(&directory, found, log)?;
        match &mut merged {
            None => merged = Some(answer),
            Some(merged) => merged.merge(answer),
        }
    }
    merged.ok_or_else(|| Failure::internal("no directory was given".to_owned()))
}

/// Opens what the story shows, and looks up who stands behind accounts and pseudonyms. Each opening is on record before its value leaves.
async fn reveal(context: &Context, timeline: &Timeline, reason: &str) -> Result<Words, Failure> {
    let api = context.api()?;
    let mut words = Words::default();
    let events = worth_revealing(timeline);
    if events.len() > MOST_OPENED {
        context.out.note(&format!(
            "the values of the first {MOST_OPENED} of {} events are opened; `audit show --reveal` opens one",
            events.len()
        ));
    }
    for event in events.into_iter().take(MOST_OPENED) {
        let body = json!({"event": event, "reason": reason});
        let values = match api.post("/v1/audit/reveals", &body).await {
            Ok(answer) => opened(&answer)?,
            Err(failure)
                if matches!(
                    failure.problem.code,
                    Code::PayloadErased | Code::PayloadNotKept
                ) =>
            {
                let gone = if failure.problem.code == Code::PayloadErased {
                    "(erased)"
                } else {
                    "(not kept)"
                };
                let paths = timeline.events.iter().find(|it| it.leaf.event.id == event);
                let paths = paths.into_iter().flat_map(|it| &it.leaf.sealed);
                paths.map(|it| (it.path.clone(), gone.to_owned())).collect()
            }
            Err(failure) => return Err(failure),
        };
        words.revealed.insert(event, values);
    }
    words.people = people(context, timeline).await;
    Ok(words)
}

/// Names of accounts and of the user. What cannot be looked up keeps its id.
async fn people(context: &Context, timeline: &Timeline) -> People {
    let mut people = BTreeMap::new();
    let Ok(api) = context.api() else {
        return people;
    };
    let text = |value: &Value, pointer: &str| {
        value
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    if let Ok(accounts) = api.get("/v1/accounts?limit=1000").await {
        for account in table::items(&accounts) {
            if let (Some(id), Some(name)) = (text(account, "/id"), text(account, "/name")) {
                people.insert(id, name);
            }
        }
    }
    if let Ok(task) = api.get(&format!("/v1/tasks/{}", timeline.root)).await
        && let (Some(pseudonym), Some(user)) =
            (text(&task, "/user_pseudonym"), text(&task, "/user"))
    {
        people.insert(pseudonym, user);
    }
    people
}

/// The text with signs that the terminal writes.
fn for_terminal(out: &Out, text: String) -> String {
    if out.is_terminal() && ascii::is_wanted() {
        return ascii::signs(&text);
    }
    text
}

fn painted(out: &Out, tone: Tone, text: &str) -> String {
    let style = match tone {
        Tone::Head => Style::Bold,
        Tone::Dim => Style::Dim,
        Tone::Good => Style::Good,
        Tone::Warn => Style::Warn,
        Tone::Bad => Style::Bad,
    };
    out.paint(style, text)
}

fn in_json(value: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(value).map_err(|error| Failure::internal(error.to_string()))
}
