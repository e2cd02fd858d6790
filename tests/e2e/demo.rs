//! `bailiwick demo`, as a newcomer runs it: eight steps on real parts, all of which must have behaved.

use serde_json::Value;

use crate::harness::node::{bailiwick, run};

#[test]
fn every_step_of_the_demo_behaves() {
    let home = tempfile::tempdir().unwrap();
    let mut command = bailiwick(&["demo", "--auto", "--no-wait", "--output", "json"]);
    command.env("TMPDIR", home.path());
    let ran = run(&mut command, "");
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    let steps: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let steps: Vec<&Value> = steps
        .iter()
        .filter(|line| line.get("step").is_some())
        .collect();
    assert_eq!(steps.len(), 8, "{}", ran.stdout);
    assert!(
        steps.iter().all(|step| step["passed"] == true),
        "{}",
        ran.stdout
    );
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
    assert!(left.is_empty(), "the demo left something behind: {left:?}");
}
