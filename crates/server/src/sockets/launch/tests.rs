//! Launchers that do not do their part.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::protocol::{Answer, Said};
use super::{kill, tell_within};

#[tokio::test]
async fn a_launcher_that_does_not_read_is_not_waited_for() {
    let (mut mouth, _never_read) = tokio::io::duplex(64);
    let cut = Answer::Cut(Said {
        code: "revoked".to_owned(),
        message: "x".repeat(1_000),
        help: String::new(),
    });
    let error = tell_within(Duration::from_millis(10), &mut mouth, &cut)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

#[test]
fn the_node_kills_what_a_launcher_does_not_end() {
    let mut program = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&program);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    kill(&pidfd, program.id());
    let status = program.wait().unwrap();
    assert_eq!(status.signal(), Some(9));
    // Once more is no harm, and hits nobody who has its number by then.
    kill(&pidfd, program.id());
}
