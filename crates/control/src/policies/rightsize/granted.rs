//! What is granted: the active bundle is asked about every tool, in each of the circumstances in which calls are on record.

use std::collections::BTreeMap;

use bailiwick_core::definition::Tool;
use bailiwick_core::name::{AgentName, ToolRef};
use bailiwick_policy::{Bundle, Reach, Recorded, Registry};
use bailiwick_posture::rightsize::{Granted, Place, Way};

/// Different circumstances of one place that are asked about; more are alike enough.
const MAX_CIRCUMSTANCES: usize = 64;

/// By place: the calls of tasks that policy could tell apart by something else than tool and arguments.
#[derive(Debug, Default)]
pub(super) struct Circumstances(BTreeMap<Place, BTreeMap<String, Recorded>>);

impl Circumstances {
    pub(super) fn add(&mut self, place: &Place, input: &Recorded) {
        let at = self.0.entry(place.clone()).or_default();
        let task = &input.task;
        let key = format!(
            "{} {} {:?} {} {:?} {:?}",
            input.agent, input.user, task.risk, task.depth, task.labels, task.requested_by
        );
        if at.len() < MAX_CIRCUMSTANCES && !at.contains_key(&key) {
            let kept = Recorded {
                arguments: "{}".to_owned(),
                discharged: Vec::new(),
                ..input.clone()
            };
            at.insert(key, kept);
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (place, theirs) in other.0 {
            let at = self.0.entry(place).or_default();
            for (key, input) in theirs {
                if at.len() < MAX_CIRCUMSTANCES {
                    at.entry(key).or_insert(input);
                }
            }
        }
    }
}

/// The tools that ceiling, stage and policy let through, with the widest answer of any circumstances.
pub(super) fn granted(
    bundle: &Bundle,
    registry: &Registry,
    circumstances: &Circumstances,
) -> BTreeMap<Place, BTreeMap<ToolRef, Granted>> {
    let by_place = circumstances.0.iter().map(|(place, circumstances)| {
        let tools = registry.tools.iter().filter_map(|tool| {
            if tool.state.refusal().is_some() || !in_stage(bundle, place, tool) {
                return None;
            }
            let ways = circumstances
                .values()
                .filter(|input| in_ceiling(registry, &input.agent, tool))
                .filter_map(|input| way(bundle, input, tool));
            let granted = Granted {
                effect: tool.effect,
                way: ways.max()?,
            };
            Some((tool.tool.clone(), granted))
        });
        (place.clone(), tools.collect())
    });
    by_place.collect()
}

fn way(bundle: &Bundle, input: &Recorded, tool: &Tool) -> Option<Way> {
    let asked = Recorded {
        tool: tool.tool.clone(),
        definition: tool.approved,
        effect: tool.effect,
        ..input.clone()
    };
    match bundle.reach(&asked) {
        Reach::Deny => None,
        Reach::StepUp => Some(Way::StepUp),
        Reach::Depends => Some(Way::Depends),
        Reach::Allow => Some(Way::Allow),
    }
}

fn in_ceiling(registry: &Registry, agent: &AgentName, tool: &Tool) -> bool {
    let (server, name) = (tool.tool.server.as_str(), tool.tool.tool.as_str());
    let agent = registry.agents.iter().find(|known| known.name == *agent);
    agent.is_some_and(|agent| agent.ceiling.names_tool(server, name, tool.effect))
}

fn in_stage(bundle: &Bundle, place: &Place, tool: &Tool) -> bool {
    let (server, name) = (tool.tool.server.as_str(), tool.tool.tool.as_str());
    let workflow = bundle.workflows().named(&place.workflow);
    let stage = workflow.and_then(|workflow| workflow.stage(&place.stage));
    stage.is_some_and(|stage| {
        let cap = stage.cap.as_ref();
        cap.is_none_or(|cap| cap.names_tool(server, name, tool.effect))
    })
}
