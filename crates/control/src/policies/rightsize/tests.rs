//! What counts as granted and as used, and that a proof falls with the first call that comes out otherwise.

use bailiwick_core::Timestamp;
use bailiwick_core::budget::Usage as Budgeted;
use bailiwick_core::decision::Versions;
use bailiwick_core::label::Labels;
use bailiwick_core::risk::Risk;
use bailiwick_core::task::RequestSource;
use bailiwick_policy::{
    Bundle, Facts, Recorded, RecordedTask, Registry, Terms as Decided, starter,
};
use bailiwick_posture::rightsize::Way;

use super::granted::{Circumstances, granted};
use super::proof::Proof;
use super::*;

const AGENT: &str = "demo-agent";

fn subject() -> Subject {
    Subject::Agent(AGENT.parse().unwrap())
}

fn registry() -> Registry {
    bailiwick_policy::fixtures(&starter::demo()).unwrap()
}

fn compiled(source: &BundleSource) -> Bundle {
    let digest = sha256(&[&source.canonical()]);
    Bundle::compile(source, digest, &registry()).unwrap()
}

fn call(tool: &str, arguments: &str) -> Past {
    let registry = registry();
    let tool: ToolRef = tool.parse().unwrap();
    let row = registry.tools.iter().find(|row| row.tool == tool).unwrap();
    let input = Recorded {
        agent: AGENT.parse().unwrap(),
        definition: row.approved,
        effect: row.effect,
        tool,
        arguments: arguments.to_owned(),
        user: "user:local:anna".parse().unwrap(),
        chain: vec![AGENT.parse().unwrap()],
        task: RecordedTask {
            id: "task_00000000000000000000000000".parse().unwrap(),
            workflow: "default".parse().unwrap(),
            stage: "run".parse().unwrap(),
            risk: Risk::default(),
            labels: Labels::default(),
            created_at: Timestamp::default(),
            depth: 0,
            requested_by: RequestSource::User,
            usage: Budgeted::default(),
        },
        now: Timestamp::default(),
        discharged: Vec::new(),
        performs: Vec::new(),
        facts: Facts::default(),
        versions: Versions {
            bundle: None,
            task: 1,
            fence_seq: 0,
            replica_seq: 0,
        },
    };
    Past {
        event: "evt_00000000000000000000000000".to_owned(),
        was: Decided {
            outcome: Outcome::Allow,
            obligations: Vec::new(),
        },
        input,
    }
}

/// The demo's policy without one tool.
fn without_reading() -> BundleSource {
    let mut source = starter::demo();
    let forbid = r#"@id("t/no")
@reason("x")
forbid (principal, action == Bailiwick::Action::"workspace/read_file", resource);
"#;
    source.files.insert("t.cedar".to_owned(), forbid.to_owned());
    source
}

fn proof(candidate: &Bundle, standing: &Bundle) -> Proof {
    let mut proof = Proof {
        decisions: 1,
        complete: true,
        ..Proof::default()
    };
    let made = call("workspace/read_file", r#"{"path":"a"}"#);
    proof.decision(made, (standing, candidate), (&subject(), None));
    proof
}

#[test]
fn one_call_that_comes_out_otherwise_is_a_counter_example() {
    let (standing, narrower) = (compiled(&starter::demo()), compiled(&without_reading()));
    let same = proof(&standing, &standing);
    assert!(same.holds(), "{same:?}");
    let broken = proof(&narrower, &standing);
    assert!(!broken.holds(), "{broken:?}");
    assert_eq!(broken.differs.groups[0].examples[0].sources, ["t/no"]);
    // What the active bundle denies by now is not held against the proposal.
    let already = proof(&narrower, &narrower);
    assert!(already.holds() && already.already == 1, "{already:?}");
}

#[test]
fn a_proof_of_little_or_of_nothing_is_none() {
    let standing = compiled(&starter::demo());
    let held = proof(&standing, &standing);
    for weaker in [
        Proof {
            allowed: 0,
            ..held.clone()
        },
        Proof {
            decisions: 2,
            unkept: 1,
            ..held.clone()
        },
        Proof {
            complete: false,
            ..held.clone()
        },
        Proof {
            outside_scope: 1,
            ..held.clone()
        },
    ] {
        assert!(!weaker.holds(), "{weaker:?}");
    }
    let narrow =
        serde_json::json!({"grants": [{"server": ["other"], "tool": ["*"], "effects": ["read"]}]});
    let narrow: Draft = serde_json::from_value(narrow).unwrap();
    let narrow = narrow.fill(&bailiwick_core::scope::Bounds::WIDEST).unwrap();
    let mut outside = Proof::default();
    let made = call("workspace/read_file", r#"{"path":"a"}"#);
    outside.decision(made, (&standing, &standing), (&subject(), Some(&narrow)));
    assert_eq!(outside.outside_scope, 1);
}

#[test]
fn granted_is_what_ceiling_stage_and_policy_let_through_in_recorded_circumstances() {
    let place = place_of(&call("workspace/read_file", "{}"));
    let mut circumstances = Circumstances::default();
    circumstances.add(&place, &call("workspace/read_file", "{}").input);
    let bundle = compiled(&starter::demo());
    let ways = |registry: &Registry| -> Vec<(String, Way)> {
        let all = granted(&bundle, registry, &circumstances);
        let tools = all.into_values().flatten();
        tools
            .map(|(tool, granted)| (tool.tool.to_string(), granted.way))
            .collect()
    };
    assert_eq!(
        ways(&registry()),
        [
            ("add_note".to_owned(), Way::Allow),
            ("read_file".to_owned(), Way::Depends),
            ("update_order".to_owned(), Way::StepUp),
            ("write_file".to_owned(), Way::Depends)
        ]
    );
    // An agent whose ceiling names reads alone has been granted no write, whatever policy permits.
    let mut narrow = registry();
    let reads =
        serde_json::json!({"grants": [{"server": ["*"], "tool": ["*"], "effects": ["read"]}]});
    let reads: Draft = serde_json::from_value(reads).unwrap();
    narrow.agents[0].ceiling = reads.fill(&bailiwick_core::scope::Bounds::WIDEST).unwrap();
    assert_eq!(ways(&narrow), [("read_file".to_owned(), Way::Depends)]);
    assert!(granted(&bundle, &narrow, &Circumstances::default()).is_empty());
}

#[test]
fn the_guard_takes_a_free_name_and_the_bundle_stays_as_it_is() {
    let mut part = Part::default();
    let made = call("workspace/read_file", r#"{"path":"a"}"#);
    part.usage.used(
        &place_of(&made),
        made.input.task.id,
        (&made.input.tool, made.input.effect),
        made.input.now,
    );
    part.usage.ended(made.input.task.id);
    part.circumstances.add(&place_of(&made), &made.input);
    let bundle = compiled(&starter::demo());
    let granted = granted(&bundle, &registry(), &part.circumstances);
    let terms = Terms::USUAL.after_tasks(1).over_days(0);
    let proposal = propose(
        &part.usage,
        &granted,
        &BTreeSet::new(),
        &terms,
        made.input.now,
    );
    let (first, source) = candidate(&subject(), &proposal, starter::demo()).unwrap();
    assert_eq!(first.path, "rightsize/agent-demo-agent-1.cedar");
    let (second, both) = candidate(&subject(), &proposal, source).unwrap();
    assert_eq!(second.path, "rightsize/agent-demo-agent-2.cedar");
    // Both hold side by side, and what the demo promises still compiles.
    let both = compiled(&both);
    assert!(proof(&both, &bundle).holds());
    let write = call("workspace/add_note", r#"{"title":"a","body":"b"}"#);
    let mut removed = Proof::default();
    removed.decision(write, (&bundle, &both), (&subject(), None));
    assert_eq!(removed.differs.differing(), 1, "{removed:?}");
    let kept: Vec<ToolRef> = proposal.kept.iter().map(|kept| kept.tool.clone()).collect();
    assert_eq!(kept, [made.input.tool]);
    assert!(scope(&proposal).is_some());
}
