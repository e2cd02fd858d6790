//! `bundle.toml`: the bundle's name and what it is for.

use serde::Deserialize;

use crate::flaw::{Flaw, PolicyErrors};
use crate::source::BundleSource;

const FILE: &str = "bundle.toml";

/// What `bundle.toml` says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// The bundle's name, for people.
    pub(crate) name: String,
    /// What it is for, in one sentence.
    #[serde(default)]
    pub(crate) description: String,
}

impl Manifest {
    pub(crate) fn read(source: &BundleSource) -> Result<Self, PolicyErrors> {
        let Some(text) = source.files.get(FILE) else {
            let flaw = Flaw::whole("the bundle has no bundle.toml".to_owned());
            return Err(PolicyErrors {
                flaws: vec![flaw.help("add a bundle.toml with `name = \"…\"`")],
            });
        };
        toml::from_str(text).map_err(|error| PolicyErrors {
            flaws: vec![Flaw::toml(FILE, text, &error)],
        })
    }
}
