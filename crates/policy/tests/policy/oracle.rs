//! Every subset of discharged tokens decides as plain Cedar does on the rewritten bundle (03 of the design): a soft forbid gains
//! `unless { discharged }`, a soft permit `when { discharged }`. Cedar's entities, context and request are built here from
//! JSON, through none of the product's code.

use std::str::FromStr;

use bailiwick_core::decision::Outcome;
use bailiwick_core::risk::Risk;
use cedar_policy::{Authorizer, Context, Entities, EntityUid, PolicySet, Request};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{Given, compile};

/// A policy as it is generated.
#[derive(Debug, Clone)]
pub(crate) struct Generated {
    pub(crate) permit: bool,
    pub(crate) token: Option<&'static str>,
    pub(crate) scope: String,
    pub(crate) clauses: String,
}

const PRINCIPALS: &[&str] = &[
    "principal",
    "principal == Bailiwick::Agent::\"a\"",
    "principal == Bailiwick::Agent::\"b\"",
    "principal is Bailiwick::Agent",
];
const ACTIONS: &[&str] = &[
    "action",
    "action in Bailiwick::Action::\"use\"",
    "action in Bailiwick::Action::\"read\"",
    "action in Bailiwick::Action::\"s\"",
    "action == Bailiwick::Action::\"s/r\"",
    "action in [Bailiwick::Action::\"write\", Bailiwick::Action::\"escalate\"]",
];
const RESOURCES: &[&str] = &[
    "resource",
    "resource == Bailiwick::Server::\"s\"",
    "resource in Bailiwick::Server::\"s\"",
    "resource is Bailiwick::Server",
];
const CONDITIONS: &[&str] = &[
    "true",
    "context.bw.task.risk >= 1",
    "context.bw.task.stage == \"run\"",
    "context.bw.task.labels.contains(\"pii\")",
    "principal.base_risk == 0",
    "principal.owner == Bailiwick::Owner::\"team\"",
    "resource.trust == \"reviewed\"",
    "context.bw.chain.contains(principal)",
    "context.bw.user == Bailiwick::User::\"user:test:alice\"",
    "context.bw.now.hour < 12 && context.bw.now.weekday == 2",
    "context.bw.effect == \"read\" || context.bw.depth > 0",
    "context.input has n && context.input.n + 1 > 5",
    "if context.input has n then context.input.n * 3 < 100 else context.bw.task.risk == 0",
];
const TOKENS: &[&str] = &["approval:one", "approval:two", "redact:pii", "label:x"];

pub(crate) fn policy() -> impl Strategy<Value = Generated> {
    let pick = |from: &'static [&'static str]| prop::sample::select(from);
    let token = prop_oneof![3 => Just(None), 2 => pick(TOKENS).prop_map(Some)];
    let clauses = prop::collection::vec((any::<bool>(), pick(CONDITIONS)), 0..3);
    (
        any::<bool>(),
        token,
        pick(PRINCIPALS),
        pick(ACTIONS),
        pick(RESOURCES),
        clauses,
    )
        .prop_map(|(permit, token, principal, action, resource, clauses)| {
            // Duties stand on forbids only.
            let permit = permit && token.is_none_or(|token| token.starts_with("approval:"));
            let clauses = clauses.iter().map(|(when, condition)| {
                format!(
                    " {} {{ {condition} }}",
                    if *when { "when" } else { "unless" }
                )
            });
            Generated {
                permit,
                token,
                scope: format!("({principal}, {action}, {resource})"),
                clauses: clauses.collect(),
            }
        })
}

impl Generated {
    pub(crate) fn ours(&self, id: usize) -> String {
        let mark = self.token.map_or_else(String::new, |token| {
            let key = if token.starts_with("approval:") {
                "step_up"
            } else {
                "duty"
            };
            format!("@{key}(\"{token}\") ")
        });
        format!(
            "@id(\"p{id}\") @reason(\"r\") {mark}\n{}{}{};\n",
            self.effect(),
            self.scope,
            self.clauses
        )
    }

    fn plain(&self) -> String {
        let rewritten = self.token.map_or_else(String::new, |token| {
            let clause = if self.permit { "when" } else { "unless" };
            format!(" {clause} {{ context.bw.discharged.contains(\"{token}\") }}")
        });
        format!(
            "{}{}{}{rewritten};\n",
            self.effect(),
            self.scope,
            self.clauses
        )
    }

    fn effect(&self) -> &'static str {
        if self.permit { "permit" } else { "forbid" }
    }
}

pub(crate) fn text(policies: &[Generated]) -> String {
    policies
        .iter()
        .enumerate()
        .map(|(id, policy)| policy.ours(id))
        .collect()
}

pub(crate) fn given() -> impl Strategy<Value = Given> {
    let arguments = prop::sample::select(
        &[
            "{}",
            r#"{"n":3}"#,
            r#"{"n":7}"#,
            r#"{"n":9223372036854775807}"#,
            r#"{"n":-5000000000000000000,"path":"x"}"#,
        ][..],
    );
    let tool = prop::sample::select(&["s/r", "s/w", "t/e"][..]);
    let risk = prop::sample::select(&Risk::ALL[..]);
    (arguments, tool, risk, any::<bool>(), any::<bool>()).prop_map(
        |(arguments, tool, risk, other, pii)| {
            let registry = crate::world::registry(crate::world::WORLD);
            let mut given = Given::on(&registry, if other { "b" } else { "a" }, tool, arguments);
            given.task.risk = risk;
            given.task.labels = pii.then(|| "pii".parse().unwrap()).into_iter().collect();
            given
        },
    )
}

/// The plain request; the world of `world::WORLD` written out by hand.
struct Oracle {
    policies: PolicySet,
    entities: Entities,
    given: Given,
}

impl Oracle {
    fn new(policies: &[Generated], given: &Given) -> Self {
        let plain: String = policies.iter().map(Generated::plain).collect();
        Self {
            policies: PolicySet::from_str(&plain).unwrap(),
            entities: Entities::from_json_value(entities(), None).unwrap(),
            given: given.clone(),
        }
    }

    /// Whether Cedar allows with these tokens, and whether one of the forbids failed.
    fn allows(&self, discharged: &[&str]) -> (bool, bool) {
        let given = &self.given;
        let uid = |kind: &str, id: &str| {
            EntityUid::from_str(&format!("Bailiwick::{kind}::\"{id}\"")).unwrap()
        };
        let context = json!({"input": serde_json::from_str::<Value>(&given.arguments).unwrap(), "bw": facts(given, discharged)});
        let request = Request::new(
            uid("Agent", given.agent.name.as_str()),
            uid("Action", &given.tool.tool.to_string()),
            uid("Server", given.server.name.as_str()),
            Context::from_json_value(context, None).unwrap(),
            None,
        )
        .unwrap();
        let response = Authorizer::new().is_authorized(&request, &self.policies, &self.entities);
        let failed_forbid = response.diagnostics().errors().any(|error| {
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            let failed = self.policies.policy(error.policy_id()).unwrap();
            failed.effect() == cedar_policy::Effect::Forbid
        });
        (
            response.decision() == cedar_policy::Decision::Allow,
            failed_forbid,
        )
    }
}

fn entities() -> Value {
    let entity = |kind: &str, id: &str| json!({"type": format!("Bailiwick::{kind}"), "id": id});
    let reference = |kind: &str, id: &str| json!({"__entity": entity(kind, id)});
    let one = |uid: Value, attrs: Value, parents: Value| json!({"uid": uid, "attrs": attrs, "parents": parents});
    let group = |id: &str| entity("Action", id);
    let effect = |id: &str| one(group(id), json!({}), json!([group("use")]));
    let tool = |id: &str, parents: Value| one(group(id), json!({}), parents);
    json!([
        one(
            entity("Agent", "a"),
            json!({"owner": reference("Owner", "team"), "base_risk": 0}),
            json!([])
        ),
        one(
            entity("Agent", "b"),
            json!({"owner": reference("Owner", "other"), "base_risk": 1}),
            json!([])
        ),
        one(
            entity("Server", "s"),
            json!({"trust": "reviewed"}),
            json!([])
        ),
        one(
            entity("Server", "t"),
            json!({"trust": "unreviewed"}),
            json!([])
        ),
        effect("read"),
        effect("write"),
        effect("escalate"),
        tool("s/r", json!([group("read"), group("s")])),
        tool("s/w", json!([group("write"), group("s")])),
        tool("t/e", json!([group("escalate"), group("t")])),
    ])
}

fn facts(given: &Given, discharged: &[&str]) -> Value {
    let entity = |kind: &str, id: &str| json!({"__entity": {"type": format!("Bailiwick::{kind}"), "id": id}});
    let labels: Vec<&str> = given
        .task
        .labels
        .iter()
        .map(bailiwick_core::label::Label::as_str)
        .collect();
    json!({
        "user": entity("User", "user:test:alice"),
        "chain": [entity("Agent", given.agent.name.as_str())],
        "depth": 0,
        "effect": given.effect.as_str(),
        "task": {"stage": "run", "risk": given.task.risk.as_long(), "labels": labels},
        // Wednesday 2026-03-04, 05:06:07 UTC.
        "now": {"epoch_s": 1_772_600_767, "hour": 5, "weekday": 2},
        "discharged": discharged,
    })
}

fn subsets() -> impl Iterator<Item = Vec<&'static str>> {
    (0..1_usize << TOKENS.len()).map(|mask| {
        let inside = TOKENS
            .iter()
            .enumerate()
            .filter(move |(bit, _)| mask >> bit & 1 == 1);
        inside.map(|(_, token)| *token).collect()
    })
}

fn joined<'a>(one: &[&'a str], other: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    one.iter().copied().chain(other).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn every_subset_of_tokens_decides_as_plain_cedar(policies in prop::collection::vec(policy(), 1..8), given in given()) {
        let bundle = compile(&text(&policies)).unwrap();
        let oracle = Oracle::new(&policies, &given);
        for discharged in subsets() {
            let decision = given.clone().discharge(&discharged).decide(&bundle);
            let (allows, failed_forbid) = oracle.allows(&discharged);
            if failed_forbid {
                prop_assert_eq!(decision.outcome, Outcome::Deny);
                continue;
            }
            let all: Vec<&str> = TOKENS.iter().copied().filter(|token| token.starts_with("approval:")).collect();
            let (could, _) = oracle.allows(&joined(&discharged, all));
            let expected = match (allows, could) {
                (true, _) => Outcome::Allow,
                (false, true) => Outcome::StepUp,
                (false, false) => Outcome::Deny,
            };
            prop_assert_eq!(decision.outcome, expected, "{:?}", &discharged);
            if expected == Outcome::StepUp {
                // What it asks for is enough, and each part of it is needed.
                let needs = decision.needs.unwrap();
                let one = needs.any_of.first().map(String::as_str);
                let asked: Vec<&str> = needs.all_of.iter().map(String::as_str).chain(one).collect();
                prop_assert!(oracle.allows(&joined(&discharged, asked.iter().copied())).0);
                for token in &needs.all_of {
                    let rest = TOKENS.iter().copied().filter(|other| other != token && other.starts_with("approval:"));
                    prop_assert!(!oracle.allows(&joined(&discharged, rest)).0);
                }
            }
        }
    }
}
