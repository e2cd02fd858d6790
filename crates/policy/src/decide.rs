//! One decision: what policy must know of the call, the policies that its scope reaches, and what their bodies say. What
//! follows from that is [`outcome`]'s.
//!
//! A policy in observe mode is asked as any other and enforced by none: it only shows in [`Decision::would_be`].

use bailiwick_core::decision::{Decision, WouldBe};
use bailiwick_core::{Code, Fault};
use cedar_policy_core::ast::{Request, Value};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;

use crate::arguments;
use crate::bundle::Bundle;
use crate::call::Call;
use crate::clause::Verdict;
use crate::context;
use crate::forms::{Forms, TooMuchWork};
use crate::outcome::outcome;
use crate::parties::{CompiledTool, Party, known};
use crate::rule::Rule;
use crate::sample;

/// Arguments longer than this many bytes are a deny.
pub const MAX_ARGUMENT_BYTES: usize = arguments::LIMITS.bytes;
/// Arguments nested deeper than this are a deny.
pub const MAX_ARGUMENT_DEPTH: usize = arguments::LIMITS.depth;
/// More policies than this whose scope reaches one call are a deny.
pub const MAX_CANDIDATES: usize = 4_096;

/// Source of the reason when a call that was found in two ways was found in two places: whoever decides raises an alarm.
pub const DIVERGED: &str = "index";

/// The policies whose scope reaches a call, by what their bodies say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sorted<'a> {
    pub(crate) forbids: Vec<&'a Rule>,
    pub(crate) soft_forbids: Vec<&'a Rule>,
    pub(crate) permits: Vec<&'a Rule>,
    pub(crate) soft_permits: Vec<&'a Rule>,
    pub(crate) failed_forbids: Vec<&'a Rule>,
    pub(crate) failed_permits: Vec<&'a Rule>,
    pub(crate) unsatisfied_permits: Vec<&'a Rule>,
}

/// What the policies say to a call, and what they were asked with.
pub(crate) struct Weighed<'a> {
    pub(crate) sorted: Sorted<'a>,
    /// Without what would change it.
    pub(crate) decision: Decision,
    pub(crate) forms: Forms<'a>,
}

/// Why the policies cannot be asked.
pub(crate) enum Unasked {
    /// The bundle was compiled for a registry that does not know the call.
    Unknown(Unknown),
    /// The arguments do not fit, or something is over a bound.
    Refused(Box<Decision>),
}

/// What of a call the registry does not know.
#[derive(Debug)]
pub(crate) struct Unknown(pub(crate) String);

/// Decides one call. What would change the decision is for who asks for an explanation: to look for it takes up to
/// thirty decisions, which an agent could have made for the price of one refusal.
pub(crate) fn decide(bundle: &Bundle, call: &Call<'_>) -> Decision {
    judge(bundle, call).unwrap_or_else(|Unknown(what)| refuse(call, Code::PolicyError, what, RETRY))
}

/// Decides one call that the registry knows, without what would change the decision: for comparing many.
pub(crate) fn judge(bundle: &Bundle, call: &Call<'_>) -> Result<Decision, Unknown> {
    match weigh(bundle, call) {
        Ok(weighed) => Ok(weighed.decision),
        Err(Unasked::Refused(decision)) => Ok(*decision),
        Err(Unasked::Unknown(unknown)) => Err(unknown),
    }
}

/// Asks every policy whose scope reaches the call.
pub(crate) fn weigh<'a>(bundle: &'a Bundle, call: &Call<'_>) -> Result<Weighed<'a>, Unasked> {
    let refuse =
        |code, reason, fix: &str| Unasked::Refused(Box::new(refuse(call, code, reason, fix)));
    let known = Known::new(bundle, call).map_err(|what| Unasked::Unknown(Unknown(what)))?;
    let arguments = arguments::read(call.arguments, &known.tool.arguments, &bundle.opaque)
        .map_err(|error| refuse(error.code(), error.to_string(), &error.help()))?;
    let candidates = known.candidates(bundle, call);
    if sample::is_sampled(call) {
        let parties = (
            &known.principal.uid,
            &known.tool.action,
            &known.resource.uid,
        );
        if sample::reached(bundle, call, parties) != candidates {
            let decision = Decision::refused(
                Code::PolicyError,
                DIVERGED,
                "the index of policies does not find what the policies say, so it is not trusted"
                    .to_owned(),
                "restart the node, and report this with the bundle: it is a fault of Bailiwick"
                    .to_owned(),
                call.versions,
            );
            return Err(Unasked::Refused(Box::new(decision)));
        }
    }
    if candidates.len() > MAX_CANDIDATES {
        let message = format!("more than {MAX_CANDIDATES} policies reach this call");
        let fix = "narrow the scopes of policies";
        return Err(refuse(Code::PolicyLimit, message, fix));
    }
    let rules = of(bundle, &candidates);
    let forms = Forms::new(
        arguments,
        call.arguments.len(),
        rules,
        |arguments, folded| {
            if !folded {
                return known.evaluator(bundle, call, Some(arguments));
            }
            let facts = &call.facts.folded();
            known.evaluator(bundle, &Call { facts, ..*call }, Some(arguments))
        },
    );
    let forms = forms.map_err(|TooMuchWork| {
        let message =
            "the policies that reach this call have too much to compare its arguments with";
        let fix = "send shorter arguments, or narrow the scopes of policies";
        refuse(Code::PolicyLimit, message.to_owned(), fix)
    })?;
    let mut sorted = Sorted::default();
    let mut observed = Vec::new();
    for rule in of(bundle, &candidates) {
        let verdict = forms.verdict(rule, &known.tool.action, call.now);
        if rule.marks.observed {
            observed.push((rule, verdict));
        } else {
            sorted.put(rule, verdict);
        }
    }
    let mut decision = outcome(&sorted, &call.question());
    if !observed.is_empty() {
        let mut all = sorted.clone();
        for (rule, verdict) in observed {
            all.put(rule, verdict);
        }
        decision.would_be = would_be(&decision, outcome(&all, &call.question()));
    }
    Ok(Weighed {
        sorted,
        decision,
        forms,
    })
}

/// What would be decided if the policies in observe mode were enforced, if that is something else.
fn would_be(enforced: &Decision, all: Decision) -> Option<Box<WouldBe>> {
    let differs = enforced.outcome != all.outcome
        || enforced.obligations != all.obligations
        || enforced.needs != all.needs;
    differs.then(|| {
        Box::new(WouldBe {
            outcome: all.outcome,
            code: all.code,
            reasons: all.reasons,
            policies: all.policies,
            obligations: all.obligations,
            needs: all.needs,
        })
    })
}

/// Whether no hard forbid applies whatever the arguments: evaluated without them, a condition on arguments fails.
pub(crate) fn preview(bundle: &Bundle, call: &Call<'_>) -> bool {
    let Ok(known) = Known::new(bundle, call) else {
        return false;
    };
    let candidates = known.candidates(bundle, call);
    let evaluator = known.evaluator(bundle, call, None);
    !of(bundle, &candidates)
        .filter(|rule| !rule.is_permit() && rule.marks.token.is_none() && !rule.marks.observed)
        .any(|rule| rule.verdict(&known.tool.action, call.now, &evaluator) == Verdict::Satisfied)
}

const RETRY: &str =
    "try again: the policy is compiled anew after each change of agents, servers and tools";

/// The parties of a call, all known to the registry that the bundle was compiled for.
pub(crate) struct Known<'a> {
    pub(crate) tool: &'a CompiledTool,
    principal: &'a Party,
    resource: &'a Party,
}

impl<'a> Known<'a> {
    pub(crate) fn new(bundle: &'a Bundle, call: &Call<'_>) -> Result<Self, String> {
        let parties = &bundle.parties;
        let name = call.tool;
        let tool = parties.tools.get(name);
        let tool = tool.ok_or_else(|| format!("policy does not know the tool `{name}` yet"))?;
        if tool.approved != call.definition {
            return Err(format!(
                "policy was compiled for another definition of `{name}`"
            ));
        }
        let (agent, server) = (call.agent, call.server);
        let principal = parties.agents.get(agent);
        let resource = parties.servers.get(server);
        let known = Self {
            tool,
            principal: principal
                .ok_or_else(|| format!("policy does not know the agent `{agent}` yet"))?,
            resource: resource
                .ok_or_else(|| format!("policy does not know the server `{server}` yet"))?,
        };
        if *server == name.server {
            Ok(known)
        } else {
            Err(format!("`{name}` is not a tool of server `{server}`"))
        }
    }

    /// Numbers of the rules whose scope reaches the call, in order of id.
    pub(crate) fn candidates(&self, bundle: &Bundle, call: &Call<'_>) -> Vec<u32> {
        let action = self.tool.keys.of(call.effect);
        bundle
            .index
            .candidates(&self.principal.keys, action, &self.resource.keys)
    }

    pub(crate) fn evaluator<'b>(
        &self,
        bundle: &'b Bundle,
        call: &Call<'_>,
        arguments: Option<Value>,
    ) -> Evaluator<'b> {
        let request = Request::new_unchecked(
            known(&self.principal.uid),
            known(&self.tool.action),
            known(&self.resource.uid),
            Some(context::of_call(call, arguments, bundle)),
        );
        Evaluator::new(
            request,
            bundle.world.of(call.effect),
            Extensions::all_available(),
        )
    }
}

/// The rules with these numbers.
pub(crate) fn of<'a>(bundle: &'a Bundle, candidates: &[u32]) -> impl Iterator<Item = &'a Rule> {
    candidates
        .iter()
        .filter_map(|&number| bundle.rules.get(number as usize))
}

impl<'a> Sorted<'a> {
    pub(crate) fn put(&mut self, rule: &'a Rule, verdict: Verdict) {
        let soft = rule.marks.token.is_some();
        let list = match (verdict, rule.is_permit()) {
            (Verdict::Satisfied, false) if soft => &mut self.soft_forbids,
            (Verdict::Satisfied, false) => &mut self.forbids,
            (Verdict::Satisfied, true) if soft => &mut self.soft_permits,
            (Verdict::Satisfied, true) => &mut self.permits,
            (Verdict::Failed, false) => &mut self.failed_forbids,
            (Verdict::Failed, true) => &mut self.failed_permits,
            (Verdict::NotSatisfied, true) => &mut self.unsatisfied_permits,
            (Verdict::NotSatisfied, false) => return,
        };
        list.push(rule);
    }

    /// How many there are, but for forbids that are not satisfied.
    pub(crate) fn len(&self) -> usize {
        self.forbids.len()
            + self.soft_forbids.len()
            + self.permits.len()
            + self.soft_permits.len()
            + self.failed_forbids.len()
            + self.failed_permits.len()
            + self.unsatisfied_permits.len()
    }

    /// Ids of all satisfied policies, sorted.
    pub(crate) fn satisfied(&self) -> Vec<String> {
        let lists = [
            &self.forbids,
            &self.soft_forbids,
            &self.permits,
            &self.soft_permits,
        ];
        let mut ids: Vec<String> = lists
            .into_iter()
            .flatten()
            .map(|rule| rule.marks.id.clone())
            .collect();
        ids.sort_unstable();
        ids
    }
}

fn refuse(call: &Call<'_>, code: Code, reason: String, fix: &str) -> Decision {
    Decision::refused(code, "policy", reason, fix.to_owned(), call.versions)
}
