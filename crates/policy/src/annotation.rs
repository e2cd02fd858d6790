//! Annotations of a policy: a closed list (03 of the design). A policy with `@step_up` or `@duty` is soft.

use std::ops::Range;
use std::time::Duration;

use bailiwick_core::Timestamp;
use bailiwick_core::approval::DEFAULT_VALID;
use bailiwick_core::decision::Obligation;
use cedar_policy_core::ast::{Effect, Template};

use crate::flaw::{Flaw, FlawCode};
use crate::load::place;
use crate::nearest::nearest;

const KNOWN: &[&str] = &[
    "id", "reason", "fix", "step_up", "duty", "quorum", "valid", "standing", "owner", "ticket",
    "expires", "mode",
];
const MAX_TEXT: usize = 512;
const MAX_ID: usize = 128;
const MAX_QUORUM: u32 = 8;
const MAX_STANDING: u32 = 100;
const MAX_VALID: Duration = Duration::from_hours(24);

/// What a policy says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) id: String,
    pub(crate) reason: String,
    pub(crate) fix: String,
    /// What makes it soft.
    pub(crate) token: Option<Token>,
    pub(crate) quorum: u32,
    pub(crate) valid_s: u64,
    /// How many more calls alike one answer may be for.
    pub(crate) standing: u32,
    /// From then on a permit does not count.
    pub(crate) expires: Option<Timestamp>,
    /// It is asked and not enforced.
    pub(crate) observed: bool,
}

/// The one token of a soft policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// `approval:<who>`, as written.
    Approval(String),
    /// A duty the enforcement point performs.
    Duty(Obligation),
}

impl Token {
    /// As it stands among discharged tokens.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Approval(token) => token.clone(),
            Self::Duty(duty) => format!("{}:{}", duty.kind, duty.argument),
        }
    }
}

/// Reads the annotations of one policy of `file`, of which the piece that was parsed begins at `offset`; all that is wrong with
/// them goes to `flaws`.
pub(crate) fn read(
    template: &Template,
    file: &str,
    text: &str,
    offset: usize,
    flaws: &mut Vec<Flaw>,
) -> Option<Marks> {
    let before = flaws.len();
    let mut reader = Reader {
        file,
        text,
        policy: place(template.loc(), offset),
        flaws,
    };
    let mut marks = Marks {
        id: String::new(),
        reason: String::new(),
        fix: String::new(),
        token: None,
        quorum: 1,
        valid_s: DEFAULT_VALID.as_secs(),
        standing: 0,
        expires: None,
        observed: false,
    };
    let mut bounds = None;
    for (key, annotation) in template.annotations() {
        let key: &str = key.as_ref();
        let place = place(annotation.loc.as_ref(), offset);
        reader.one(
            key,
            &annotation.val,
            place.clone(),
            template.effect(),
            &mut marks,
        );
        if matches!(key, "quorum" | "valid" | "standing") {
            bounds = Some(place);
        }
    }
    let written = |key: &str| template.annotations().any(|(name, _)| name.as_ref() == key);
    for key in ["id", "reason"] {
        if !written(key) {
            let help = format!("add @{key}(\"…\") above it");
            reader.wrong(
                reader.policy.clone(),
                format!("this policy has no @{key}"),
                &help,
            );
        }
    }
    if let (Some(place), false) = (bounds, matches!(marks.token, Some(Token::Approval(_)))) {
        reader.wrong(
            place,
            "@quorum, @valid and @standing say how a step-up is approved, and this policy has none"
                .to_owned(),
            "add @step_up(\"approval:<who>\") or remove it",
        );
    }
    (reader.flaws.len() == before).then_some(marks)
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    policy: Range<usize>,
    flaws: &'a mut Vec<Flaw>,
}

impl Reader<'_> {
    fn wrong(&mut self, place: Range<usize>, message: String, help: &str) {
        let flaw = Flaw::at(self.file, self.text, place, message);
        self.flaws.push(flaw.code(FlawCode::Annotation).help(help));
    }

    fn one(
        &mut self,
        key: &str,
        value: &str,
        place: Range<usize>,
        effect: Effect,
        marks: &mut Marks,
    ) {
        let problem = match key {
            "id" => keep(
                &mut marks.id,
                value,
                is_id(value),
                "an id is 1 to 128 of a-z A-Z 0-9 . _ - /",
            ),
            "reason" => keep(
                &mut marks.reason,
                value,
                is_text(value),
                "say in 1 to 512 characters why the policy exists",
            ),
            "fix" => keep(
                &mut marks.fix,
                value,
                is_text(value),
                "say in 1 to 512 characters what a person can do",
            ),
            "owner" | "ticket" => is_text(value)
                .then_some(())
                .ok_or("write 1 to 512 characters"),
            "step_up" => self.token(approval(value), &place, marks),
            "duty" if effect == Effect::Permit => {
                Err("put the duty on a forbid: there no other permit can shed it")
            }
            "duty" => self.token(duty(value), &place, marks),
            "quorum" => value
                .parse()
                .ok()
                .filter(|n| (1..=MAX_QUORUM).contains(n))
                .map(|n| marks.quorum = n)
                .ok_or("a quorum is 1 to 8 people"),
            "valid" => duration(value)
                .filter(|d| *d <= MAX_VALID)
                .map(|d| marks.valid_s = d.as_secs())
                .ok_or("write a time such as 30s, 5m or 1h, at most 24h"),
            "standing" => value
                .parse()
                .ok()
                .filter(|n| (1..=MAX_STANDING).contains(n))
                .map(|n| marks.standing = n)
                .ok_or("write how many more calls one answer may be for, 1 to 100"),
            "expires" if effect == Effect::Forbid => {
                Err("a forbid does not lapse by itself: remove it when it should end")
            }
            "expires" => value
                .parse()
                .ok()
                .map(|at| marks.expires = Some(at))
                .ok_or("write an instant such as 2026-12-01T00:00:00Z"),
            "mode" => (value == "observe")
                .then(|| marks.observed = true)
                .ok_or("the one mode is observe; a policy without @mode is enforced"),
            _ => {
                let help = nearest(key, KNOWN.iter().copied(), 2).map_or_else(
                    || format!("the annotations are {}", KNOWN.join(", ")),
                    |known| format!("did you mean @{known}?"),
                );
                self.wrong(place, format!("there is no annotation @{key}"), &help);
                return;
            }
        };
        if let Err(help) = problem {
            self.wrong(
                place,
                format!("@{key}(\"{}\") cannot be used here", clip(value)),
                help,
            );
        }
    }

    fn token(
        &mut self,
        token: Option<Token>,
        place: &Range<usize>,
        marks: &mut Marks,
    ) -> Result<(), &'static str> {
        if marks.token.is_some() {
            let message = "a policy has @step_up or @duty, and not both".to_owned();
            self.wrong(place.clone(), message, "write two policies");
            return Ok(());
        }
        marks.token = token;
        marks.token.as_ref().map(|_| ()).ok_or(
            "a step-up is approval:<who>; a duty is redact:<label>, label:<label>, max_ttl:<time>, max_bytes:<n>, rate:<n>/<time>, deliver:inject or notify:<who>",
        )
    }
}

fn keep(
    place: &mut String,
    value: &str,
    fits: bool,
    help: &'static str,
) -> Result<(), &'static str> {
    value.clone_into(place);
    fits.then_some(()).ok_or(help)
}

fn is_id(value: &str) -> bool {
    (1..=MAX_ID).contains(&value.len())
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/'))
}

fn is_text(value: &str) -> bool {
    !value.trim().is_empty()
        && value.chars().count() <= MAX_TEXT
        && !value.chars().any(char::is_control)
}

fn is_label(value: &str) -> bool {
    (1..=63).contains(&value.len())
        && value
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn approval(value: &str) -> Option<Token> {
    let who = value.strip_prefix("approval:")?;
    is_label(who).then(|| Token::Approval(value.to_owned()))
}

fn duty(value: &str) -> Option<Token> {
    let (kind, argument) = value.split_once(':')?;
    let fits = match kind {
        "redact" | "label" | "notify" => is_label(argument),
        "max_ttl" => duration(argument).is_some(),
        "max_bytes" => count(argument).is_some(),
        "rate" => rate(argument).is_some(),
        "deliver" => argument == "inject",
        _ => false,
    };
    let duty = || Obligation {
        kind: kind.to_owned(),
        argument: argument.to_owned(),
    };
    fits.then(|| Token::Duty(duty()))
}

/// `30s`, `5m`, `1h`, `7d`: a whole number above zero and a unit.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let seconds = count(number)?.checked_mul(factor)?;
    Some(Duration::from_secs(seconds))
}

/// A whole number above zero, in digits only.
pub(crate) fn count(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = if digits {
        text.parse().ok()?
    } else {
        return None;
    };
    (number > 0).then_some(number)
}

/// `<n>/<time>`.
pub(crate) fn rate(text: &str) -> Option<(u64, Duration)> {
    let (n, per) = text.split_once('/')?;
    Some((count(n)?, duration(per)?))
}

fn clip(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests;
