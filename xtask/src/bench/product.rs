//! The benches of the product, by what they are about.

use super::{Bench, cargo};

/// One policy decision, beside Cedar's own authorizer.
pub(super) const DECIDE: Bench = Bench {
    name: "decide",
    run: |figure| cargo::run("bailiwick-policy", "decide", figure),
};

/// Policy as a whole: decisions, a million of them held against plain Cedar, and a million replayed.
pub(super) const POLICY: Bench = Bench {
    name: "policy",
    run: |figure| {
        for target in ["decide", "replay", "equivalence"] {
            cargo::run("bailiwick-policy", target, figure)?;
        }
        Ok(())
    },
};

/// Events made durable, beside a bare group commit, a bare `fdatasync` and peers; logs read back; the index of
/// the record, beside a bare table.
pub(super) const AUDIT: Bench = Bench {
    name: "audit",
    run: |figure| {
        cargo::run("bailiwick-audit", "record", figure)?;
        cargo::run("bailiwick-store", "index", figure)
    },
};

/// The index of the record alone.
pub(super) const INDEX: Bench = Bench {
    name: "index",
    run: |figure| cargo::run("bailiwick-store", "index", figure),
};

/// A tool call through the gateway, beside the same call straight to the tool server.
pub(super) const GATEWAY: Bench = Bench {
    name: "gateway",
    run: |figure| cargo::run("bailiwick-cli", "gateway", figure),
};

/// Scans for secrets: recall, precision and speed beside other scanners, on the same bytes.
pub(super) const SCAN: Bench = Bench {
    name: "scan",
    run: |figure| cargo::run("bailiwick-posture", "scan", figure),
};

/// A change until what it forbids is cut: a thousand calls, and a task with fifty below it; lists of many approvals.
pub(super) const REEVALUATE: Bench = Bench {
    name: "reevaluate",
    run: |figure| {
        cargo::run("bailiwick-cli", "reevaluate", figure)?;
        cargo::run("bailiwick-store", "approvals", figure)
    },
};

/// A revocation until it is everywhere: points that follow the feed, open streams, a dead point; a token with its proof.
pub(super) const REVOKE: Bench = Bench {
    name: "revoke",
    run: |figure| cargo::run("bailiwick-cli", "revoke", figure),
};
