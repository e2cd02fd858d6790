//! Witnesses: ours in every answer of its protocol, beside one that others wrote, and a node whose log both vouch for.

use std::path::Path;

use bailiwick_core::Clock as _;
use bailiwick_crypto::system::SystemClock;
use serde_json::{Value, json};

use crate::audit_chain::log_of;
use crate::bad_config::serve;
use crate::harness::node::{Ran, bailiwick, config_of, run};
use crate::harness::witness::{Forked, Witness};
use crate::harness::{DEADLINE, Node, deps};

#[test]
fn every_answer_of_the_protocol() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("witness");
    let log = Forked::new("logs.example/a");
    let witness = Witness::ours(&state, "witness.example/w1", &log.vkey());
    let add = |request: &str| witness.add(request.as_bytes());
    let good = log.request(0, 5, "true").to_string();

    assert_eq!(witness.shows(log.origin()).status, 404);
    let unknown = Forked::new("logs.example/b");
    assert_eq!(add(&unknown.request(0, 5, "true").to_string()).status, 404);
    assert_eq!(add(&good.replacen("\n5\n", "\n6\n", 1)).status, 403);
    for bad in [
        "",
        "old 0\n",
        &good.replacen("old 0", "old 00", 1),
        &good.replacen("old 0", "old 9", 1),
    ] {
        assert_eq!(add(bad).status, 400, "{bad:?}");
    }
    assert_eq!(add(&format!("{good}{}", "x".repeat(64 << 10))).status, 413);
    assert_eq!(witness.shows(log.origin()).status, 404);

    let cosigned = add(&good).expect(200).text();
    assert!(
        cosigned.starts_with("— witness.example/w1 ") && cosigned.ends_with('\n'),
        "{cosigned}"
    );
    let shown = witness.shows(log.origin()).expect(200).text();
    assert!(shown.ends_with(&cosigned), "{shown}");

    let conflict = add(&log.request(0, 6, "true").to_string());
    assert_eq!(conflict.header("content-type"), Some("text/x.tlog.size"));
    assert_eq!((conflict.status, conflict.text().as_str()), (409, "5\n"));
    assert_eq!(add(&log.request(5, 6, "other").to_string()).status, 422);
    add(&log.request(5, 70, "true").to_string()).expect(200);
}

#[test]
fn what_was_cosigned_outlives_a_kill_and_forks_are_kept() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("witness");
    let log = Forked::new("logs.example/a");
    let mut size = 0;
    let mut vkey = None;
    for step in [1_u64, 3, 200, 1_000] {
        let mut witness = Witness::ours(&state, "witness.example/w1", &log.vkey());
        assert_eq!(*vkey.get_or_insert(witness.vkey.clone()), witness.vkey);
        let request = log.request(size, size + step, "true").to_string();
        witness.add(request.as_bytes()).expect(200);
        size += step;
        witness.process.signal(rustix::process::Signal::KILL);
        witness.process.wait();
    }
    let witness = Witness::ours(&state, "witness.example/w1", &log.vkey());
    let older = witness.add(log.request(0, 3, "true").to_string().as_bytes());
    assert_eq!((older.status, older.text()), (409, format!("{size}\n")));
    let fork = log.request(size, size, "other").to_string();
    assert_eq!(witness.add(fork.as_bytes()).status, 422);
    let kept: Vec<String> = crate::audit_chain::files(&state)
        .iter()
        .filter(|file| file.display().to_string().ends_with(".request"))
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    assert_eq!(kept, [fork]);

    // One state, one witness; and a state without its key is nobody's.
    let start = || {
        let mut command = bailiwick(&[
            "witness",
            "--name",
            "witness.example/w1",
            "--listen",
            "127.0.0.1:0",
        ]);
        run(
            command
                .arg("--state")
                .arg(&state)
                .args(["--log", &log.vkey()]),
            "",
        )
    };
    let second = start();
    assert!(
        second.code != Some(0) && second.stderr.contains("another witness"),
        "{second:?}"
    );
    drop(witness);
    std::fs::remove_file(state.join("witness.key")).unwrap();
    let lost = start();
    assert!(
        lost.code != Some(0) && lost.stderr.contains("witness.key"),
        "{lost:?}"
    );
}

#[test]
fn a_split_view_is_refused_by_our_witness_and_by_another() {
    let home = tempfile::tempdir().unwrap();
    let log = Forked::new("logs.example/a");
    let witnesses = [
        Witness::ours(&home.path().join("ours"), "witness.example/w1", &log.vkey()),
        Witness::aics(&home.path().join("aics"), "witness.example/w2", &log.vkey()),
    ];
    // Status of each answer to the same requests, in order.
    for (witness, name) in witnesses.iter().zip(["ours", "aics-witness"]) {
        let answers: Vec<(u16, String)> = [
            log.request(0, 300, "true"),
            log.request(300, 300, "other"),
            log.request(300, 400, "other"),
            log.request(0, 400, "other"),
            log.request(0, 200, "true"),
            log.request(300, 400, "true"),
        ]
        .iter()
        .map(|request| {
            let answer = witness.add(request.to_string().as_bytes());
            (answer.status, answer.text())
        })
        .collect();
        let statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
        assert_eq!(
            statuses,
            [200, 422, 422, 409, 409, 200],
            "{name}: {answers:?}"
        );
        assert_eq!(
            (answers[3].1.as_str(), answers[4].1.as_str()),
            ("300\n", "300\n"),
            "{name}"
        );
    }
}

/// Checks a log with what two witnesses said of it.
fn verify(node: &Node, log: &Path, more: &[&str]) -> Ran {
    let mut command = bailiwick(&[
        "audit",
        "verify",
        "--output",
        "json",
        "--vkey",
        node.ready("log_vkey"),
    ]);
    run(command.args(more).arg(log), "")
}

/// What `GET /v1/audit/log` says once the log is witnessed as far as it is published.
fn witnessed(node: &Node) -> Value {
    let until = SystemClock.monotonic() + DEADLINE;
    loop {
        let log = node.api("GET", "/v1/audit/log", None);
        let covered = log["witness"]["size"].as_u64();
        if log["witness"]["state"] == "witnessed" && covered >= log["size"].as_u64() {
            return log;
        }
        assert!(SystemClock.monotonic() < until, "{log}\n{}", node.log());
        std::thread::yield_now();
    }
}

/// A node whose log two witnesses vouch for: ours, and one that others wrote.
fn with_witnesses() -> (Node, [Witness; 2]) {
    let mut node = Node::start();
    let (vkey, home) = (node.ready("log_vkey").to_owned(), node.home().to_owned());
    let witnesses = [
        Witness::ours(&home.join("ours"), "witness.example/w1", &vkey),
        Witness::aics(&home.join("aics"), "witness.example/w2", &vkey),
    ];
    let alone = node.api("GET", "/v1/audit/log", None);
    assert_eq!(alone["witness"]["state"], "none", "{alone}");
    node.stop();
    let member =
        |one: &Witness| format!("{{ vkey = {}, url = {} }}", json!(one.vkey), json!(one.url));
    let members = witnesses.each_ref().map(member).join(", ");
    let config = config_of(&home);
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("[audit]\n", &format!("[audit]\nwitnesses = [{members}]\n"));
    std::fs::write(&config, text).unwrap();
    node.start_again();
    (node, witnesses)
}

/// Puts something on the record.
fn grow(node: &Node, account: &str) {
    let body = json!({"name": account, "roles": ["viewer"]});
    node.api("POST", "/v1/accounts", Some(&body));
}

/// The checkpoint that the node serves, in a file.
fn keep(node: &Node, name: &str) -> String {
    let log = witnessed(node);
    let file = node.home().join(name);
    std::fs::write(&file, log["checkpoint"].as_str().unwrap()).unwrap();
    file.display().to_string()
}

#[test]
fn a_node_is_witnessed_by_ours_and_by_another() {
    let (mut node, [ours, aics]) = with_witnesses();
    let vkey = node.ready("log_vkey").to_owned();
    let log = witnessed(&node);
    assert_eq!(log["witness"]["quorum"], 2, "{log}");
    let served = keep(&node, "served");
    // Other people's code counts both cosignatures on what we serve.
    let ran = deps::tlog_verify(node.home(), &vkey)
        .args(["--note", &served])
        .args(["--witness", &ours.vkey, "--witness", &aics.vkey])
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stdout)
    );
    let metrics = node.request("GET", "/metrics", None).text();
    let counted =
        "bailiwick_witness_answers_total{witness=\"witness.example/w2\",outcome=\"cosigned\"}";
    assert!(metrics.contains(counted), "{metrics}");
    grow(&node, "more");
    witnessed(&node);
    node.stop();

    let log = log_of(&node);
    let both = ["--witness", &ours.vkey, "--witness", &aics.vkey];
    let good = verify(&node, &log, &[&both[..], &["--seen", &served]].concat());
    assert_eq!(good.code, Some(0), "{good:?}");
    let said = good.json();
    let by = said["witnessed"]["by"].as_array().unwrap().len();
    assert_eq!((by, &said["seen"]), (2, &json!(1)), "{said}");

    // A witness that has not cosigned is missing, unless the quorum bears it.
    let stranger = Witness::ours(&node.home().join("stranger"), "witness.example/w3", &vkey).vkey;
    let three = [&both[..], &["--witness", &stranger]].concat();
    let missing = verify(&node, &log, &three);
    let verdict = json!("cannot_tell");
    assert_eq!(
        (missing.code, &missing.json()["verdict"]),
        (Some(6), &verdict),
        "{missing:?}"
    );
    assert_eq!(
        verify(&node, &log, &[&three[..], &["--quorum", "2"]].concat()).code,
        Some(0)
    );
    // A log's key is no witness's, and one witness is no two.
    assert_eq!(verify(&node, &log, &["--witness", &vkey]).code, Some(2));
    assert_eq!(
        verify(&node, &log, &[&both[..2], &["--quorum", "2"]].concat()).code,
        Some(2)
    );
    // A cosignature that was touched is no missing one.
    let file = log.join("witnessed");
    let text = std::fs::read_to_string(&file).unwrap();
    let line = text.rfind("witness.example/w").unwrap() + 40;
    let other = if text.as_bytes()[line] == b'A' {
        "B"
    } else {
        "A"
    };
    std::fs::write(
        &file,
        format!("{}{other}{}", &text[..line], &text[line + 1..]),
    )
    .unwrap();
    let forged = verify(&node, &log, &both);
    assert_eq!(forged.code, Some(1), "{forged:?}");
}

#[test]
fn an_older_copy_of_a_log_is_found_out() {
    let (mut node, _witnesses) = with_witnesses();
    witnessed(&node);
    let older = node.home().join("older");
    let mut copy = std::process::Command::new("cp");
    let copied = copy.arg("-a").arg(log_of(&node)).arg(&older).status();
    assert!(copied.unwrap().success());
    grow(&node, "one");
    grow(&node, "two");
    let newest = keep(&node, "newest");
    node.stop();
    // The older copy is whole in itself, and yet not what was seen.
    assert_eq!(verify(&node, &older, &[]).code, Some(0));
    let rolled_back = verify(&node, &older, &["--seen", &newest]);
    assert_eq!(rolled_back.code, Some(1), "{rolled_back:?}");
    let message = rolled_back.json()["message"].to_string();
    assert!(message.contains("rolled back"), "{message}");

    // A node that is restored from it does not start: its store knows how far its log was signed.
    let log = log_of(&node);
    std::fs::remove_dir_all(&log).unwrap();
    std::fs::rename(&older, &log).unwrap();
    let refused = serve(&config_of(node.home()), "json");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("log_rolled_back"), "{refused:?}");
}

#[test]
fn an_older_copy_of_all_data_signs_nothing() {
    let (mut node, _witnesses) = with_witnesses();
    witnessed(&node);
    node.stop();
    let older = node.home().join("older");
    let mut copy = std::process::Command::new("cp");
    let copied = copy.arg("-a").arg(node.data()).arg(&older).status();
    assert!(copied.unwrap().success());
    node.start_again();
    grow(&node, "one");
    witnessed(&node);
    node.stop();
    let data = node.data();
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&older, &data).unwrap();
    let before = std::fs::read(data.join("audit/checkpoint")).unwrap();
    // Nothing on this machine remembers more than the copy; the witnesses do.
    let refused = serve(&config_of(node.home()), "json");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("log_rolled_back"), "{refused:?}");
    let after = std::fs::read(data.join("audit/checkpoint")).unwrap();
    assert_eq!(before, after, "a checkpoint was signed");
    let forks = crate::audit_chain::files(node.home())
        .into_iter()
        .filter(|file| file.display().to_string().ends_with(".request"));
    assert_eq!(forks.count(), 0, "a witness was shown a fork");
}
