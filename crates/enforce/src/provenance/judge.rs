//! The judgement of each argument: where, what, how much and who need something that stands behind them; names and text are asked about
//! when they come out of an untrusted answer, or hold links that nothing stands behind.

use std::collections::BTreeSet;

use bailiwick_core::Effect;
use bailiwick_core::binding::{Binding, Sink};
use bailiwick_core::json::{Leaves, Scalar};
use bailiwick_core::normal::plain;
use bailiwick_core::scope::{Allowed, Grant};
use bailiwick_policy::Provenance;

use super::entities::{Entity, entities};
use super::memory::Memory;
use super::origin::{Origins, Standing};
use super::request::Requested;
use crate::content::text_of;

/// A whole name shorter than this stands in any text by chance.
const MIN_COPY: usize = 8;

/// One call, with all that its arguments are judged by.
pub(crate) struct About<'a> {
    pub(crate) binding: &'a Binding,
    pub(crate) effect: Effect,
    pub(crate) leaves: &'a Leaves<'a>,
    /// The grant that covers it.
    pub(crate) grant: Option<&'a Grant>,
    /// Requests of its task and of those above it that count as the user's words.
    pub(crate) requests: &'a [&'a Requested],
    pub(crate) memory: &'a Memory,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    pub(crate) provenance: Provenance,
    /// Values of all arguments that a person would approve with the call.
    pub(crate) values: Vec<String>,
    /// Those that something is wrong with: what a person refuses with the call.
    pub(crate) odd: Vec<String>,
    /// Whether it has a destination that this task has no word for but the user's request.
    pub(crate) new_destination: bool,
}

/// What stands behind one value.
#[derive(Debug, Clone, Copy)]
struct Behind {
    granted: bool,
    request: bool,
    amount: bool,
    origins: Origins,
}

impl Behind {
    /// Good enough for where a call goes.
    fn destination(self) -> bool {
        let standing = self.origins.standing;
        self.granted
            || self.request
            || standing.has(Standing::APPROVED)
            || standing.has(Standing::KNOWN)
    }

    /// Good enough for what a call is about.
    fn object(self, effect: Effect) -> bool {
        let standing = self.origins.standing;
        self.destination()
            || standing.has(Standing::CREATED)
            || (standing.has(Standing::FACT) && effect != Effect::Escalate)
    }
}

/// Judges the arguments of a call. Pure.
pub(crate) fn judge(about: &About<'_>) -> Judged {
    let mut judged = Judged::default();
    about.leaves.each(|path, scalar| {
        if let Some(value) = text_of(scalar) {
            leaf(about, &mut judged, path, scalar, value);
        }
    });
    let provenance = &mut judged.provenance;
    provenance.saturated = about.memory.saturated();
    provenance.suggested = about.binding.suggested;
    if provenance.kinds.contains(Sink::Destination.as_str()) {
        provenance.uncleared.clone_from(&provenance.carries);
    }
    judged
}

fn leaf(about: &About<'_>, judged: &mut Judged, path: &str, scalar: &Scalar<'_>, value: &str) {
    let kind = kind(about, path, scalar, value);
    let behind = behind(about, path, scalar, value);
    let provenance = &mut judged.provenance;
    let place = format!("{}:{path}", kind.as_str());
    provenance.kinds.insert(kind.as_str().to_owned());
    let text = plain(value);
    let found = entities(&text);
    if !behind.request {
        provenance.carries.extend(about.memory.carried(&text));
    }
    provenance.url_leak |= found.iter().any(|entity| leaks(about, entity));
    let mut odd = false;
    let mut put = |set: &mut BTreeSet<String>| {
        odd = true;
        set.insert(place.clone());
    };
    let standing = behind.origins.standing;
    match kind {
        Sink::Destination => {
            judged.new_destination |=
                !standing.has(Standing::APPROVED) && !standing.has(Standing::KNOWN);
            if !behind.destination() {
                put(&mut provenance.weak);
            }
        }
        Sink::Object if !behind.object(about.effect) => put(&mut provenance.weak),
        Sink::Amount => {
            let most = below(about.binding.ask_above.iter(), path);
            let small = most
                .zip(value.parse::<f64>().ok())
                .is_some_and(|(most, value)| fits(value, *most));
            let asked = behind.granted || behind.amount || standing.has(Standing::APPROVED);
            if !asked && (!small || behind.origins.text) {
                put(&mut provenance.weak);
            }
        }
        Sink::Credential if !behind.request && !standing.has(Standing::APPROVED) => {
            put(&mut provenance.weak);
            if behind.origins.text {
                put(&mut provenance.dictated);
            }
        }
        Sink::Name | Sink::Content | Sink::Code => {
            let whole = kind == Sink::Name && text.chars().count() >= MIN_COPY;
            if whole && behind.origins.text && !behind.object(Effect::Write) {
                put(&mut provenance.copied);
            }
            if found.iter().any(|entity| !stands(about, kind, entity)) {
                put(&mut provenance.links);
            }
        }
        Sink::Object | Sink::Credential | Sink::None => {}
    }
    if standing.has(Standing::REFUSED) {
        provenance.refused.insert(place);
    }
    judged.values.push(value.to_owned());
    if odd {
        judged.odd.push(value.to_owned());
    }
}

/// What an argument is for: as the operator says of it or of what it is in; else what a call of this effect would do with it at worst.
fn kind(about: &About<'_>, path: &str, scalar: &Scalar<'_>, value: &str) -> Sink {
    if let Some(sink) = below(about.binding.sinks.iter(), path) {
        return *sink;
    }
    let is_flag = matches!(scalar, Scalar::Bool(_));
    match about.effect {
        Effect::Read if is_link(value) => Sink::Destination,
        Effect::Read => Sink::None,
        Effect::Write | Effect::Escalate if is_flag => Sink::None,
        Effect::Write | Effect::Escalate => Sink::Object,
    }
}

/// The entry of a path, or of the nearest place above it.
fn below<'b, V>(
    entries: impl Iterator<Item = (&'b bailiwick_core::scope::ArgPath, &'b V)>,
    path: &str,
) -> Option<&'b V> {
    let above = |own: &str| {
        let rest = path.strip_prefix(own);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    entries
        .filter(|(own, _)| above(own.as_str()))
        .max_by_key(|(own, _)| own.as_str().len())
        .map(|(_, value)| value)
}

fn behind(about: &About<'_>, path: &str, scalar: &Scalar<'_>, value: &str) -> Behind {
    let listed = about.grant.and_then(|grant| below(grant.args.iter(), path));
    let granted = listed.is_some_and(|constraint| {
        constraint.allowed != Allowed::Any && constraint.allowed.holds(scalar)
    });
    Behind {
        granted,
        ..behind_text(about, value)
    }
}

fn behind_text(about: &About<'_>, value: &str) -> Behind {
    Behind {
        granted: false,
        request: about.requests.iter().any(|request| request.names(value)),
        amount: about
            .requests
            .iter()
            .any(|request| request.has_amount(value)),
        origins: about.memory.origins(value),
    }
}

/// Whether something stands behind a link, an address or an account inside text; in code, behind a path too.
fn stands(about: &About<'_>, kind: Sink, entity: &Entity) -> bool {
    let behind = behind_text(about, entity.form());
    match entity {
        Entity::Path(_) => kind != Sink::Code || behind.object(about.effect),
        Entity::Link(_) | Entity::Address(_) | Entity::Account(_) => behind.destination(),
    }
}

/// Whether a link holds words of a confidential answer, unless it stood there as it is.
fn leaks(about: &About<'_>, entity: &Entity) -> bool {
    match entity {
        Entity::Link(form) => {
            !about.memory.carried(form).is_empty() && !about.memory.origins(form).text
        }
        Entity::Address(_) | Entity::Account(_) | Entity::Path(_) => false,
    }
}

fn is_link(value: &str) -> bool {
    let text = plain(value);
    !text.contains(' ')
        && entities(&text)
            .iter()
            .any(|entity| matches!(entity, Entity::Link(_)))
}

/// Whether an amount is not over a bound. What is no number is.
#[expect(
    clippy::cast_precision_loss,
    reason = "bounds of amounts are small numbers that an operator wrote"
)]
fn fits(value: f64, most: u64) -> bool {
    value.is_finite() && value >= 0.0 && value <= most as f64
}
