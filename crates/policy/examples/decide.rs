//! Measures one decision at 10 policies: `cargo run --release -p bailiwick-policy --example decide`. Prints p50 and p99 in
//! microseconds, with the JSON arguments read, the context built and the policies evaluated each time.

use std::hint::black_box;
use std::time::Instant;

use bailiwick_core::budget::Usage;
use bailiwick_core::chain::{Chain, Link};
use bailiwick_core::decision::{Outcome, Versions};
use bailiwick_core::id::TaskId;
use bailiwick_core::label::Labels;
use bailiwick_core::risk::Risk;
use bailiwick_core::scope::{Bounds, Draft};
use bailiwick_core::task::{Request, RequestSource, Task, TaskState};
use bailiwick_core::{Digest, Timestamp};
use bailiwick_policy::{Bundle, Input, fixtures, starter};

const ROUNDS: usize = 20_000;
const MORE: &str = r#"
@id("x1") @reason("r") forbid (principal, action in Bailiwick::Action::"write", resource) when { context.bw.task.risk >= 3 };
@id("x2") @reason("r") forbid (principal, action, resource) when { context.bw.task.labels.contains("secret") && context.bw.depth > 2 };
@id("x3") @reason("r") permit (principal == Bailiwick::Agent::"other", action, resource);
@id("x4") @reason("r") permit (principal, action in Bailiwick::Action::"read", resource) when { context.bw.task.stage == "plan" };
@id("x5") @reason("r") forbid (principal, action in Bailiwick::Action::"escalate", resource);
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut source = starter::demo();
    source
        .files
        .insert("more.cedar".to_owned(), MORE.to_owned());
    let registry = fixtures(&source)?;
    let bundle = Bundle::compile(&source, Digest([0; 32]), &registry)?;
    let wanted = |name: &str| {
        registry
            .tools
            .iter()
            .find(|tool| tool.tool.to_string() == name)
    };
    let (Some(agent), Some(server), Some(tool)) = (
        registry.agents.first(),
        registry.servers.first(),
        wanted("workspace/write_file"),
    ) else {
        return Err("the demo declares an agent, a server and a tool".into());
    };
    let now: Timestamp = "2026-03-04T05:06:07Z".parse()?;
    let scope: Draft =
        toml::from_str("[[grant]]\nserver = [\"*\"]\ntool = [\"*\"]\neffects = [\"write\"]\n")?;
    let task = Task {
        id: TaskId::from_bits(1),
        parent: None,
        ancestors: Vec::new(),
        agent: agent.name.clone(),
        instance: None,
        user: "user:test:alice".parse()?,
        user_pseudonym: "u1".to_owned(),
        request: Request {
            text: String::new(),
            source: RequestSource::User,
        },
        workflow: "default".parse()?,
        stage: "run".parse()?,
        scope: scope.fill(&Bounds::WIDEST)?,
        scope_digest: Digest([0; 32]),
        risk: Risk::Low,
        labels: Labels::default(),
        created_at: now,
        expires_at: now,
        state: TaskState::Open,
        born_seq: 0,
        version: 1,
    };
    let chain = Chain {
        user: task.user.clone(),
        root_born: 0,
        links: vec![Link {
            agent: agent.name.clone(),
            owner: agent.owner.clone(),
            instance: None,
            instance_born: 0,
            task: task.id,
        }],
    };
    let arguments = format!(
        r#"{{"path":"notes/plan.md","content":"{}"}}"#,
        "x".repeat(1_000)
    );
    let input = Input {
        agent,
        instance: None,
        chain: &chain,
        task: &task,
        server,
        tool,
        effect: tool.effect,
        arguments: &arguments,
        now,
        discharged: &[],
        performs: &[],
        usage: &Usage::default(),
        versions: Versions {
            bundle: None,
            task: 1,
            fence_seq: 0,
            replica_seq: 0,
        },
    };
    let mut nanos = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = now_for_measuring();
        let decision = black_box(bundle.decide(black_box(&input)));
        nanos.push(start.elapsed().as_nanos());
        if decision.outcome != Outcome::Allow {
            return Err(format!("unexpected: {decision:?}").into());
        }
    }
    nanos.sort_unstable();
    let at = |percent: usize| nanos.get(ROUNDS * percent / 100).copied().unwrap_or(0);
    let line = format!(
        "decide at {} policies, 1 KiB of arguments: p50 {} ns, p99 {} ns\n",
        bundle.policies().count(),
        at(50),
        at(99)
    );
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes())?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a measurement needs the clock; nothing is decided by it"
)]
fn now_for_measuring() -> Instant {
    Instant::now()
}
