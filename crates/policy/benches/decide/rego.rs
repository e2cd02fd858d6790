//! The other peer: the same policies as Rego, one rule each, to `regorus`'s interpreter: compiled ahead; per call the input from
//! JSON, and one rule asked. What Rego has no index for, it goes through.

use std::fmt::Write as _;

use anyhow::Result;
use regorus::{Engine, Value};
use serde_json::json;

use crate::world::{Caller, GENERAL_POLICIES, World};

/// At more policies than this it is not asked: it takes time that grows with the bundle, to load it and for each call.
pub(crate) const MOST_POLICIES: usize = 10_000;

const RULES_OF_A_FILE: usize = 1_000;
const HEAD: &str = "package bench\nimport rego.v1\n";

/// The demo's five policies and the five general ones of `world.rs`, rule for rule.
const GENERAL: &str = r#"package bench
import rego.v1

default allow := false
allow if { permit; not forbid }

permit if { input.effect == "read"; input.server == "workspace" }
permit if { input.action in {"workspace/write_file", "workspace/add_note"} }
permit if { input.action == "workspace/update_order" }
forbid if { input.server == "workspace"; secret }
secret if input.input.path == "secrets"
secret if startswith(input.input.path, "secrets/")
forbid if { input.server == "workspace"; odd }
odd if startswith(input.input.path, "/")
odd if contains(input.input.path, "..")
odd if startswith(input.input.path, "./")
odd if contains(input.input.path, "/./")
odd if contains(input.input.path, "//")
odd if contains(input.input.path, "\\")
forbid if { input.effect == "write"; input.bw.task.risk >= 3 }
forbid if { "secret" in input.bw.task.labels; input.bw.depth > 2 }
permit if { input.effect == "write"; input.bw.task.stage == "plan" }
permit if { input.principal == "other" }
forbid if { input.effect == "escalate" }
"#;

pub(crate) struct Rego {
    engine: Engine,
}

impl Rego {
    /// The policies of a world of this size.
    pub(crate) fn new(policies: usize) -> Result<Self> {
        let mut engine = Engine::new();
        let mut text = GENERAL.to_owned();
        for number in 0..policies.saturating_sub(GENERAL_POLICIES) {
            // It takes files of at most 1 MiB; rules of one name add up, whichever file they are in.
            if number % RULES_OF_A_FILE == RULES_OF_A_FILE - 1 {
                let file = std::mem::replace(&mut text, HEAD.to_owned());
                engine.add_policy(format!("bench{number}.rego"), file)?;
            }
            let agent = number / 2;
            if number % 2 == 0 {
                writeln!(
                    text,
                    "permit if {{ input.principal == \"a{agent}\"; input.action == \"workspace/write_file\"; startswith(input.input.path, \"a{agent}/\") }}"
                )?;
            } else {
                writeln!(
                    text,
                    "forbid if {{ input.principal == \"a{agent}\"; input.effect == \"write\"; input.bw.task.risk >= 2 }}"
                )?;
            }
        }
        engine.add_policy("bench.rego".to_owned(), text)?;
        Ok(Self { engine })
    }

    /// Whether it allows the call.
    pub(crate) fn allows(
        &mut self,
        world: &World,
        caller: &Caller,
        arguments: &str,
    ) -> Result<bool> {
        let task = &caller.task;
        let facts = json!({
            "principal": caller.agent.name.as_str(),
            "action": world.tool.tool.to_string(),
            "effect": world.tool.effect.as_str(),
            "server": world.server.name.as_str(),
            "bw": {
                "user": caller.chain.user.as_str(),
                "chain": [caller.agent.name.as_str()],
                "depth": 0,
                "task": {
                    "id": task.id.to_string(),
                    "workflow": task.workflow.as_str(),
                    "stage": task.stage.as_str(),
                    "risk": task.risk.as_long(),
                    "labels": [],
                    "age_s": 0, "calls": 0, "writes": 0, "escalations": 0,
                    "requested_by": "user",
                },
                "now": {"epoch_s": world.now.as_secs(), "hour": 5, "weekday": 2},
            },
            "input": serde_json::from_str::<serde_json::Value>(arguments)?,
        });
        self.engine
            .set_input(Value::from_json_str(&facts.to_string())?);
        let allowed = self.engine.eval_rule("data.bench.allow".to_owned())?;
        Ok(allowed == Value::Bool(true))
    }
}
