//! Bundles that ship with the binary: `starter`, what a new node begins with, and `demo`, what the demo runs on.

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

/// The policy of the demo's workspace: secrets are out of reach, orders change only with a person's word.
pub fn demo() -> BundleSource {
    bundle!("demo": "bundle.toml", "workspace.cedar", "tests/workspace.toml")
}

#[cfg(test)]
mod tests;
