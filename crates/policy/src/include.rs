//! Packs that a bundle includes: `include = ["base@1"]` in `bundle.toml`. The text of a pack becomes part of the bundle, below
//! `packs/`, before its version is taken: what is signed, shown and replayed is whole, whatever packs a later binary ships.

use std::collections::BTreeMap;

use crate::flaw::{Flaw, FlawCode, PolicyErrors};
use crate::manifest::{FILE, Manifest};
use crate::nearest::nearest;
use crate::source::BundleSource;
use crate::starter;

/// Where the files of packs are.
pub(crate) const DIRECTORY: &str = "packs/";

impl BundleSource {
    /// With the files of the packs that it includes. Those that are there already are left as they are if they are the pack's, and
    /// refused if not: a pack of a version is one text.
    pub fn with_packs(mut self) -> Result<Self, PolicyErrors> {
        let Some(text) = self.files.get(FILE).cloned() else {
            return Ok(self);
        };
        // What is wrong with the rest of `bundle.toml` is said when the bundle is compiled.
        let Ok(Included { include }) = toml::from_str::<Included>(&text) else {
            return Ok(self);
        };
        let mut flaws = Vec::new();
        for named in include {
            let span = named.span();
            let named = named.into_inner();
            let at = |message: String| {
                Flaw::at(FILE, &text, span.clone(), message).code(FlawCode::UnknownName)
            };
            let Some(files) = files(&named) else {
                // An older pack that this binary does not ship any more stands in the bundle's own text.
                if !self.files.contains_key(&policies_of(&named)) {
                    let packs: Vec<String> =
                        starter::PACKS.iter().map(|name| current(name)).collect();
                    let near = nearest(&named, packs.iter().map(String::as_str), 3);
                    let help = near.map_or_else(
                        || format!("there is {}", packs.join(", ")),
                        |near| format!("did you mean \"{near}\"?"),
                    );
                    flaws.push(at(format!("there is no pack `{named}`")).help(help));
                }
                continue;
            };
            for (path, content) in files {
                let kept = self
                    .files
                    .entry(path.clone())
                    .or_insert_with(|| content.clone());
                if *kept != content {
                    let message = format!("{path} is not what the pack `{named}` says");
                    let help = "delete the file, or take the pack out of `include` and move the file elsewhere";
                    flaws.push(at(message).code(FlawCode::Syntax).help(help));
                }
            }
        }
        PolicyErrors::check(flaws).map(|()| self)
    }
}

/// What of `include` is not in the bundle.
pub(crate) fn absent(manifest: &Manifest, source: &BundleSource) -> Option<Flaw> {
    let mut all = manifest.include.iter();
    let absent = all.find(|named| !source.files.contains_key(&policies_of(named)))?;
    let message = format!("the pack `{absent}` is included and its text is not there");
    let help = "bailiwick policy check DIR and publish DIR add it; to the API, send it along";
    Some(Flaw::in_file(FILE, message).help(help))
}

/// `name@version` of a pack that this binary ships.
pub(crate) fn current(name: &str) -> String {
    format!("{name}@{}", starter::version(name))
}

/// The files of a pack, by the paths that they have in the bundle; none if there is no such pack.
fn files(named: &str) -> Option<BTreeMap<String, String>> {
    let name = starter::PACKS
        .into_iter()
        .find(|name| current(name) == named)?;
    let pack = starter::pack(name)?;
    let files = pack.files.into_iter().filter_map(|(path, text)| {
        if path.starts_with("workflows/") {
            return Some((path, text));
        }
        let of = path.strip_suffix(".cedar")?;
        Some((policies_of(&current(of)), text))
    });
    Some(files.collect())
}

fn policies_of(named: &str) -> String {
    format!("{DIRECTORY}{named}.cedar")
}

#[derive(serde::Deserialize)]
struct Included {
    #[serde(default)]
    include: Vec<toml::Spanned<String>>,
}

#[cfg(test)]
mod tests;
