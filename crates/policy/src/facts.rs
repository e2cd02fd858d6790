//! What other parts of the product may know of a call, beside its rows: each a place in the schema that is empty until
//! somebody feeds it. An absent fact is absent in policy as well: it must be asked for with `has`, so that a permit that needs
//! it lets nothing through and a forbid can be written to hold until it is there.

use std::collections::BTreeSet;

use bailiwick_core::artefact::ArtefactEvidence;
use bailiwick_core::time::Timestamp;
use cedar_policy_core::ast::Value;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use crate::fold::fold;
use crate::uid::item;

/// Facts of one call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Facts {
    /// Where the arguments come from (04 §9).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// What the user's request names (04 §9).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestFacts>,
    /// What is used for the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_use: Option<FirstUse>,
    /// How the caller is connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// What of the task's budget is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_left: Option<BudgetLeft>,
    /// What the task has done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// What the process that calls was attested to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attested: Option<Attested>,
    /// What is known of the code that the process runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// Seconds since the task's last call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_s: Option<u64>,
    /// Calls of the task that were denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied: Option<u64>,
    /// Effects that the values of arguments raise the call to (04, `escalate` of a binding).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arg_effects: Option<BTreeSet<String>>,
    /// What the call is about, as the tool's binding tells (04 §8).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Items>,
}

/// The facts of a call that nobody knows more of.
pub static NO_FACTS: Facts = Facts {
    provenance: None,
    request: None,
    first_use: None,
    session: None,
    budget_left: None,
    history: None,
    attested: None,
    evidence: None,
    idle_s: None,
    denied: None,
    arg_effects: None,
    items: None,
};

macro_rules! facts {
    ($($(#[$about:meta])* $name:ident { $($(#[$field_about:meta])* $field:ident: $kind:ident,)* })*) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_about])* pub $field: $kind,)*
        }

        impl $name {
            fn kind() -> serde_json::Value {
                record([$((stringify!($field), <$kind as Fact>::kind()),)*])
            }

            fn value(&self) -> Value {
                let members = [$((stringify!($field), self.$field.value()),)*];
                let known = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
                Value::record(known, None)
            }
        }
    )*};
}

type Texts = BTreeSet<String>;
type Maybe = Option<u64>;

/// Ids of items: `server/kind/name`; of all that a server keeps, `server/server`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ItemIds(pub BTreeSet<String>);

facts! {
    /// Where the arguments come from. Paths are `kind:/path`.
    Provenance {
        /// Arguments that nothing the user said or approved stands behind.
        weak: Texts,
        /// Kinds of argument the call has.
        kinds: Texts,
        /// Names that are copied whole from an untrusted answer.
        copied: Texts,
        /// Links, addresses and account numbers inside other text.
        links: Texts,
        /// Credentials that stand in an untrusted answer.
        dictated: Texts,
        /// Arguments of a call that a person refused.
        refused: Texts,
        /// Confidential labels whose words are in the arguments.
        carries: Texts,
        /// Of these, those that a destination of the call is not cleared for.
        uncleared: Texts,
        /// Whether a URL holds words of a confidential answer.
        url_leak: bool,
        /// Whether some of what should be known was dropped.
        saturated: bool,
        /// Whether what arguments are for was proposed by their names and nobody has looked at it.
        suggested: bool,
    }
    /// What the user's request names; at most 64 of each.
    RequestFacts {
        /// Who wrote it: `user` or `orchestrator`.
        source: String,
        /// Addresses.
        emails: Texts,
        /// Host names.
        hosts: Texts,
        /// URLs.
        urls: Texts,
        /// Paths.
        paths: Texts,
        /// Numbers, in their shortest form.
        numbers: Texts,
        /// Texts in quotation marks.
        quoted: Texts,
    }
    /// What is used for the first time.
    FirstUse {
        /// The tool, in this task.
        tool: bool,
        /// The destination, by this user.
        destination: bool,
    }
    /// How the caller is connected.
    Session {
        /// `dpop`, `mtls`, `peer`, or `bearer`: a token that is bound to no key.
        binding: String,
        /// `loopback` or `remote`.
        network: String,
    }
    /// What of the task's budget is left.
    BudgetLeft {
        /// Calls.
        calls: u64,
        /// Calls that write.
        writes: u64,
        /// Calls that escalate.
        escalations: u64,
    }
    /// What the task has done; at most 64 of each.
    History {
        /// Stages it was in.
        stages: Texts,
        /// Tools it has called.
        tools: Texts,
        /// Calls that people refused.
        refused: u64,
        /// Calls that wait for people now.
        waiting: u64,
    }
    /// What the process that calls was attested to be.
    Attested {
        /// How, such as `unix`.
        kind: String,
        /// SHA-256 of its executable.
        digest: String,
        /// Seconds since.
        age_s: u64,
    }
    /// What the call is about. Of a call that does not name it all, the whole of its server is one of them.
    Items {
        /// Which items.
        names: ItemIds,
        /// Of which kinds.
        kinds: Texts,
        /// What any of them carries.
        labels: Texts,
    }
    /// What is known of the code that the process runs, by its attested digest.
    Evidence {
        /// `none`, `submitted`, or `signed`: by a builder whose key is configured.
        provenance: String,
        /// Seconds since the newest scan ended; absent if there was none.
        scan_age_s: Maybe,
        /// What scans found of critical severity, and nobody has accepted.
        open_critical: u64,
        /// Of high severity.
        open_high: u64,
        /// Whether it is known what it is made of.
        sbom: bool,
    }
}

impl Evidence {
    /// As it stands at `now`.
    pub fn of(known: &ArtefactEvidence, now: Timestamp) -> Self {
        Self {
            provenance: known.provenance.as_str().to_owned(),
            scan_age_s: known.scanned_at.map(|end| now.since(end).as_secs()),
            open_critical: known.open.critical,
            open_high: known.open.high,
            sbom: known.sbom,
        }
    }
}

/// The optional members of `context.bw`, as types.
pub(crate) fn kinds() -> Map<String, serde_json::Value> {
    let members = [
        ("provenance", Provenance::kind()),
        ("request", RequestFacts::kind()),
        ("first_use", FirstUse::kind()),
        ("session", Session::kind()),
        ("budget_left", BudgetLeft::kind()),
        ("history", History::kind()),
        ("attested", Attested::kind()),
        ("evidence", Evidence::kind()),
        ("arg_effects", Texts::kind()),
        ("items", Items::kind()),
    ];
    members
        .into_iter()
        .map(|(name, kind)| (name.to_owned(), optional(kind)))
        .collect()
}

/// The optional members of `context.bw.task`, as types.
pub(crate) fn kinds_of_task() -> Map<String, serde_json::Value> {
    ["idle_s", "denied"]
        .into_iter()
        .map(|name| (name.to_owned(), optional(u64::kind())))
        .collect()
}

impl Facts {
    /// The members of `context.bw` that are known.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let members = [
            (
                "provenance",
                self.provenance.as_ref().map(Provenance::value),
            ),
            ("request", self.request.as_ref().map(RequestFacts::value)),
            ("first_use", self.first_use.as_ref().map(FirstUse::value)),
            ("session", self.session.as_ref().map(Session::value)),
            (
                "budget_left",
                self.budget_left.as_ref().map(BudgetLeft::value),
            ),
            ("history", self.history.as_ref().map(History::value)),
            ("attested", self.attested.as_ref().map(Attested::value)),
            ("evidence", self.evidence.as_ref().map(Evidence::value)),
            (
                "arg_effects",
                self.arg_effects.as_ref().and_then(Texts::value),
            ),
            ("items", self.items.as_ref().map(Items::value)),
        ];
        members
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
    }

    /// With the ids of items as a person may read them.
    pub(crate) fn folded(&self) -> Self {
        let mut folded = self.clone();
        if let Some(items) = &mut folded.items {
            let names = std::mem::take(&mut items.names.0).into_iter();
            items.names.0 = names.map(|name| fold(&name).unwrap_or(name)).collect();
        }
        folded
    }

    /// The members of `context.bw.task` that are known.
    pub(crate) fn values_of_task(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let members = [("idle_s", self.idle_s), ("denied", self.denied)];
        members
            .into_iter()
            .filter_map(|(name, number)| Some((name, number?.value()?)))
    }
}

/// What a member of a fact can be.
trait Fact {
    fn kind() -> serde_json::Value;
    /// None: it is absent.
    fn value(&self) -> Option<Value>;
}

impl Fact for bool {
    fn kind() -> serde_json::Value {
        json!({"type": "Boolean"})
    }

    fn value(&self) -> Option<Value> {
        Some(Value::from(*self))
    }
}

impl Fact for u64 {
    fn kind() -> serde_json::Value {
        json!({"type": "Long"})
    }

    fn value(&self) -> Option<Value> {
        Some(i64::try_from(*self).unwrap_or(i64::MAX).into())
    }
}

impl Fact for Maybe {
    fn kind() -> serde_json::Value {
        optional(u64::kind())
    }

    fn value(&self) -> Option<Value> {
        self.as_ref().and_then(u64::value)
    }
}

impl Fact for String {
    fn kind() -> serde_json::Value {
        json!({"type": "String"})
    }

    fn value(&self) -> Option<Value> {
        Some(Value::from(self.as_str()))
    }
}

impl Fact for Texts {
    fn kind() -> serde_json::Value {
        json!({"type": "Set", "element": {"type": "String"}})
    }

    fn value(&self) -> Option<Value> {
        let texts = self.iter().map(|text| Value::from(text.as_str()));
        Some(Value::set(texts, None))
    }
}

impl Fact for ItemIds {
    fn kind() -> serde_json::Value {
        json!({"type": "Set", "element": {"type": "Entity", "name": "Item"}})
    }

    fn value(&self) -> Option<Value> {
        let ids = self.0.iter().filter_map(|id| item(id));
        Some(Value::set(ids.map(Value::from), None))
    }
}

fn record<const N: usize>(members: [(&str, serde_json::Value); N]) -> serde_json::Value {
    let members = members
        .into_iter()
        .map(|(name, kind)| (name.to_owned(), kind));
    json!({"type": "Record", "attributes": members.collect::<Map<_, _>>()})
}

fn optional(mut kind: serde_json::Value) -> serde_json::Value {
    if let Some(kind) = kind.as_object_mut() {
        kind.insert("required".to_owned(), false.into());
    }
    kind
}
