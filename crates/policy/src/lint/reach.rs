//! Policies that reach no tool, more than they can be meant to, or only what others decide anyway.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use bailiwick_core::Effect;
use cedar_policy_core::ast::EntityUID;

use super::{Found, Subject};
use crate::act::Act;
use crate::annotation::Token;
use crate::clause::{Anchor, Scope};
use crate::flaw::FlawCode;
use crate::rule::Rule;
use crate::uid::{USE, uid};
use crate::work::path;

pub(super) fn lint(subject: &Subject<'_>, found: &mut Found) {
    broad(subject, found);
    escalations(subject, found);
    shadowed(subject, found);
    unattested(subject, found);
}

/// Permits that say nothing of agent, tool or user.
fn broad(subject: &Subject<'_>, found: &mut Found) {
    let everything = subject.types.action(USE);
    for rule in subject.rules.iter().filter(|rule| is_hard_permit(rule)) {
        let scope = &rule.clause.scope;
        let any_action = scope.actions.iter().any(|action| match action {
            Anchor::Any => true,
            Anchor::In(group) => **group == everything,
            Anchor::Is(_) => false,
        });
        let unconditional = rule.conjuncts().next().is_none();
        if any_action
            && unconditional
            && scope.principal.anchor == Anchor::Any
            && scope.resource.anchor == Anchor::Any
        {
            let message = format!(
                "policy `{}` permits everything to every agent",
                rule.marks.id
            );
            let help = "name the agent, the tools or their effect, or the user";
            found.warn(subject.at(rule, message, FlawCode::Broad).help(help));
        }
    }
}

/// Permits of escalations that nobody looks at.
fn escalations(subject: &Subject<'_>, found: &mut Found) {
    let group = subject.types.action(Effect::Escalate.as_str());
    let everything = subject.types.action(USE);
    let reaches = |action: &Anchor| match action {
        Anchor::Any => true,
        Anchor::In(uid) => **uid == group || **uid == everything,
        Anchor::Is(uid) => subject.registry.tools.iter().any(|tool| {
            tool.effect == Effect::Escalate && subject.types.action(&tool.tool.to_string()) == **uid
        }),
    };
    let guarded = subject.rules.iter().any(|rule| {
        !rule.is_permit()
            && !rule.marks.observed
            && matches!(rule.marks.token, None | Some(Token::Approval(_)))
            && rule.conjuncts().next().is_none()
            && rule.clause.scope.principal.anchor == Anchor::Any
            && rule.clause.scope.resource.anchor == Anchor::Any
            && rule.clause.scope.actions.iter().any(|action| match action {
                Anchor::Any => true,
                Anchor::In(uid) => **uid == group || **uid == everything,
                Anchor::Is(_) => false,
            })
    });
    if guarded {
        return;
    }
    for rule in subject.rules.iter().filter(|rule| is_hard_permit(rule)) {
        let staged = rule.conjuncts().any(|conjunct| {
            conjunct
                .expression
                .subexpressions()
                .any(|part| path(part).is_some_and(|path| path == ["bw", "task", "stage"]))
        });
        if !staged && rule.clause.scope.actions.iter().any(reaches) {
            let message = format!("policy `{}` lets escalations run unseen", rule.marks.id);
            let help = "give it a @step_up or a stage, or add a forbid on Action::\"escalate\" with @step_up";
            found.warn(subject.at(rule, message, FlawCode::Escalation).help(help));
        }
    }
}

/// Policies that others without any condition decide before them, and policies that reach no tool.
fn shadowed(subject: &Subject<'_>, found: &mut Found) {
    let scopes = Scopes::new(subject);
    let mut general: HashMap<&Anchor, Vec<(&Rule, &BTreeSet<usize>)>> = HashMap::new();
    // Many policies have the same action and resource: agents are what a bundle grows by.
    let mut known: HashMap<(&[Anchor], &Anchor), Rc<BTreeSet<usize>>> = HashMap::new();
    let reached: Vec<Rc<BTreeSet<usize>>> = subject
        .rules
        .iter()
        .map(|rule| {
            let scope = &rule.clause.scope;
            let tools = known
                .entry((&scope.actions, &scope.resource.anchor))
                .or_insert_with(|| Rc::new(scopes.reached(scope)));
            Rc::clone(tools)
        })
        .collect();
    for (rule, tools) in subject.rules.iter().zip(&reached) {
        let unconditional = rule.conjuncts().next().is_none() && rule.marks.expires.is_none();
        if unconditional && rule.marks.token.is_none() && !rule.marks.observed {
            general
                .entry(&rule.clause.scope.principal.anchor)
                .or_default()
                .push((rule, tools));
        }
    }
    let own_effect: BTreeSet<usize> = (0..)
        .zip(&subject.registry.tools)
        .map(|(number, tool): (usize, _)| number * Effect::ALL.len() + tool.effect as usize)
        .collect();
    // What is about built-in actions as well is not judged by the tools that it reaches.
    let about_tools = subject.rules.iter().zip(&reached);
    for (rule, tools) in about_tools.filter(|(rule, _)| !names_act(rule)) {
        if !subject.registry.tools.is_empty() && tools.is_empty() {
            let message = format!(
                "policy `{}` reaches no tool that is registered",
                rule.marks.id
            );
            let help = "check the action and the resource: they must be of the same server";
            found.warn(
                subject
                    .at(rule, message, FlawCode::ReachesNothing)
                    .help(help),
            );
            continue;
        }
        if tools.is_empty() {
            continue;
        }
        let own = &rule.clause.scope.principal;
        let above = [&Anchor::Any, &own.anchor];
        let by = above
            .into_iter()
            .take(if own.anchor == Anchor::Any { 1 } else { 2 })
            .filter_map(|anchor| general.get(anchor))
            .flatten()
            .find(|(other, reached)| {
                other.marks.id != rule.marks.id
                    && other.clause.scope.principal.kind.is_none()
                    && shadows(other, rule)
                    && covers(other, tools, reached, &own_effect)
            });
        let Some((by, _)) = by else { continue };
        let (message, help) = if by.is_permit() {
            let message = format!(
                "policy `{}` never asks: policy `{}` permits the same without",
                rule.marks.id, by.marks.id
            );
            (message, "narrow the other, or put the @step_up on a forbid")
        } else {
            let message = format!(
                "policy `{}` changes nothing: policy `{}` forbids all that it is about",
                rule.marks.id, by.marks.id
            );
            (message, "remove it, or narrow the forbid")
        };
        found.warn(subject.at(rule, message, FlawCode::Shadowed).help(help));
    }
}

/// Whether a policy that reaches `all` reaches these: of a permit, as long as no call is raised above its tool.
fn covers(
    by: &Rule,
    these: &BTreeSet<usize>,
    all: &BTreeSet<usize>,
    own_effect: &BTreeSet<usize>,
) -> bool {
    these
        .iter()
        .filter(|number| !by.is_permit() || own_effect.contains(number))
        .all(|number| all.contains(number))
}

/// Whether `by`, which has no conditions, leaves nothing for `rule` to decide where both apply.
fn shadows(by: &Rule, rule: &Rule) -> bool {
    if by.is_permit() {
        // A hard permit sheds the question of a soft one.
        rule.is_permit() && matches!(rule.marks.token, Some(Token::Approval(_)))
    } else {
        rule.is_permit()
    }
}

/// Which tools, by number, a scope reaches, each with all the effects that a call of it can have.
struct Scopes {
    by_action: HashMap<EntityUID, BTreeSet<usize>>,
    by_server: HashMap<EntityUID, BTreeSet<usize>>,
    all: BTreeSet<usize>,
}

impl Scopes {
    /// Three numbers for each tool: as it is called as read, as write, as escalation.
    fn new(subject: &Subject<'_>) -> Self {
        let mut scopes = Self {
            by_action: HashMap::new(),
            by_server: HashMap::new(),
            all: BTreeSet::new(),
        };
        for (number, tool) in subject.registry.tools.iter().enumerate() {
            let server = tool.tool.server.as_str();
            for (offset, effect) in Effect::ALL.into_iter().enumerate() {
                if effect < tool.effect {
                    continue;
                }
                let number = number * Effect::ALL.len() + offset;
                scopes.all.insert(number);
                let name = tool.tool.to_string();
                let groups = subject.manifest.groups(&tool.tool, effect);
                let groups = groups.chain([USE, name.as_str()]);
                for group in groups {
                    let action = subject.types.action(group);
                    scopes.by_action.entry(action).or_default().insert(number);
                }
                let declared = subject.manifest.servers.get(&tool.tool.server);
                let groups = declared.into_iter().flat_map(|declared| &declared.groups);
                let above = groups.map(|group| uid(&subject.types.server_group, group.as_str()));
                for server in above.chain([uid(&subject.types.server, server)]) {
                    scopes.by_server.entry(server).or_default().insert(number);
                }
            }
        }
        scopes
    }

    fn reached(&self, scope: &Scope) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        for action in &scope.actions {
            match action {
                Anchor::Any => reached.extend(&self.all),
                Anchor::Is(uid) | Anchor::In(uid) => {
                    reached.extend(self.by_action.get(&**uid).into_iter().flatten());
                }
            }
        }
        match &scope.resource.anchor {
            Anchor::Any => {}
            Anchor::Is(uid) | Anchor::In(uid) => {
                let at = self.by_server.get(&**uid);
                reached.retain(|number| at.is_some_and(|at| at.contains(number)));
            }
        }
        reached
    }
}

/// Permits that reach an agent whose processes nothing tells apart from others.
fn unattested(subject: &Subject<'_>, found: &mut Found) {
    let unattested: Vec<&str> = subject
        .registry
        .agents
        .iter()
        .filter(|agent| agent.enabled && agent.selectors.is_empty() && agent.version > 0)
        .map(|agent| agent.name.as_str())
        .collect();
    let Some(first) = unattested.first() else {
        return;
    };
    for rule in subject.rules.iter().filter(|rule| rule.is_permit()) {
        let named = match &rule.clause.scope.principal.anchor {
            Anchor::Any => Some(*first),
            Anchor::Is(uid) | Anchor::In(uid) => {
                let id: &str = uid.eid().as_ref();
                unattested.iter().copied().find(|name| *name == id)
            }
        };
        if let Some(agent) = named {
            let message = format!(
                "policy `{}` reaches agent {agent}, which has no selectors: no process can be told to be it",
                rule.marks.id
            );
            let help = "give the agent selectors, or name other agents";
            found.warn(subject.at(rule, message, FlawCode::Unattested).help(help));
            // Once is enough: it is the agent that wants mending.
            return;
        }
    }
}

fn names_act(rule: &Rule) -> bool {
    rule.clause.scope.actions.iter().any(|action| match action {
        Anchor::Any => false,
        Anchor::Is(uid) | Anchor::In(uid) => Act::named(uid.eid().as_ref()).is_some(),
    })
}

fn is_hard_permit(rule: &Rule) -> bool {
    rule.is_permit() && rule.marks.token.is_none() && !rule.marks.observed
}
