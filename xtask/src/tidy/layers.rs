//! Which crate of ours may depend on which: the direction of ARCHITECTURE.md, written out.

use super::workspace::Member;
use super::{Finding, Repository};

const RULE: &str = "layers";

/// A crate, and the crates of ours it may depend on, in the product and in tests alike.
const LAYERS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("crypto", &["core"]),
    ("policy", &["core"]),
    ("proto", &["core"]),
    ("audit", &["core", "crypto", "policy", "proto"]),
    ("store", &["core", "crypto", "policy", "proto"]),
    // The demo stands outside, as a stranger's agent and tool server would; crypto has the one TLS set-up.
    ("demo", &["core", "crypto"]),
    ("posture", &["core", "crypto"]),
    (
        "identity",
        &["core", "crypto", "policy", "proto", "audit", "store"],
    ),
    (
        "broker",
        &["core", "crypto", "policy", "proto", "audit", "store"],
    ),
    (
        "control",
        &[
            "core", "crypto", "policy", "proto", "audit", "store", "identity", "broker", "posture",
        ],
    ),
    // Never store, identity, broker or control: those are other processes when nodes are many.
    ("enforce", &["core", "crypto", "policy", "proto", "audit"]),
    (
        "server",
        &[
            "core", "crypto", "policy", "proto", "audit", "store", "identity", "broker", "posture",
            "control", "enforce",
        ],
    ),
    // The binary drives; it reaches state through the server and its API. The e2e tests are a test of this package.
    (
        "cli",
        &[
            "core", "crypto", "policy", "proto", "audit", "posture", "server", "demo",
        ],
    ),
    (
        "xtask",
        &[
            "core", "crypto", "policy", "proto", "audit", "store", "enforce", "server", "demo",
        ],
    ),
];

pub(crate) fn check(repository: &Repository) -> Vec<Finding> {
    repository
        .workspace
        .members
        .iter()
        .flat_map(|member| check_member(repository, member))
        .collect()
}

fn check_member(repository: &Repository, member: &Member) -> Vec<Finding> {
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == member.name) else {
        let what = format!("the crate `{}` has no place in the layers", member.name);
        return vec![Finding::error(
            RULE,
            &member.manifest,
            what,
            "add it to LAYERS in xtask/src/tidy/layers.rs and to ARCHITECTURE.md",
        )];
    };
    member
        .uses
        .iter()
        .filter(|used| used.is_member && !allowed.contains(&used.name.as_str()))
        .map(|used| {
            let what = format!("`{}` must not depend on `{}`", member.name, used.name);
            let help = if allowed.is_empty() {
                "it depends on no other crate: move the shared noun into it, or take a trait".to_owned()
            } else {
                format!("it may use {}: move the noun down, or take a trait that the layer above implements", allowed.join(", "))
            };
            Finding::error(RULE, &member.manifest, what, help).at(repository.dependency_line(&member.manifest, &used.name))
        })
        .collect()
}

#[cfg(test)]
mod tests;
