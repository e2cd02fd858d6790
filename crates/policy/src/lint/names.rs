//! Agents, owners, servers and groups that policies name and that are not there.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_core::binding::WHOLE;
use cedar_policy_core::ast::{EntityUID, ExprKind, Literal};

use super::{Found, Subject};
use crate::clause::Anchor;
use crate::flaw::{Flaw, FlawCode};
use crate::nearest::nearest;
use crate::rule::Rule;

/// Of unknown names, at most so many are compared with all that are known.
const MAX_SUGGESTIONS: usize = 64;
/// Names shorter than this are not taken for misspelt ones.
const MIN_MISSPELT: usize = 4;

/// Agents, owners and servers that the registry does not have. A name that is one letter off is refused; another may yet be
/// registered.
pub(super) fn lint(subject: &Subject<'_>, found: &mut Found) {
    let known = Names::new(subject);
    let mut looked_up: BTreeMap<String, Option<String>> = BTreeMap::new();
    for rule in subject.rules {
        for named in named(rule) {
            if let Some(flaw) = item(subject, rule, &named, &known) {
                found.warn(flaw);
                continue;
            }
            let kind = named.entity_type().to_string();
            let Some(known) = known.of(&kind) else {
                continue;
            };
            let id: &str = named.eid().as_ref();
            if known.is_empty() && !kind.ends_with("Group") || known.contains(id) {
                continue;
            }
            let suggestion = if looked_up.len() < MAX_SUGGESTIONS {
                looked_up
                    .entry(named.to_string())
                    .or_insert_with(|| misspelt(id, known))
                    .clone()
            } else {
                None
            };
            let message = format!("policy `{}`: there is no `{named}`", rule.marks.id);
            let flaw = subject.at(rule, message, FlawCode::UnknownName);
            match suggestion {
                // Groups are the bundle's own: there is nobody else who could yet make one.
                _ if kind.ends_with("Group") => {
                    let near = nearest(id, known.iter().copied(), 2);
                    found.error(flaw.help(near.map_or_else(
                        || "bundle.toml says who is in a group: groups = [\"…\"]".to_owned(),
                        |near| format!("did you mean \"{near}\"?"),
                    )));
                }
                Some(known) => found.error(flaw.help(format!("did you mean \"{known}\"?"))),
                None => found.warn(flaw.help("it holds for nobody until that is registered")),
            }
        }
    }
}

/// An item of a server that nobody registered, or of a kind that nothing there tells. A host is named without a server.
fn item(subject: &Subject<'_>, rule: &Rule, named: &EntityUID, known: &Names<'_>) -> Option<Flaw> {
    if named.entity_type().to_string() != "Bailiwick::Item" {
        return None;
    }
    let id: &str = named.eid().as_ref();
    let (server, rest) = id.split_once('/')?;
    let kind = rest.split_once('/').map_or(rest, |(kind, _)| kind);
    let message = format!("policy `{}`: there is no `{named}`", rule.marks.id);
    let flaw = subject.at(rule, message, FlawCode::UnknownName);
    if !known.servers.contains(server) {
        let near = nearest(server, known.servers.iter().copied(), 2);
        let help = near.map_or_else(
            || "an item is named \"<server>/<kind>/<name>\"; no call is about it until the server is registered".to_owned(),
            |near| format!("did you mean \"{near}/{rest}\"?"),
        );
        return Some(flaw.help(help));
    }
    let tools = subject.registry.tools.iter();
    let of_server = tools.filter(|tool| tool.tool.server.as_str() == server);
    let items = of_server.flat_map(|tool| &tool.binding.items);
    let told = items.filter(|item| item.answer.is_none());
    let mut kinds: BTreeSet<&str> = told.map(|item| item.kind.as_str()).collect();
    kinds.insert(WHOLE);
    if kinds.contains(kind) {
        return None;
    }
    let kinds: Vec<&str> = kinds.into_iter().collect();
    let help = format!(
        "calls of {server} are about these kinds: {}; bailiwick tool bind says what arguments name",
        kinds.join(", ")
    );
    Some(flaw.help(help))
}

/// The known name that this one is a slip of.
fn misspelt(id: &str, known: &BTreeSet<&str>) -> Option<String> {
    let without_digits =
        |name: &str| -> String { name.chars().filter(|c| !c.is_ascii_digit()).collect() };
    let near = nearest(id, known.iter().copied(), 2)?;
    // Names that are numbered differ by a digit on purpose.
    (id.len() >= MIN_MISSPELT && without_digits(id) != without_digits(near))
        .then(|| near.to_owned())
}

struct Names<'a> {
    agents: BTreeSet<&'a str>,
    owners: BTreeSet<&'a str>,
    servers: BTreeSet<&'a str>,
    agent_groups: BTreeSet<&'a str>,
    server_groups: BTreeSet<&'a str>,
    credential_groups: BTreeSet<&'a str>,
    groups: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    fn new(subject: &'a Subject<'_>) -> Self {
        let registry = subject.registry;
        let of_tools = registry.tools.iter().map(|tool| tool.tool.server.as_str());
        Self {
            agents: registry
                .agents
                .iter()
                .map(|one| one.name.as_str())
                .collect(),
            owners: registry
                .agents
                .iter()
                .map(|one| one.owner.as_str())
                .collect(),
            servers: registry
                .servers
                .iter()
                .map(|one| one.name.as_str())
                .chain(of_tools)
                .collect(),
            agent_groups: subject.manifest.agent_groups(),
            server_groups: subject.manifest.server_groups(),
            credential_groups: subject.manifest.credential_groups(),
            groups: subject.manifest.user_groups(),
        }
    }

    fn of(&self, kind: &str) -> Option<&BTreeSet<&'a str>> {
        match kind {
            "Bailiwick::Agent" => Some(&self.agents),
            "Bailiwick::Owner" => Some(&self.owners),
            "Bailiwick::Server" => Some(&self.servers),
            "Bailiwick::AgentGroup" => Some(&self.agent_groups),
            "Bailiwick::ServerGroup" => Some(&self.server_groups),
            "Bailiwick::CredentialGroup" => Some(&self.credential_groups),
            "Bailiwick::Group" => Some(&self.groups),
            _ => None,
        }
    }
}

/// Every entity that the rule names.
fn named(rule: &Rule) -> BTreeSet<EntityUID> {
    let scope = &rule.clause.scope;
    let anchors = [&scope.principal.anchor, &scope.resource.anchor].into_iter();
    let mut named: BTreeSet<EntityUID> = anchors
        .filter_map(|anchor| match anchor {
            Anchor::Any => None,
            Anchor::Is(uid) | Anchor::In(uid) => Some((**uid).clone()),
        })
        .collect();
    if let Some(body) = &rule.clause.body {
        named.extend(
            body.subexpressions()
                .filter_map(|part| match part.expr_kind() {
                    ExprKind::Lit(Literal::EntityUID(uid)) => Some((**uid).clone()),
                    _ => None,
                }),
        );
    }
    named
}
