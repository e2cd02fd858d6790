//! Observing ends by itself.

use super::*;

#[test]
fn it_is_enforced_unless_said_otherwise_and_again_when_the_time_is_over() {
    let at = Timestamp::from_secs;
    assert!(!Rollout::default().observes(at(0)));
    let rollout = Rollout {
        observe: Some(Observe {
            until: at(100),
            since: at(1),
            by: "uid:0".to_owned(),
            reason: "trial".to_owned(),
        }),
        ..Rollout::default()
    };
    assert!(rollout.observes(at(99)));
    assert!(!rollout.observes(at(100)));
    let stored = serde_json::to_string(&rollout).unwrap();
    assert_eq!(serde_json::from_str::<Rollout>(&stored).unwrap(), rollout);
    assert_eq!(
        serde_json::from_str::<Rollout>(r#"{"version":0}"#).unwrap(),
        Rollout::default()
    );
}
