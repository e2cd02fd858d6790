//! What of an earlier run of the node is kept at the start of the next one.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::instance::InstanceState;

use super::bench_authority::{Bench, found};
use crate::attest::{Waiting, start_time_of};
use crate::exits::channel;

/// A program that has stopped its launcher runs on over the restart, and so may an agent that nobody launched.
#[tokio::test]
async fn a_launched_instance_is_gone_at_start_though_its_process_runs() {
    let bench = Bench::new().await;
    bench.agent("editor", &["launcher:agent=editor"]).await;
    let pid = std::process::id();
    let pid_start = start_time_of(pid).unwrap();
    // A process is one instance: the launch has a child that waits for its input.
    let own = bench
        .authority
        .x509_svid(this_test(pid, pid_start))
        .await
        .unwrap();
    let own = own.0.instance.id;
    let mut child = std::process::Command::new("cat")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let waiting = Waiting {
        pid: child.id(),
        pid_start: start_time_of(child.id()).unwrap(),
        uid: 1000,
        gid: 1000,
    };
    let editor = "editor".parse().unwrap();
    let launched = bench
        .authority
        .launch(&editor, &waiting, "cat".to_owned())
        .await
        .unwrap();
    let launched = launched.instance.id;

    let store = bench.store.clone();
    let (watch, watcher) = channel();
    let (exited, mut ended) = tokio::sync::mpsc::channel(4);
    let running = tokio::spawn(watcher.run(Arc::new(bench.authority), exited));
    let first = tokio::time::timeout(Duration::from_mins(1), ended.recv()).await;
    assert_eq!(first.expect("nothing was ended"), Some(launched));
    assert!(child.try_wait().unwrap().is_none(), "its process runs on");
    let kept = store.read(move |rows| rows.instance(own)).await.unwrap();
    assert_eq!(kept.unwrap().state, InstanceState::Live);
    drop(watch);
    running.await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
}

fn this_test(pid: u32, pid_start: u64) -> crate::attest::Found {
    crate::attest::Found {
        pid_start,
        ..found(pid)
    }
}
