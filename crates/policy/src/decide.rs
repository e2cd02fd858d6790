//! Three values from a two-valued language: the five steps of 03 of the design.
//!
//! H = satisfied hard forbids, S = tokens of satisfied soft forbids, P = satisfied hard permits, Q = tokens of satisfied soft
//! permits, D = discharged tokens. The result does not depend on the order of policies and is monotone in D.

use bailiwick_core::decision::{Decision, Needs, Outcome, Reason};
use bailiwick_core::{Code, Fault};
use cedar_policy_core::ast::{Request, Value};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;

use crate::annotation::Token;
use crate::arguments;
use crate::bundle::Bundle;
use crate::clause::Verdict;
use crate::context;
use crate::duty;
use crate::explain;
use crate::input::Input;
use crate::parties::{CompiledTool, Party, known};
use crate::rule::Rule;
use crate::work::MAX_WORK;

/// Arguments longer than this many bytes are a deny.
pub const MAX_ARGUMENT_BYTES: usize = arguments::LIMITS.bytes;
/// Arguments nested deeper than this are a deny.
pub const MAX_ARGUMENT_DEPTH: usize = arguments::LIMITS.depth;
/// More policies than this whose scope reaches one call are a deny.
pub const MAX_CANDIDATES: usize = 4_096;

/// The policies whose scope reaches a call, by what their bodies say.
#[derive(Default)]
pub(crate) struct Sorted<'a> {
    pub(crate) forbids: Vec<&'a Rule>,
    pub(crate) soft_forbids: Vec<&'a Rule>,
    pub(crate) permits: Vec<&'a Rule>,
    pub(crate) soft_permits: Vec<&'a Rule>,
    pub(crate) failed_forbids: Vec<&'a Rule>,
    pub(crate) failed_permits: Vec<&'a Rule>,
    pub(crate) unsatisfied_permits: Vec<&'a Rule>,
}

/// Decides one call.
pub(crate) fn decide(bundle: &Bundle, input: &Input<'_>) -> Decision {
    let known = match Known::new(bundle, input) {
        Ok(known) => known,
        Err(missing) => return refuse(input, Code::PolicyError, missing, RETRY),
    };
    let arguments = match arguments::read(input.arguments, &known.tool.arguments, &bundle.opaque) {
        Ok(arguments) => arguments,
        Err(error) => return refuse(input, error.code(), error.to_string(), &error.help()),
    };
    let candidates = known.candidates(bundle, input);
    if candidates.len() > MAX_CANDIDATES {
        let message = format!("more than {MAX_CANDIDATES} policies reach this call");
        return refuse(
            input,
            Code::PolicyLimit,
            message,
            "narrow the scopes of policies",
        );
    }
    let work =
        of(bundle, &candidates).map(|rule| rule.work.with(&arguments, input.arguments.len()));
    if work.fold(0, u64::saturating_add) > MAX_WORK {
        let message =
            "the policies that reach this call have too much to compare its arguments with";
        return refuse(
            input,
            Code::PolicyLimit,
            message.to_owned(),
            "send shorter arguments, or narrow the scopes of policies",
        );
    }
    let evaluator = known.evaluator(bundle, input, Some(arguments));
    let mut sorted = Sorted::default();
    for rule in of(bundle, &candidates) {
        sorted.put(
            rule,
            rule.verdict(&known.tool.action, input.now, &evaluator),
        );
    }
    let mut decision = outcome(&sorted, input);
    if decision.outcome != Outcome::Allow {
        decision.would_allow = explain::would_allow(&sorted, &decision, input, &evaluator);
    }
    decision
}

/// Whether no hard forbid applies whatever the arguments: evaluated without them, a condition on arguments fails.
pub(crate) fn preview(bundle: &Bundle, input: &Input<'_>) -> bool {
    let Ok(known) = Known::new(bundle, input) else {
        return false;
    };
    let candidates = known.candidates(bundle, input);
    let evaluator = known.evaluator(bundle, input, None);
    !of(bundle, &candidates)
        .filter(|rule| !rule.is_permit() && rule.marks.token.is_none())
        .any(|rule| rule.verdict(&known.tool.action, input.now, &evaluator) == Verdict::Satisfied)
}

const RETRY: &str =
    "try again: the policy is compiled anew after each change of agents, servers and tools";

/// The parties of a call, all known to the registry that the bundle was compiled for.
struct Known<'a> {
    tool: &'a CompiledTool,
    principal: &'a Party,
    resource: &'a Party,
}

impl<'a> Known<'a> {
    fn new(bundle: &'a Bundle, input: &Input<'_>) -> Result<Self, String> {
        let parties = &bundle.parties;
        let name = &input.tool.tool;
        let tool = parties.tools.get(name);
        let tool = tool.ok_or_else(|| format!("policy does not know the tool `{name}` yet"))?;
        if tool.approved != input.tool.approved {
            return Err(format!(
                "policy was compiled for another definition of `{name}`"
            ));
        }
        let (agent, server) = (&input.agent.name, &input.server.name);
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
    fn candidates(&self, bundle: &Bundle, input: &Input<'_>) -> Vec<u32> {
        let action = self.tool.keys.of(input.effect);
        bundle
            .index
            .candidates(&self.principal.keys, action, &self.resource.keys)
    }

    fn evaluator<'b>(
        &self,
        bundle: &'b Bundle,
        input: &Input<'_>,
        arguments: Option<Value>,
    ) -> Evaluator<'b> {
        let request = Request::new_unchecked(
            known(&self.principal.uid),
            known(&self.tool.action),
            known(&self.resource.uid),
            Some(context::build(input, arguments, &bundle.types)),
        );
        Evaluator::new(
            request,
            bundle.world.of(input.effect),
            Extensions::all_available(),
        )
    }
}

/// The rules with these numbers.
fn of<'a>(bundle: &'a Bundle, candidates: &[u32]) -> impl Iterator<Item = &'a Rule> {
    candidates
        .iter()
        .filter_map(|&number| bundle.rules.get(number as usize))
}

impl<'a> Sorted<'a> {
    fn put(&mut self, rule: &'a Rule, verdict: Verdict) {
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

    /// Ids of all satisfied policies, sorted.
    fn satisfied(&self) -> Vec<String> {
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

fn outcome(sorted: &Sorted<'_>, input: &Input<'_>) -> Decision {
    let mut decision = Decision {
        outcome: Outcome::Deny,
        code: None,
        reasons: Vec::new(),
        policies: sorted.satisfied(),
        obligations: Vec::new(),
        needs: None,
        would_allow: Vec::new(),
        versions: input.versions,
    };
    let failed = sorted.failed_forbids.iter().chain(&sorted.failed_permits);
    let failed: Vec<Reason> = failed.map(|rule| not_evaluated(rule)).collect();
    let discharged = |rule: &Rule| match &rule.marks.token {
        Some(Token::Approval(token)) => input.discharged.contains(token),
        Some(Token::Duty(duty)) => {
            input.performs.contains(&duty.kind.as_str())
                || input
                    .discharged
                    .iter()
                    .any(|token| duty::is_token(duty, token))
        }
        None => false,
    };
    // Step 1: a forbid that fails could have forbidden the call.
    if !sorted.forbids.is_empty() || !sorted.failed_forbids.is_empty() {
        decision.code = Some(if sorted.forbids.is_empty() {
            Code::PolicyError
        } else {
            Code::Forbidden
        });
        decision.reasons = reasons(&sorted.forbids);
        decision.reasons.extend(failed);
        return decision;
    }
    // Step 2.
    if sorted.permits.is_empty() && sorted.soft_permits.is_empty() {
        decision.code = Some(Code::NoPermit);
        decision.reasons = vec![no_permit(input)];
        decision.reasons.extend(failed);
        return decision;
    }
    // Step 3: S without D that nobody performs.
    let is_approval = |rule: &&Rule| matches!(rule.marks.token, Some(Token::Approval(_)));
    let open: Vec<&Rule> = sorted
        .soft_forbids
        .iter()
        .copied()
        .filter(|rule| !discharged(rule))
        .collect();
    let unsupported: Vec<&Rule> = open
        .iter()
        .copied()
        .filter(|rule| !is_approval(rule))
        .collect();
    if !unsupported.is_empty() {
        decision.code = Some(Code::UnsupportedObligation);
        decision.reasons = reasons(&unsupported);
        decision.reasons.extend(failed);
        return decision;
    }
    // Step 4.
    let permitted =
        !sorted.permits.is_empty() || sorted.soft_permits.iter().any(|rule| discharged(rule));
    let any_of: &[&Rule] = if permitted { &[] } else { &sorted.soft_permits };
    if !open.is_empty() || !any_of.is_empty() {
        decision.outcome = Outcome::StepUp;
        decision.code = Some(Code::StepUpRequired);
        decision.reasons = reasons(&open);
        decision.reasons.extend(reasons(any_of));
        decision.needs = needs(&open, any_of);
    } else {
        // Step 5. `needs` says which approvals the allow counts on, and how many people they must come from.
        let used = sorted
            .soft_forbids
            .iter()
            .copied()
            .filter(is_approval)
            .collect::<Vec<_>>();
        let opened: Vec<&Rule> = if sorted.permits.is_empty() {
            sorted
                .soft_permits
                .iter()
                .copied()
                .filter(|rule| discharged(rule))
                .collect()
        } else {
            Vec::new()
        };
        decision.outcome = Outcome::Allow;
        decision.needs = needs(&used, &opened);
        decision.obligations =
            duty::strictest(sorted.soft_forbids.iter().filter_map(
                |rule| match &rule.marks.token {
                    Some(Token::Duty(duty)) => Some(duty),
                    _ => None,
                },
            ));
    }
    decision.reasons.extend(failed);
    decision
}

fn needs(all_of: &[&Rule], any_of: &[&Rule]) -> Option<Needs> {
    let tokens = |rules: &[&Rule]| {
        let tokens = rules
            .iter()
            .filter_map(|rule| rule.marks.token.as_ref().map(Token::text));
        let mut tokens: Vec<String> = tokens.collect();
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    };
    let both = || all_of.iter().chain(any_of);
    Some(Needs {
        all_of: tokens(all_of),
        any_of: tokens(any_of),
        quorum: both().map(|rule| rule.marks.quorum).max()?,
        valid_s: both().map(|rule| rule.marks.valid_s).min()?,
    })
}

fn reasons(rules: &[&Rule]) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = rules
        .iter()
        .map(|rule| Reason {
            source: rule.marks.id.clone(),
            reason: rule.marks.reason.clone(),
            fix: rule.marks.fix.clone(),
        })
        .collect();
    reasons.sort_unstable_by(|a, b| a.source.cmp(&b.source));
    reasons
}

fn not_evaluated(rule: &Rule) -> Reason {
    let counts = if rule.is_permit() {
        "so it does not count"
    } else {
        "so it counts as forbidding"
    };
    Reason {
        source: rule.marks.id.clone(),
        reason: format!("this policy could not be evaluated for the call, {counts}"),
        fix: "run `bailiwick policy check` and correct the policy".to_owned(),
    }
}

fn no_permit(input: &Input<'_>) -> Reason {
    Reason {
        source: "policy".to_owned(),
        reason: format!(
            "no policy permits {} ({}) to agent {} in stage {}",
            input.tool.tool, input.effect, input.agent.name, input.task.stage
        ),
        fix: "ask for a policy that permits it, or do without".to_owned(),
    }
}

fn refuse(input: &Input<'_>, code: Code, reason: String, fix: &str) -> Decision {
    Decision::refused(code, "policy", reason, fix.to_owned(), input.versions)
}
