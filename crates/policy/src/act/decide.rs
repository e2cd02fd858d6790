//! One act decided: the bundle's policies whose scope reaches it, and those that ship.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use bailiwick_core::decision::{Decision, Outcome};
use bailiwick_core::name::AgentName;
use bailiwick_core::{Code, Effect, Problem};
use cedar_policy_core::ast::{EntityUID, Request, Value};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;

use super::{Asked, BUILT_IN, Told};
use crate::annotation::duration;
use crate::bundle::Bundle;
use crate::call::{Setting, TaskFacts};
use crate::clause::Anchor;
use crate::context;
use crate::decide::{MAX_ARGUMENT_BYTES, MAX_CANDIDATES, Sorted, of};
use crate::forms::{Forms, TooMuchWork};
use crate::index::Keys;
use crate::load;
use crate::outcome::{Question, outcome};
use crate::parties::known;
use crate::rule::Rule;
use crate::source::BundleSource;
use crate::uid::uid;

/// None if they could not be read: then nothing that they permit is permitted.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let source = BundleSource {
        files: [("acts.cedar".to_owned(), BUILT_IN.to_owned())].into(),
    };
    let mut flaws = Vec::new();
    let rules = load::rules(&source, &mut flaws, &mut |_, _| {});
    if flaws.is_empty() { rules } else { Vec::new() }
});

impl Bundle {
    /// Decides one act. Pure, as [`Self::decide`] is. A step-up is for whoever asks to carry out: where nobody can be asked, it is a
    /// refusal.
    pub fn decide_act(&self, asked: &Asked<'_>) -> Decision {
        decide(self, asked, &[])
    }

    /// As [`Self::decide_act`], with tokens that an approval at hand discharges.
    pub fn decide_approved_act(&self, asked: &Asked<'_>, discharged: &[String]) -> Decision {
        decide(self, asked, discharged)
    }
}

fn decide(bundle: &Bundle, asked: &Asked<'_>, discharged: &[String]) -> Decision {
    let posed = match pose(bundle, asked) {
        Ok(posed) => posed,
        Err(refused) => return *refused,
    };
    let mut sorted = Sorted::default();
    for rule in posed.rules {
        if !rule.marks.observed {
            let verdict = posed.forms.verdict(rule, &posed.action, asked.now);
            sorted.put(rule, verdict);
        }
    }
    outcome(
        &sorted,
        &Question {
            discharged,
            performs: asked.performs,
            versions: asked.versions,
            what: &What(asked),
        },
    )
}

/// An act with the policies whose scope reaches it, and what they are asked with.
pub(crate) struct Posed<'a> {
    action: EntityUID,
    pub(crate) rules: Vec<&'a Rule>,
    pub(crate) forms: Forms<'a>,
}

/// Looks up what an act is asked with, or says why policies cannot be asked.
pub(crate) fn pose<'a>(bundle: &'a Bundle, asked: &Asked<'_>) -> Result<Posed<'a>, Box<Decision>> {
    let refuse = |code, reason: &str, fix: &str| {
        Box::new(Decision::refused(
            code,
            "policy",
            reason.to_owned(),
            fix.to_owned(),
            asked.versions,
        ))
    };
    let input = input(bundle, asked).ok_or_else(|| {
        let reason = format!(
            "what {} is asked with is not what policy knows of it",
            asked.act.as_str()
        );
        refuse(
            Code::PolicyError,
            &reason,
            "report this: it is a fault of Bailiwick",
        )
    })?;
    let texts = asked.input.iter().map(|(_, told)| match told {
        Told::Text(text) => text.len(),
        _ => 0,
    });
    let bytes = texts.sum();
    if bytes > MAX_ARGUMENT_BYTES {
        let reason = format!("policy looks at no more than {MAX_ARGUMENT_BYTES} bytes of this");
        return Err(refuse(Code::PolicyLimit, &reason, "ask for less at once"));
    }
    let (action, principal, resource) = parties(bundle, asked);
    if asked.act.principal() == "Agent" && !is_registered(bundle, asked.principal) {
        let reason = format!("policy does not know the agent `{}` yet", asked.principal);
        return Err(refuse(
            Code::PolicyError,
            &reason,
            "try again: policy follows the registry",
        ));
    }
    let candidates = bundle.index.candidates(
        &keys(bundle, &principal),
        &keys(bundle, &action),
        &keys(bundle, &resource),
    );
    if candidates.len() > MAX_CANDIDATES {
        let reason = format!("more than {MAX_CANDIDATES} policies reach this");
        return Err(refuse(
            Code::PolicyLimit,
            &reason,
            "narrow the scopes of policies",
        ));
    }
    let chain: Vec<&AgentName> = asked.chain.links.iter().map(|link| &link.agent).collect();
    let setting = Setting {
        user: &asked.chain.user,
        chain: &chain,
        task: TaskFacts::of(asked.task, asked.usage),
        now: asked.now,
        facts: asked.facts,
    };
    let world = bundle.world.of(Effect::Read);
    let ours = RULES.iter().filter(|rule| {
        let actions = &rule.clause.scope.actions;
        actions
            .iter()
            .any(|anchor| matches!(anchor, Anchor::Is(named) if **named == action))
    });
    let rules: Vec<_> = of(bundle, &candidates).chain(ours).collect();
    let forms = Forms::new(input, bytes, rules.iter().copied(), |input, _| {
        let request = Request::new_unchecked(
            known(&principal),
            known(&action),
            known(&resource),
            Some(context::of_act(&setting, input, bundle)),
        );
        Evaluator::new(request, world, Extensions::all_available())
    });
    let forms = forms.map_err(|TooMuchWork| {
        let reason = "the policies that reach this have too much to compare it with";
        refuse(Code::PolicyLimit, reason, "narrow the scopes of policies")
    })?;
    Ok(Posed {
        action,
        rules,
        forms,
    })
}

/// What to say of an act that may not be done. A step-up is one: nobody is asked about acts.
pub fn refusal(decision: &Decision) -> Option<Problem> {
    let code = match decision.outcome {
        Outcome::Allow => return None,
        Outcome::Deny | Outcome::StepUp => decision.code.unwrap_or(Code::NoPermit),
    };
    let reason = decision.reasons.first();
    let (message, help) = reason.map_or(("policy refuses this", ""), |reason| {
        (reason.reason.as_str(), reason.fix.as_str())
    });
    Some(Problem::new(code, message, help))
}

/// How long what is opened may live at most, where a duty of the decision says so (`max_ttl`).
pub fn max_ttl(decision: &Decision) -> Option<Duration> {
    let duties = decision
        .obligations
        .iter()
        .filter(|duty| duty.kind == "max_ttl");
    // A bound that cannot be read lets nothing live.
    duties
        .map(|duty| duration(&duty.argument).unwrap_or_default())
        .min()
}

/// In the words of a refusal.
struct What<'a>(&'a Asked<'a>);

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(asked) = self;
        write!(f, "{} to {}", asked.act.as_str(), asked.principal)
    }
}

fn parties(bundle: &Bundle, asked: &Asked<'_>) -> (EntityUID, EntityUID, EntityUID) {
    let types = &bundle.types;
    let principal = match asked.act.principal() {
        "User" => &types.user,
        _ => &types.agent,
    };
    let resource = match asked.act.resource() {
        "Credential" => &types.credential,
        "Item" => &types.item,
        "Server" => &types.server,
        _ => &types.task,
    };
    (
        types.action(asked.act.as_str()),
        uid(principal, asked.principal),
        uid(resource, asked.resource),
    )
}

fn is_registered(bundle: &Bundle, agent: &str) -> bool {
    let agent = agent.parse::<AgentName>();
    agent.is_ok_and(|agent| bundle.parties.agents.contains_key(&agent))
}

fn keys(bundle: &Bundle, uid: &EntityUID) -> Keys {
    crate::parties::keys(&bundle.index, uid, bundle.world.of(Effect::Read))
}

/// The input as the schema has it; none if it is another.
fn input(bundle: &Bundle, asked: &Asked<'_>) -> Option<Value> {
    let told_of = |name: &str| {
        let told = asked.input.iter().chain(asked.act.defaults());
        told.into_iter().find(|(told, _)| *told == name)
    };
    let members = asked.act.input();
    let known = |(name, _): &(&str, Told<'_>)| members.iter().any(|(known, _)| known == name);
    let fits = asked.input.iter().all(known)
        && members
            .iter()
            .all(|(name, kind)| told_of(name).is_some_and(|(_, told)| told.kind() == *kind));
    let types = &bundle.types;
    let value = |told: &Told<'_>| match *told {
        Told::Text(text) => text.into(),
        Told::Number(number) => context::long(number),
        Told::Agent(agent) => uid(&types.agent, agent.as_str()).into(),
        Told::Flag(flag) => flag.into(),
        Told::Server(server) => uid(&types.server, server.as_str()).into(),
        Told::NoServer => uid(&types.server, "").into(),
    };
    fits.then(|| {
        let told = members.iter().filter_map(|(name, _)| told_of(name));
        let members = told.map(|(name, told)| (*name, value(told)));
        Value::record(members, None)
    })
}
