//! The story as text: a head that says what it was about and how it ended, a line for each step, a foot that says whether that is all.
//! Fits the columns there are; without a bound nothing is wrapped or cut. What others wrote is made visible first.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use bailiwick_core::Timestamp;
use bailiwick_core::decision::Outcome as Decided;
use bailiwick_core::event::EventType;
use bailiwick_core::label::Label;
use bailiwick_core::visible::Visible;
use unicode_width::UnicodeWidthStr;

use super::columns::{clipped, cut, padded, whole_words, wrapped};
use super::names::Names;
use super::phrase::{ago, offset};
use super::story::Line;
use super::{KeyFrom, Lookup, Mark, Timeline, Words, tell};

/// How the story is shown.
pub struct View<'a> {
    /// Columns there are; none: as many as it takes.
    pub width: Option<usize>,
    /// Now, for what is told as so long ago.
    pub now: Timestamp,
    /// Gives a piece of text a tone.
    pub paint: &'a dyn Fn(Tone, &str) -> String,
}

/// What a piece of text is to be seen as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// What it is about.
    Head,
    /// What matters less.
    Dim,
    /// It is well.
    Good,
    /// It waits, or is not known.
    Warn,
    /// It is not well.
    Bad,
}

/// Columns of a story on paper.
const PAPER: usize = 132;
/// Widest name of who acts, and of what is done.
const MOST_WHO: usize = 22;
const MOST_WHAT: usize = 40;
const MOST_SOURCE: usize = 26;
/// Least columns in which particulars stand beside what was done, and not below it.
const LEAST_DETAIL: usize = 17;
/// Columns between two columns.
const GAP: usize = 2;
/// Fewer columns than this are few: effects stand with the particulars, a log is not named where there is only one.
const FEW: usize = 104;
const MOST_SOURCE_OF_FEW: usize = 10;

/// The story for a file: bounded, without tones.
pub fn plain(timeline: &Timeline, words: &Words, now: Timestamp) -> String {
    let paint = |_: Tone, text: &str| text.to_owned();
    let view = View {
        width: Some(PAPER),
        now,
        paint: &paint,
    };
    render(timeline, words, &view)
}

/// The story.
pub fn render(timeline: &Timeline, words: &Words, view: &View<'_>) -> String {
    let lines = tell(timeline, words);
    let few = view.width.is_some_and(|width| width < FEW);
    let anonymous = few && timeline.logs.len() < 2;
    let rows = lines.iter().map(|line| Row::of(line, view, anonymous));
    let rows: Vec<Row> = rows.collect();
    let widths = Widths::of(&rows, view.width);
    let mut text = head(timeline, words, view);
    for row in &rows {
        row.write(&mut text, &widths, view);
    }
    text.push_str(&foot(timeline, view));
    text
}

fn head(timeline: &Timeline, words: &Words, view: &View<'_>) -> String {
    let names = Names::of(timeline, &words.people);
    let request = words.revealed.iter().find_map(|(id, values)| {
        let opened = timeline
            .events
            .iter()
            .find(|placed| placed.kind() == EventType::TaskOpened)?;
        (opened.id() == *id)
            .then(|| values.get("/request"))
            .flatten()
    });
    let title = request.map_or_else(|| "request sealed".to_owned(), |it| clipped(it, view.width));
    let mut parts = vec![who_for_whom(timeline, &names), when(timeline)];
    parts.extend(risk(timeline));
    let labels: BTreeSet<&str> = timeline
        .events
        .iter()
        .filter_map(|placed| placed.leaf.event.task.as_ref())
        .flat_map(|task| task.labels.iter().map(Label::as_str))
        .collect();
    if !labels.is_empty() {
        parts.push(format!(
            "labels {}",
            labels.into_iter().collect::<Vec<_>>().join(", ")
        ));
    }
    let title = Visible(&title).to_string();
    let rest = Visible(&parts.join(" · ")).to_string();
    let mut text = String::new();
    let whole = format!("{title} · {rest}");
    let fits = view.width.is_none_or(|width| whole.width() <= width);
    if fits {
        let _ = writeln!(text, "{} · {rest}", (view.paint)(Tone::Head, &title));
    } else {
        for line in wrapped(&title, view.width) {
            let _ = writeln!(text, "{}", (view.paint)(Tone::Head, &line));
        }
        for line in wrapped(&rest, view.width) {
            let _ = writeln!(text, "{line}");
        }
    }
    let mut ids = vec![timeline.root.to_string()];
    ids.extend(
        names
            .legend()
            .map(|(called, id)| format!("{called} = {id}")),
    );
    for line in wrapped(&Visible(&ids.join(" · ")).to_string(), view.width) {
        let _ = writeln!(text, "{}", (view.paint)(Tone::Dim, &line));
    }
    text
}

/// `alice → triage-bot → patcher, tester`: who asked, then the agents by depth.
fn who_for_whom(timeline: &Timeline, names: &Names<'_>) -> String {
    let mut depth = std::collections::BTreeMap::new();
    let mut levels: Vec<Vec<String>> = Vec::new();
    for placed in &timeline.events {
        let Some(task) = &placed.leaf.event.task else {
            continue;
        };
        if depth.contains_key(&task.id) {
            continue;
        }
        let above = task.parent.and_then(|parent| depth.get(&parent).copied());
        let level: usize = above.map_or(0, |above: usize| above + 1);
        depth.insert(task.id, level);
        while levels.len() <= level {
            levels.push(Vec::new());
        }
        if let (Some(at), Some(agent)) = (levels.get_mut(level), names.acting(task.id)) {
            at.push(agent.to_owned());
        }
    }
    let user = timeline
        .events
        .iter()
        .find_map(|placed| placed.leaf.event.user.as_deref());
    let user = user.map(|user| names.person(user));
    let agents = levels.iter().map(|level| level.join(", "));
    user.into_iter()
        .chain(agents)
        .collect::<Vec<_>>()
        .join(" → ")
}

fn when(timeline: &Timeline) -> String {
    let Some(first) = timeline.events.first() else {
        return "nothing is on record".to_owned();
    };
    let end = timeline.of_kind(EventType::TaskEnded).find(|placed| {
        let task = placed.leaf.event.task.as_ref();
        task.is_some_and(|task| task.id == timeline.root)
    });
    let from = moment(first.at());
    match end {
        None => format!("{from} open"),
        Some(end) => {
            let until = moment(end.at());
            let same_day = from.get(..10) == until.get(..10);
            let until = until.get(11..).filter(|_| same_day).unwrap_or(&until);
            let change = end.leaf.event.change.as_ref();
            let state = change.and_then(|it| it.after.as_deref()).unwrap_or("ended");
            format!("{from} to {until} {state}")
        }
    }
}

/// `2026-11-23 09:14:02Z`.
fn moment(at: Timestamp) -> String {
    let text = Timestamp::from_secs(at.as_secs()).to_string();
    let (date, time) = text.split_once('T').unwrap_or((text.as_str(), ""));
    let time = time.split('.').next().unwrap_or_default();
    format!("{date} {}Z", time.trim_end_matches('Z'))
}

fn risk(timeline: &Timeline) -> Option<String> {
    let tasks = || {
        timeline
            .events
            .iter()
            .filter_map(|placed| placed.leaf.event.task.as_ref())
    };
    let first = tasks().next()?.risk;
    let most = tasks().map(|task| task.risk).max()?;
    Some(if first == most {
        format!("risk {first}")
    } else {
        format!("risk {first}→{most}")
    })
}

/// One line of the story, its cells made visible.
struct Row {
    time: String,
    who: String,
    what: String,
    effect: &'static str,
    detail: Vec<String>,
    verdict: Option<(Decided, String)>,
    proof: String,
    mark: Tone,
    trouble: Vec<String>,
    below: bool,
    alarm: bool,
}

impl Row {
    fn of(line: &Line, view: &View<'_>, anonymous: bool) -> Self {
        let visible = |text: &str| Visible(text).to_string();
        let failed = line.events.iter().filter_map(|place| match &place.proof {
            Mark::Failed { why } => Some(format!("✗ {} #{}: {why}", place.origin, place.index)),
            _ => None,
        });
        let (sign, mark) = sign(line);
        let few = view.width.is_some_and(|width| width < FEW);
        let effect = line.effect.map_or("", |effect| effect.as_str());
        let folded = Some(effect).filter(|effect| few && !effect.is_empty());
        let detail = line.detail.iter().map(|one| clipped(one, view.width));
        Self {
            time: offset(line.after_ms),
            who: visible(&line.who),
            what: visible(&line.what),
            effect: if few { "" } else { effect },
            detail: folded
                .map(str::to_owned)
                .into_iter()
                .chain(detail.map(|one| visible(&one)))
                .collect(),
            verdict: line
                .verdict
                .as_ref()
                .map(|it| (it.outcome, visible(&it.source))),
            proof: visible(&format!("{}{sign}", places(line, anonymous))),
            mark,
            trouble: failed.map(|why| visible(&why)).collect(),
            below: line.below,
            alarm: line.alarm,
        }
    }

    fn write(&self, text: &mut String, widths: &Widths, view: &View<'_>) {
        let paint = view.paint;
        let gap = " ".repeat(GAP);
        let mut out = format!("{:>1$}", self.time, widths.time);
        out = paint(Tone::Dim, &out);
        out.push_str(&gap);
        out.push_str(&padded(&self.who, widths.who));
        out.push_str(&gap);
        // What stands below another line has the columns up to the decision, or its own line, to itself.
        let middle = widths.what + GAP + widths.effect + GAP + widths.detail;
        let joined = self.detail.join(" · ");
        let tone = |words: String| {
            if self.alarm {
                paint(Tone::Bad, &words)
            } else {
                words
            }
        };
        let mut under = Vec::new();
        if self.below {
            let words = if joined.is_empty() {
                format!("└ {}", self.what)
            } else {
                format!("└ {} · {joined}", self.what)
            };
            let room = middle + GAP + widths.verdict;
            let mut lines = wrapped(&words, view.width.map(|_| room)).into_iter();
            let first = lines.next().unwrap_or_default();
            out.push_str(&tone(padded(&first, room)));
            under.extend(lines.map(|line| format!("  {line}")));
        } else {
            out.push_str(&tone(padded(&self.what, widths.what)));
            out.push_str(&gap);
            out.push_str(&padded(self.effect, widths.effect));
            out.push_str(&gap);
            let decided = self.verdict.is_some();
            let room = if decided {
                widths.detail
            } else {
                widths.detail + GAP + widths.verdict
            };
            let beside = wrapped(&joined, view.width.map(|_| room));
            let fits = view.width.is_none()
                || beside.len() <= 2 && room >= LEAST_DETAIL && whole_words(&joined, room);
            let mut lines = beside.into_iter().filter(|_| fits);
            out.push_str(&padded(&lines.next().unwrap_or_default(), room));
            let indent = " ".repeat(widths.what + GAP + widths.effect + GAP);
            under.extend(lines.map(|line| format!("{indent}{line}")));
            if !fits {
                let room = middle + GAP + widths.verdict;
                let words = format!("  {joined}");
                under.extend(wrapped(&words, Some(room)).into_iter().map(|line| {
                    let line = line.trim_start();
                    format!("  {line}")
                }));
            }
            if decided {
                out.push_str(&gap);
                out.push_str(&self.verdict(widths, view));
            }
        }
        out.push_str(&gap);
        out.push_str(&paint(self.mark, &self.proof));
        let _ = writeln!(text, "{}", out.trim_end());
        let margin = " ".repeat(widths.time + GAP + widths.who + GAP);
        for line in under {
            let _ = writeln!(text, "{margin}{}", tone(line));
        }
        for line in &self.trouble {
            for line in wrapped(
                line,
                view.width.map(|width| width.saturating_sub(margin.len())),
            ) {
                let _ = writeln!(text, "{margin}{}", paint(Tone::Bad, &line));
            }
        }
    }

    fn verdict(&self, widths: &Widths, view: &View<'_>) -> String {
        let Some((outcome, source)) = &self.verdict else {
            return " ".repeat(widths.verdict);
        };
        let (word, tone) = match outcome {
            Decided::Allow => ("allow", Tone::Good),
            Decided::StepUp => ("STEP-UP", Tone::Warn),
            Decided::Deny => ("DENY", Tone::Bad),
        };
        let room = widths.verdict.saturating_sub(WORD + 1);
        let word = format!("{word:<WORD$}");
        format!(
            "{} {}",
            (view.paint)(tone, &word),
            padded(&cut(source, room, view.width), room)
        )
    }
}

/// Columns of the longest word for a decision.
const WORD: usize = 7;

/// Columns of each column.
struct Widths {
    time: usize,
    who: usize,
    what: usize,
    effect: usize,
    detail: usize,
    verdict: usize,
}

impl Widths {
    fn of(rows: &[Row], width: Option<usize>) -> Self {
        let most = |of: &dyn Fn(&Row) -> usize| rows.iter().map(of).max().unwrap_or(0);
        let bound = |natural: usize, most: usize| {
            if width.is_some() {
                natural.min(most)
            } else {
                natural
            }
        };
        let source = most(&|row| row.verdict.as_ref().map_or(0, |(_, source)| source.width()));
        let most_source = match width {
            Some(width) if width < FEW => MOST_SOURCE_OF_FEW,
            _ => MOST_SOURCE,
        };
        let verdict = if rows.iter().any(|row| row.verdict.is_some()) {
            WORD + 1 + bound(source, most_source)
        } else {
            0
        };
        let own = |row: &Row, of: usize| if row.below { 0 } else { of };
        let time = most(&|row| row.time.width());
        let who = bound(most(&|row| row.who.width()), MOST_WHO);
        let what = bound(most(&|row| own(row, row.what.width())), MOST_WHAT);
        let effect = most(&|row| row.effect.len());
        let detail = most(&|row| own(row, row.detail.join(" · ").width()));
        let proof = most(&|row| row.proof.width());
        let detail = match width {
            None => detail,
            Some(width) => {
                let others = time + who + what + effect + verdict + proof + 6 * GAP;
                let room = width.saturating_sub(others);
                // Too narrow to be of use: particulars go below their line.
                if room < LEAST_DETAIL {
                    0
                } else {
                    detail.min(room)
                }
            }
        };
        Self {
            time,
            who,
            what,
            effect,
            detail,
            verdict,
        }
    }
}

/// `node-1#12,13`, for each log.
fn places(line: &Line, anonymous: bool) -> String {
    let mut logs: Vec<(&str, Vec<String>)> = Vec::new();
    for place in &line.events {
        let index = place.index.to_string();
        match logs.iter_mut().find(|(origin, _)| *origin == place.origin) {
            Some((_, indexes)) => indexes.push(index),
            None => logs.push((&place.origin, vec![index])),
        }
    }
    let named = logs.iter().map(|(origin, indexes)| {
        let node = origin.rsplit('/').next().filter(|_| !anonymous);
        let node = node.unwrap_or_default();
        format!("{node}#{}", indexes.join(","))
    });
    named.collect::<Vec<_>>().join(" ")
}

fn sign(line: &Line) -> (&'static str, Tone) {
    let any = |wanted: fn(&Mark) -> bool| line.events.iter().any(|place| wanted(&place.proof));
    if line.events.is_empty() {
        ("", Tone::Dim)
    } else if any(|mark| matches!(mark, Mark::Failed { .. })) {
        (" ✗", Tone::Bad)
    } else if any(|mark| matches!(mark, Mark::Unpublished)) {
        (" ·", Tone::Dim)
    } else {
        (" ✓", Tone::Dim)
    }
}

fn foot(timeline: &Timeline, view: &View<'_>) -> String {
    let whole = timeline.wholeness();
    let plural = |count: u64, one: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    };
    let bundle = timeline.logs.iter().any(|log| log.lookup == Lookup::Bundle);
    let mut parts = vec![format!(
        "{}: {} on {}, {}, {}",
        match (whole.complete, bundle) {
            (true, _) => "complete",
            (false, true) => "in this bundle",
            (false, false) => "INCOMPLETE",
        },
        plural(whole.events, "event"),
        plural(whole.logs, "log"),
        plural(whole.gaps, "gap"),
        plural(whole.unknown.len() as u64, "unknown outcome"),
    )];
    if !whole.running.is_empty() {
        parts.push(format!(
            "{} not answered yet",
            plural(whole.running.len() as u64, "call")
        ));
    }
    if whole.altered > 0 {
        parts.push(format!("{} NOT as signed", plural(whole.altered, "event")));
    }
    if whole.unpublished > 0 {
        parts.push(format!(
            "{} behind the newest checkpoint",
            whole.unpublished
        ));
    }
    if whole.cut {
        parts.push(format!("only the first {} are told", super::MAX_EVENTS));
    }
    if bundle {
        parts.push("whether there were more, the log itself says".to_owned());
    }
    for log in timeline.logs.iter().filter(|_| !bundle) {
        parts.push(match &log.witnessed {
            None => "no witness".to_owned(),
            Some(witnessed) => {
                let ago = witnessed.at.map(|at| format!(", {}", ago(view.now, at)));
                let enough = if witnessed.enough {
                    ""
                } else {
                    " (NOT enough)"
                };
                format!(
                    "witnessed {} of {}{}{enough}",
                    witnessed.have,
                    witnessed.of,
                    ago.unwrap_or_default()
                )
            }
        });
        let (size, looked) = (log.size, log.looked.min(log.size));
        parts.push(match log.lookup {
            Lookup::Index if looked == size => "indexed to the end".to_owned(),
            Lookup::Scan if looked == size => "read to the end".to_owned(),
            Lookup::Index => format!("{looked} of {size} events are indexed or read: --wait waits"),
            Lookup::Scan | Lookup::Bundle => format!("{looked} of {size} events were read"),
        });
        match log.key {
            KeyFrom::Reader => {}
            KeyFrom::Node => parts.push("checked with the node's own key".to_owned()),
            KeyFrom::Nobody => parts.push("signature not checked: give --vkey".to_owned()),
        }
    }
    if timeline.opened > 0 {
        parts.push(format!(
            "sealed values opened {}",
            plural(timeline.opened, "time")
        ));
    }
    let tone = if whole.altered > 0 {
        Tone::Bad
    } else if whole.complete {
        Tone::Good
    } else {
        Tone::Warn
    };
    let lines = wrapped(&Visible(&parts.join(" · ")).to_string(), view.width);
    let lines: Vec<String> = lines.iter().map(|line| (view.paint)(tone, line)).collect();
    lines.join("\n")
}
