//! Random bundles and calls, and plain Cedar to hold our decisions against. Cedar's entities, context and request are built here
//! from JSON, through none of the product's code.
//!
//! Every subset of discharged tokens decides as Cedar's authorizer does on the rewritten bundle (03 of the design): a soft forbid
//! gains `unless { discharged }`, a soft permit `when { discharged }`. What our index finds is what Cedar finds by asking each
//! policy alone. `benches/equivalence` compares a million decisions, the tests some thousands.

use std::str::FromStr;

use bailiwick_core::Effect;
use bailiwick_core::decision::{Decision, Outcome};
use bailiwick_core::risk::Risk;
use cedar_policy::{Authorizer, Context, Entities, EntityUid, PolicySet, Request, Response};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};
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
    "principal in Bailiwick::Agent::\"b\"",
    "principal is Bailiwick::Agent",
    "principal is Bailiwick::Agent in Bailiwick::Agent::\"a\"",
];
const ACTIONS: &[&str] = &[
    "action",
    "action in Bailiwick::Action::\"use\"",
    "action in Bailiwick::Action::\"read\"",
    "action in Bailiwick::Action::\"s\"",
    "action == Bailiwick::Action::\"s/r\"",
    "action in Bailiwick::Action::\"t/e\"",
    "action in [Bailiwick::Action::\"write\", Bailiwick::Action::\"escalate\"]",
    "action in [Bailiwick::Action::\"s/w\", Bailiwick::Action::\"s\", Bailiwick::Action::\"read\"]",
];
const RESOURCES: &[&str] = &[
    "resource",
    "resource == Bailiwick::Server::\"s\"",
    "resource in Bailiwick::Server::\"s\"",
    "resource is Bailiwick::Server",
    "resource is Bailiwick::Server in Bailiwick::Server::\"t\"",
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
    let effect = prop::sample::select(&Effect::ALL[..]);
    (arguments, tool, risk, effect, any::<bool>(), any::<bool>()).prop_map(
        |(arguments, tool, risk, effect, other, pii)| {
            let registry = crate::world::registry(crate::world::WORLD);
            let mut given = Given::on(&registry, if other { "b" } else { "a" }, tool, arguments);
            given.task.risk = risk;
            given.task.labels = pii.then(|| "pii".parse().unwrap()).into_iter().collect();
            // A call may be raised above its tool.
            given.effect = given.effect.max(effect);
            given
        },
    )
}

/// A bundle as plain Cedar; the world of `world::WORLD` written out by hand.
struct Oracle {
    /// All policies, rewritten.
    rewritten: PolicySet,
    /// Each policy alone, as written.
    alone: Vec<PolicySet>,
}

/// One call as Cedar asks it.
struct Asked {
    given: Given,
    entities: Entities,
}

/// Compares our decisions on these calls, each with every subset of tokens ([`SUBSETS`]), to Cedar's; an error says where they
/// differ.
pub(crate) fn compare(policies: &[Generated], calls: &[Given]) -> Result<(), String> {
    let bundle = compile(&text(policies)).map_err(|errors| errors.to_string())?;
    let oracle = Oracle::new(policies);
    for given in calls {
        let asked = Asked::new(given);
        let (satisfied, failed) = oracle.each(&asked);
        for discharged in subsets() {
            let decision = given.clone().discharge(&discharged).decide(&bundle);
            let differs = |what: &str| format!("{what}: {policies:?} {given:?} {decision:?}");
            if decision.policies != satisfied {
                return Err(differs(&format!("Cedar satisfies {satisfied:?}")));
            }
            let reported = decision.reasons.iter();
            let reported = reported.filter(|reason| reason.reason.starts_with(NOT_EVALUATED));
            let mut reported: Vec<&str> = reported.map(|reason| reason.source.as_str()).collect();
            reported.sort_unstable();
            if reported != failed {
                return Err(differs(&format!("Cedar cannot evaluate {failed:?}")));
            }
            oracle
                .check(&asked, &discharged, &decision)
                .map_err(|what| differs(&what))?;
        }
    }
    Ok(())
}

/// Decisions that [`compare`] makes of each call.
pub(crate) const SUBSETS: usize = 1 << TOKENS.len();
const NOT_EVALUATED: &str = "this policy could not be evaluated";

impl Oracle {
    fn new(policies: &[Generated]) -> Self {
        let plain: String = policies.iter().map(Generated::plain).collect();
        let alone = policies
            .iter()
            .enumerate()
            .map(|(id, policy)| PolicySet::from_str(&policy.ours(id)).unwrap());
        Self {
            rewritten: PolicySet::from_str(&plain).unwrap(),
            alone: alone.collect(),
        }
    }

    /// Ids of the policies that are satisfied, and of those that fail; both sorted.
    fn each(&self, asked: &Asked) -> (Vec<String>, Vec<String>) {
        let (mut satisfied, mut failed) = (Vec::new(), Vec::new());
        for (id, policy) in self.alone.iter().enumerate() {
            let response = asked.ask(policy, &[]);
            if response.diagnostics().errors().next().is_some() {
                failed.push(format!("p{id}"));
            } else if response.diagnostics().reason().next().is_some() {
                satisfied.push(format!("p{id}"));
            }
        }
        // As text, so that p10 stands before p9.
        satisfied.sort_unstable();
        failed.sort_unstable();
        (satisfied, failed)
    }

    /// Whether Cedar allows with these tokens, and whether one of the forbids failed.
    fn allows(&self, asked: &Asked, discharged: &[&str]) -> (bool, bool) {
        let response = asked.ask(&self.rewritten, discharged);
        let failed_forbid = response.diagnostics().errors().any(|error| {
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            let failed = self.rewritten.policy(error.policy_id()).unwrap();
            failed.effect() == cedar_policy::Effect::Forbid
        });
        (
            response.decision() == cedar_policy::Decision::Allow,
            failed_forbid,
        )
    }

    fn check(&self, asked: &Asked, discharged: &[&str], decision: &Decision) -> Result<(), String> {
        let is_approval = |token: &&str| token.starts_with("approval:");
        let approvals = TOKENS.iter().copied().filter(is_approval);
        let (allows, failed_forbid) = self.allows(asked, discharged);
        let (could, _) = self.allows(asked, &joined(discharged, approvals.clone()));
        let expected = match (failed_forbid, allows, could) {
            (true, _, _) | (false, false, false) => Outcome::Deny,
            (false, true, _) => Outcome::Allow,
            (false, false, true) => Outcome::StepUp,
        };
        if decision.outcome != expected {
            return Err(format!("{expected:?} is right with {discharged:?}"));
        }
        if expected != Outcome::StepUp {
            return Ok(());
        }
        let needs = decision.needs.as_ref().ok_or("it needs nothing")?;
        let one = needs.any_of.first().map(String::as_str);
        let all: Vec<&str> = needs.all_of.iter().map(String::as_str).chain(one).collect();
        if !self.allows(asked, &joined(discharged, all)).0 {
            return Err("what it asks for is not enough".to_owned());
        }
        let in_vain = needs.all_of.iter().any(|token| {
            let rest = approvals.clone().filter(|other| other != token);
            self.allows(asked, &joined(discharged, rest)).0
        });
        if in_vain {
            return Err("it asks for more than is needed".to_owned());
        }
        Ok(())
    }
}

impl Asked {
    fn new(given: &Given) -> Self {
        Self {
            given: given.clone(),
            entities: Entities::from_json_value(entities(given.effect), None).unwrap(),
        }
    }

    fn ask(&self, policies: &PolicySet, discharged: &[&str]) -> Response {
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
        Authorizer::new().is_authorized(&request, policies, &self.entities)
    }
}

/// Each tool stands in the group of the call's effect, whatever its own.
fn entities(of_call: Effect) -> Value {
    let entity = |kind: &str, id: &str| json!({"type": format!("Bailiwick::{kind}"), "id": id});
    let reference = |kind: &str, id: &str| json!({"__entity": entity(kind, id)});
    let one = |uid: Value, attrs: Value, parents: Value| json!({"uid": uid, "attrs": attrs, "parents": parents});
    let group = |id: &str| entity("Action", id);
    let effect = |id: &str| one(group(id), json!({}), json!([group("use")]));
    let tool = |id: &str, server: &str| {
        let parents = json!([group(of_call.as_str()), group(server)]);
        one(group(id), json!({}), parents)
    };
    json!([
        one(
            entity("Agent", "a"),
            json!({"owner": reference("Owner", "team"), "base_risk": 0, "autonomous": false}),
            json!([])
        ),
        one(
            entity("Agent", "b"),
            json!({"owner": reference("Owner", "other"), "base_risk": 1, "autonomous": false}),
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
        tool("s/r", "s"),
        tool("s/w", "s"),
        tool("t/e", "t"),
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
    (0..SUBSETS).map(|mask| {
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
