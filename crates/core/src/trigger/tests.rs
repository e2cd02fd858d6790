//! Which changes take something away, and whom they concern.

use super::Trigger;
use crate::Digest;
use crate::change::ChangeBody;
use crate::name::AgentName;

#[test]
fn policy_concerns_everything_and_keys_nothing() {
    let policy = ChangeBody::Policy(Digest([1; 32]));
    assert_eq!(Trigger::of(&policy), Some(Trigger::Everything));
    assert_eq!(Trigger::of(&ChangeBody::TokenKeys("{}".to_owned())), None);
    let removed = ChangeBody::ToolRemoved("files/read".parse().unwrap());
    assert_eq!(
        Trigger::of(&removed),
        Some(Trigger::Tool("files/read".parse().unwrap()))
    );
}

#[test]
fn a_tool_reaches_its_own_calls_and_a_server_all_of_its() {
    let (files, other) = ("files".parse().unwrap(), "other".parse().unwrap());
    let tool = "files/read".parse().unwrap();
    let tools = Trigger::Tool("files/read".parse().unwrap());
    assert!(tools.reaches(&files, Some(&tool)) && !tools.reaches(&files, None));
    let server = Trigger::Server("files".parse().unwrap());
    assert!(server.reaches(&files, None) && !server.reaches(&other, Some(&tool)));
    let agent: AgentName = "coder".parse().unwrap();
    assert!(Trigger::Agent(agent).reaches(&other, None));
}
