//! One libFuzzer binary for all targets; `BAILIWICK_FUZZ` names which. What holds of each is what its corpus test asserts (`git grep corpus_`),
//! and each input that was ever found to break it becomes a file of `conformance/corpora`.
#![no_main]

mod json;
#[rustfmt::skip]
#[path = "../../crates/server/src/uds/rewriter.rs"]
mod rewriter;
mod scope;
mod signed;
mod spiffe_id;
mod uds_shim;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

type Target = fn(&[u8]);

/// Names as those of `conformance/corpora`; `json` has none and begins with nothing.
const TARGETS: [(&str, Target); 6] = [
    ("dpop", signed::dpop),
    ("jose", signed::jose),
    ("json", json::look),
    ("scope_json", scope::look),
    ("spiffe_id", spiffe_id::look),
    ("uds_shim", uds_shim::look),
];

fuzz_target!(|bytes: &[u8]| {
    static TARGET: OnceLock<Target> = OnceLock::new();
    let target = TARGET.get_or_init(|| {
        let wanted = std::env::var("BAILIWICK_FUZZ").expect("BAILIWICK_FUZZ names a target");
        let found = TARGETS.iter().find(|(name, _)| *name == wanted);
        found
            .expect("BAILIWICK_FUZZ names a target that there is")
            .1
    });
    target(bytes);
});
