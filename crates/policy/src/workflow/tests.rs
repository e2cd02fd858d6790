//! Which workflows are accepted, and where mistakes in others are placed.

use bailiwick_core::Effect;

use super::*;

fn read(text: &str) -> Result<Workflows, PolicyErrors> {
    Workflows::read(&BundleSource {
        files: [("workflows/w.toml".to_owned(), text.to_owned())].into(),
    })
}

const CODE_CHANGE: &str = r#"
name = "code-change"
[[stage]]
name = "plan"
[[stage.cap.grant]]
server = ["*"]
tool = ["*"]
effects = ["read"]
[[stage]]
name = "execute"
risk_floor = "medium"
[[transition]]
from = "plan"
to = "execute"
who = ["user", "operator"]
"#;

#[test]
fn a_workflow_says_who_may_move_a_task_on() {
    let workflows = read(CODE_CHANGE).unwrap();
    let workflow = workflows.named(&"code-change".parse().unwrap()).unwrap();
    let [plan, execute] = ["plan", "execute"].map(|name| name.parse::<StageName>().unwrap());
    assert_eq!(workflow.start().unwrap().name, plan);
    let cap = workflow.stage(&plan).unwrap().cap.as_ref().unwrap();
    assert!(
        cap.names_tool("any", "thing", Effect::Read)
            && !cap.names_tool("any", "thing", Effect::Write)
    );
    assert_eq!(workflow.stage(&execute).unwrap().risk_floor, Risk::Medium);
    assert!(workflow.allows(&plan, &execute, Who::User));
    assert!(!workflow.allows(&plan, &execute, Who::Agent));
    assert!(!workflow.allows(&execute, &plan, Who::Operator));
}

#[test]
fn the_default_workflow_has_one_stage_and_no_way_out() {
    let workflows = read("name = \"other\"\n[[stage]]\nname = \"only\"\n").unwrap();
    let default = workflows.named(&"default".parse().unwrap()).unwrap();
    assert_eq!(default.start().unwrap().name.as_str(), "run");
    assert!(default.transitions.is_empty() && default.stages.len() == 1);
}

#[test]
fn mistakes_are_placed() {
    let unknown = "name = \"w\"\n[[stage]]\nname = \"a\"\n[[transition]]\nfrom = \"a\"\nto = \"b\"\nwho = [\"agent\"]\n";
    let flaw = &read(unknown).unwrap_err().flaws[0];
    assert_eq!(
        (flaw.line, flaw.message.as_str()),
        (4, "there is no stage `b`")
    );
    let twice = "name = \"w\"\n[[stage]]\nname = \"a\"\n[[stage]]\nname = \"a\"\n";
    assert_eq!(
        read(twice).unwrap_err().flaws[0].message,
        "stage `a` is defined twice"
    );
    let typo = "name = \"w\"\n[[stage]]\nnane = \"a\"\n";
    assert_eq!(read(typo).unwrap_err().flaws[0].line, 3);
    assert!(read("name = \"w\"\nstage = []\n").is_err());
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    let told = |text: &str| -> Vec<(usize, String)> {
        let flaws = read(text).unwrap_err().flaws;
        flaws
            .into_iter()
            .map(|flaw| (flaw.line, flaw.message))
            .collect()
    };
    let meaning = r#"name = "w"
[[stage]]
name = "a"
[stage.cap]
grants = []
[[stage]]
name = "a"
[[transition]]
from = "b"
to = "c"
who = []
"#;
    let found = told(meaning);
    let messages: Vec<&str> = found.iter().map(|(_, message)| message.as_str()).collect();
    assert_eq!(found.len(), 5, "{messages:?}");
    for wanted in [
        "defined twice",
        "no stage `b`",
        "no stage `c`",
        "nobody may",
    ] {
        let told = messages.iter().filter(|message| message.contains(wanted));
        assert_eq!(told.count(), 1, "{wanted}: {messages:?}");
    }
    let shape = r#"name = "w"
[[stage]]
nane = "a"
[[stage]]
name = "b"
risk_floor = "huge"
[[transition]]
from = "a"
to = "b"
who = ["everybody"]
[[stage]]
name = "c"
"#;
    let lines: Vec<usize> = told(shape).into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, [3, 4, 7]);
    // What is no TOML has no items.
    assert_eq!(told("name = \"w\"\n[[stage]\n").len(), 1);
}
