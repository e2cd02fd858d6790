//! Bundles that ship with the binary: `base`, what a new node begins with; `demo`, what the demo runs on; and packs, each of which is
//! `base` with the rules of one kind of work beside it (`docs/packs/`).

use crate::source::BundleSource;

macro_rules! bundle {
    ($directory:literal: $($path:literal),* $(,)?) => {
        BundleSource {
            files: [$(($path, include_str!(concat!("../starter/", $directory, "/", $path)))),*]
                .map(|(path, text)| (path.to_owned(), text.to_owned()))
                .into(),
        }
    };
}

/// What a new node begins with: reads are allowed, writes wait for an approver, escalations need approval whatever else
/// permits them.
pub fn base() -> BundleSource {
    bundle!("base": "bundle.toml", "base.cedar", "tests/base.toml")
}

/// What decides while nothing is published: it permits no tool.
pub fn none() -> BundleSource {
    BundleSource {
        files: [("bundle.toml".to_owned(), "name = \"none\"\n".to_owned())].into(),
    }
}

/// The policy of the demo's workspace: secrets are out of reach, orders change only with a person's word.
pub fn demo() -> BundleSource {
    bundle!("demo": "bundle.toml", "workspace.cedar", "tests/workspace.toml")
}

/// Version of a pack that ships: one whose text changes is another version, since bundles name it (`include`).
pub fn version(pack: &str) -> u32 {
    match pack {
        "injection" => 2,
        _ => 1,
    }
}

/// Names of the packs, as [`pack`] takes them.
pub const PACKS: [&str; 6] = [
    "base",
    "injection",
    "coding-agent",
    "data",
    "ops",
    "support",
];

/// The pack of this name.
pub fn pack(name: &str) -> Option<BundleSource> {
    Some(match name {
        "base" => base(),
        "injection" => {
            on_base(bundle!("injection": "bundle.toml", "injection.cedar", "tests/injection.toml"))
        }
        "coding-agent" => on_base(bundle!(
            "coding-agent": "bundle.toml", "coding-agent.cedar", "workflows/code-change.toml", "tests/coding-agent.toml",
        )),
        "data" => on_base(bundle!("data": "bundle.toml", "data.cedar", "tests/data.toml")),
        "ops" => on_base(bundle!("ops": "bundle.toml", "ops.cedar", "tests/ops.toml")),
        "support" => {
            on_base(bundle!("support": "bundle.toml", "support.cedar", "tests/support.toml"))
        }
        _ => return None,
    })
}

/// With the policies of `base` in a file of their own.
fn on_base(mut pack: BundleSource) -> BundleSource {
    let base = base().files.remove("base.cedar").unwrap_or_default();
    pack.files.insert("base.cedar".to_owned(), base);
    pack
}

#[cfg(test)]
mod tests;
