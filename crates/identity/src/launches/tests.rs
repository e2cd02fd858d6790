//! Whose processes are whose, on processes of this machine.

use std::process::{Command, Stdio};
use std::sync::Arc;

use bailiwick_core::id::{InstanceId, TaskId};
use bailiwick_crypto::system::{SystemClock, SystemRng};

use super::{Launch, Launches};
use crate::attest::{lineage, start_time_of};

fn launch() -> Launch {
    Launch {
        instance: InstanceId::new(&SystemClock, &SystemRng),
        task: TaskId::new(&SystemClock, &SystemRng),
        agent: "coder".parse().unwrap(),
    }
}

#[test]
fn what_descends_from_a_launcher_is_of_its_launch_and_the_launcher_is_not() {
    let me = (
        std::process::id(),
        start_time_of(std::process::id()).unwrap(),
    );
    let launches = Arc::new(Launches::default());
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let line = lineage(child.id()).unwrap();
    assert_eq!((line[0].0, line[1]), (child.id(), me));
    assert_eq!(launches.holding(&line), None);
    let launch = launch();
    let begun = launches.begin(me, launch.clone()).unwrap();
    assert_eq!(launches.holding(&line), Some(launch.clone()));
    assert_eq!(launches.holding(&line[1..]), None);
    // A process that got the number later is another one.
    assert_eq!(launches.holding(&[line[0], (me.0, me.1 + 1)]), None);
    assert!(launches.begin(me, launch).is_none());
    drop(begun);
    assert_eq!(launches.holding(&line), None);
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(lineage(child.id()), None);
}

#[test]
fn the_nearest_launcher_counts() {
    let launches = Arc::new(Launches::default());
    let (outer, inner) = (launch(), launch());
    let _outer = launches.begin((10, 1), outer.clone()).unwrap();
    let _inner = launches.begin((12, 1), inner.clone()).unwrap();
    let line = [(13, 1), (12, 1), (11, 1), (10, 1), (1, 0)];
    assert_eq!(launches.holding(&line), Some(inner));
    assert_eq!(launches.holding(&line[1..]), Some(outer));
}
