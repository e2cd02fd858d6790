//! The record in the browser: searched, proven, and found out where one byte of it was altered.

use std::path::Path;

use serde_json::json;

use crate::harness::World;
use crate::harness::console::Console;

/// Which record is altered.
const INDEX: usize = 3;

/// Flips one bit in the middle of a leaf, in every file that has it.
fn flip(directory: &Path) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            flip(&path);
            continue;
        }
        let mut bytes = std::fs::read(&path).unwrap();
        let mut at = 0;
        for _ in 0..INDEX {
            if at < bytes.len() {
                at += 2 + length(&bytes, at);
            }
        }
        // A bundle from before that record was there.
        if at >= bytes.len() {
            continue;
        }
        let middle = at + 2 + length(&bytes, at) / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
}

fn length(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

#[test]
fn one_flipped_bit_turns_the_badge_red_and_names_the_record() {
    let world = World::start();
    let node = &world.node;
    let (_, client) = world.session();
    client.refused("read_file", r#"{"path":"secrets/prod.env"}"#);
    let console = Console::of(node);
    let vera = console.person(node, "vera", &["viewer"]);
    vera.open("/audit?decision=deny");
    vera.wait_for("row-found", "workspace/read_file");
    vera.wait("integrity-badge[data-standing=whole]");
    vera.click("act-verify");
    vera.wait_for("log-says", "were read and checked here");
    vera.look("audit", &["row-found", "log-badge[data-standing=whole]"]);
    vera.click("row-found");
    vera.wait("proof-verdict[data-holds=true]");
    vera.look("event", &["proof-verdict"]);

    // Nothing is on its way into the files any more.
    loop {
        let log = node.api("GET", "/healthz", None)["log"].take();
        if log["size"] == log["published"] {
            break;
        }
        std::thread::yield_now();
    }
    let event = node.events()[INDEX]["id"].as_str().unwrap().to_owned();
    let entries = node.data().join("audit/tile/entries");
    flip(&entries);
    vera.open("/audit");
    vera.click("act-verify");
    vera.wait("integrity-badge[data-standing=broken]");
    let says = vera.text("log-says");
    assert!(
        says.contains(&format!("Record {INDEX} is not what was signed")),
        "{says}"
    );
    vera.wait_for("integrity-badge", &format!("record broken at {INDEX}"));
    vera.shot("broken-wide-light");
    // It stays red wherever one goes, and the record itself says it, too.
    vera.open("/");
    vera.wait("integrity-badge[data-standing=broken]");
    vera.open(&format!("/audit/{event}"));
    vera.wait("proof-verdict[data-holds=false]");

    // As it was again, and read again, it is whole.
    flip(&entries);
    vera.open("/audit");
    vera.click("act-verify");
    vera.wait("integrity-badge[data-standing=whole]");
    console.done();
}

#[test]
fn another_history_than_the_one_that_was_seen_is_found_out() {
    let world = World::start();
    let node = &world.node;
    let console = Console::of(node);
    let vera = console.person(node, "vera", &["viewer"]);
    vera.wait("integrity-badge[data-standing=whole]");
    // What this browser has seen signed is not what the node shows: a root of the same size that it never had.
    let seen = vera.run(
        "(() => { const key = Object.keys(localStorage).find((name) => name.startsWith('bailiwick.log.'));
          const memory = JSON.parse(localStorage.getItem(key));
          memory.root = btoa('x'.repeat(32));
          localStorage.setItem(key, JSON.stringify(memory)); return memory.size })()",
    );
    assert!(seen.as_u64() > Some(4), "{seen}");
    vera.open("/audit");
    vera.wait_for("log-says", "another history");
    vera.wait("integrity-badge[data-standing=broken]");
    let longer = "(() => { const key = Object.keys(localStorage).find((name) => name.startsWith('bailiwick.log.'));
          const memory = JSON.parse(localStorage.getItem(key));
          memory.size = 1000000;
          localStorage.setItem(key, JSON.stringify(memory)); return memory.size })()";
    assert_eq!(vera.run(longer), json!(1_000_000));
    vera.open("/audit");
    vera.wait_for("log-says", "was set back");
    console.done();
}
