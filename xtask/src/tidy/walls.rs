//! Which crate of ours may use which crate of others. A wall keeps a kind of knowledge in one place: cryptography, SQL,
//! policy, HTTP servers. A package in no row is free to use.

use super::workspace::{Kind, Member};
use super::{Finding, Repository};

const RULE: &str = "walls";

/// Packages that only some crates may use. A name that ends in `*` stands for all that begin so.
struct Wall {
    packages: &'static [&'static str],
    /// Who may compile them into the product.
    product: &'static [&'static str],
    /// Who may use them in tests, beside those.
    tests: &'static [&'static str],
    why: &'static str,
}

const ANYONE: &[&str] = &["*"];

const WALLS: &[Wall] = &[
    Wall {
        packages: &["cedar-*"],
        product: &["policy"],
        tests: &[],
        why: "Cedar is spoken only in policy: take its Bundle, Request and Verdict",
    },
    Wall {
        packages: &[
            "aws-lc-rs",
            "rcgen",
            "x509-parser",
            "rustls",
            "rustls-*",
            "tokio-rustls",
            "ssh-key",
        ],
        product: &["crypto"],
        // Outside SPIFFE clients shake hands with what it configures.
        tests: &["cli"],
        why: "cryptography and TLS are set up only in crypto: ask it for the operation",
    },
    Wall {
        packages: &["rusqlite"],
        product: &["store", "demo"],
        // It is a peer in the bench of the log.
        tests: &["audit"],
        why: "SQL on our state is only in store: add the access to the noun's trait there",
    },
    Wall {
        packages: &["rmcp"],
        product: &["demo"],
        tests: &["cli"],
        why: "its types drop unknown members and accept duplicate keys: forward the raw envelope of enforce",
    },
    Wall {
        packages: &["axum", "axum-*"],
        product: &["server", "demo"],
        tests: &[],
        why: "routes are only in server: give it a use case to call",
    },
    Wall {
        packages: &["utoipa", "utoipa-*", "tower-http"],
        product: &["server"],
        tests: &[],
        why: "routes are only in server: give it a use case to call",
    },
    Wall {
        packages: &["hyper", "hyper-util"],
        product: &["server", "enforce", "cli"],
        tests: &[],
        why: "HTTP is spoken only at the listeners, the enforcement points and the API client",
    },
    Wall {
        packages: &[
            "tonic",
            "tonic-prost",
            "tonic-reflection",
            "prost",
            "prost-types",
        ],
        product: &["proto", "identity", "server", "cli"],
        tests: &[],
        why: "gRPC is spoken only by the Workload API and who wires it",
    },
    Wall {
        packages: &["tonic-prost-build", "protox", "cargo_metadata"],
        product: &["xtask"],
        tests: &[],
        why: "generated code is committed, so that a build needs no generator",
    },
    Wall {
        packages: &["clap"],
        product: &["cli", "xtask"],
        tests: &[],
        why: "the command line is parsed only in the binaries",
    },
    Wall {
        packages: &["clap_*", "comfy-table"],
        product: &["cli"],
        tests: &[],
        why: "what a terminal shows is made only in cli: return an error type with code and help",
    },
    Wall {
        // Cedar's errors tell their places only through miette's trait.
        packages: &["miette"],
        product: &["cli", "policy"],
        tests: &[],
        why: "what a terminal shows is made only in cli: return an error type with code and help",
    },
    Wall {
        packages: &["parquet", "tar"],
        product: &["audit"],
        tests: &[],
        why: "shapes of exports are made only in audit: write an Exporter there",
    },
    Wall {
        packages: &["tokio-postgres", "tokio-postgres-rustls"],
        product: &["store", "broker"],
        tests: &[],
        why: "our database is spoken to only by store, other people's only by backends of leases",
    },
    Wall {
        packages: &["postgres-*", "deadpool", "mysql_async", "redis"],
        product: &["broker"],
        tests: &[],
        why: "other people's databases are spoken to only by backends of leases",
    },
    Wall {
        packages: &[
            "gix",
            "regex",
            "regex-syntax",
            "globset",
            "walkdir",
            "flate2",
        ],
        product: &["posture"],
        tests: &[],
        why: "foreign bytes are searched only in posture: give it a source to scan",
    },
    Wall {
        packages: &["object_store"],
        product: &["server"],
        tests: &[],
        why: "object stores are spoken to only by server, which ships the record",
    },
    Wall {
        packages: &["anyhow"],
        product: &["xtask"],
        tests: ANYONE,
        why: "libraries have one error type per operation (thiserror)",
    },
    Wall {
        packages: &[
            "jsonwebtoken",
            "tlog_tiles",
            "signed_note",
            "spiffe",
            "proptest",
            "expect-test",
            "insta",
        ],
        product: &[],
        tests: ANYONE,
        why: "it is an oracle or a tool for tests: move it to [dev-dependencies]",
    },
];

/// Packages that a crate must not use, in the product or in tests.
struct Ban {
    crates: &'static [&'static str],
    packages: &'static [&'static str],
    why: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        crates: &["core", "policy"],
        packages: &[
            "tokio",
            "tokio-*",
            "hyper",
            "hyper-*",
            "reqwest",
            "tonic",
            "axum",
            "nix",
            "rustix",
            "socket2",
            "rand",
            "rand_*",
            "getrandom",
            "uuid",
            "chrono",
            "time",
            "tracing",
        ],
        why: "it knows no runtime, socket, clock or randomness, so that decisions and proofs replay byte for byte: take a parameter",
    },
    Ban {
        crates: &["crypto"],
        packages: &[
            "tokio",
            "tokio-stream",
            "tokio-util",
            "hyper",
            "hyper-*",
            "reqwest",
            "tonic",
            "axum",
        ],
        why: "it computes and does no I/O of its own",
    },
];

/// Packages that must not be compiled in at all, even through others.
struct Absence {
    /// The crate whose product build is looked at.
    from: &'static str,
    packages: &'static [&'static str],
    why: &'static str,
}

const ABSENCES: &[Absence] = &[
    Absence {
        from: "cli",
        packages: &[
            "openssl",
            "openssl-sys",
            "native-tls",
            "ring",
            "rsa",
            "sqlx",
            "serde_yaml",
        ],
        why: "there is one TLS stack, rustls on aws-lc-rs, and no RSA private key: choose features or another crate",
    },
    Absence {
        from: "policy",
        packages: &["tokio", "mio", "socket2", "hyper", "reqwest"],
        why: "policy is pure and synchronous: switch off the feature that brings it",
    },
    Absence {
        from: "core",
        packages: &["tokio", "mio", "socket2", "hyper", "reqwest", "getrandom"],
        why: "core is pure: switch off the feature that brings it",
    },
];

/// The members whose whole build the rule wants to know.
pub(crate) fn reaching() -> Vec<&'static str> {
    ABSENCES.iter().map(|absence| absence.from).collect()
}

pub(crate) fn check(repository: &Repository) -> Vec<Finding> {
    repository
        .workspace
        .members
        .iter()
        .flat_map(|member| {
            let mut found = check_uses(repository, member);
            found.extend(check_reach(member));
            found
        })
        .collect()
}

fn check_uses(repository: &Repository, member: &Member) -> Vec<Finding> {
    let mut found = Vec::new();
    for used in member.uses.iter().filter(|used| !used.is_member) {
        let line = repository.dependency_line(&member.manifest, &used.name);
        let mut report = |why: &str| {
            let place = if used.kind == Kind::Test {
                " even in tests"
            } else {
                ""
            };
            let what = format!("`{}` must not use `{}`{place}", member.name, used.name);
            found.push(Finding::error(RULE, &member.manifest, what, why).at(line));
        };
        for wall in WALLS
            .iter()
            .filter(|wall| matches_any(wall.packages, &used.name))
        {
            let in_tests = used.kind == Kind::Test && matches_any(wall.tests, &member.name);
            if !in_tests && !wall.product.contains(&member.name.as_str()) {
                report(wall.why);
            }
        }
        for ban in BANS
            .iter()
            .filter(|ban| ban.crates.contains(&member.name.as_str()))
        {
            if matches_any(ban.packages, &used.name) {
                report(ban.why);
            }
        }
    }
    found
}

fn check_reach(member: &Member) -> Vec<Finding> {
    let absences = ABSENCES
        .iter()
        .filter(|absence| absence.from == member.name);
    absences
        .flat_map(|absence| {
            absence
                .packages
                .iter()
                .map(move |package| (absence, *package))
        })
        .filter_map(|(absence, package)| {
            let path = member.reach.get(package)?;
            let what = format!(
                "`{}` compiles in `{package}`, by {}",
                member.name,
                path.join(" → ")
            );
            Some(Finding::error(RULE, &member.manifest, what, absence.why))
        })
        .collect()
}

fn matches_any(patterns: &[&str], name: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => *pattern == name,
        })
}

#[cfg(test)]
mod tests;
