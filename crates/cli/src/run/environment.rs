//! Which of the caller's variables the program gets: those of a short list, and those that were named. What is left out is looked at for
//! secrets, so that their owner learns what lies around.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use bailiwick_core::{Code, Problem};
use bailiwick_posture::secrets::{Engine, Load, Memo, Severity, Unit};

use crate::failure::Failure;

/// What every program keeps: where it is, whose, how its terminal speaks. Documented in `docs/reference/launcher.md`.
pub(super) const KEPT: [&str; 20] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "PWD",
    "TERM",
    "COLORTERM",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "NO_COLOR",
    "FORCE_COLOR",
    "CI",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "COLUMNS",
    "LINES",
];
/// And all whose names begin so.
const KEPT_PREFIX: &str = "LC_";
/// Names that nobody keeps: what they load or lead to is not what was attested, and ours are the node's to set.
const NEVER: [&str; 2] = ["LD_", "BAILIWICK_"];

/// The caller's environment, divided.
#[derive(Debug)]
pub(super) struct Environment {
    kept: BTreeMap<OsString, OsString>,
    removed: Vec<Removed>,
}

/// A variable that is left out; not its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Removed {
    name: String,
    /// What kind of secret is in it.
    secret: Option<String>,
}

impl Environment {
    /// Divides variables; `named` are kept too.
    pub(super) fn split(
        variables: impl Iterator<Item = (OsString, OsString)>,
        named: &[String],
    ) -> Result<Self, Failure> {
        if let Some(name) = named.iter().find(|name| never(name)) {
            return Err(Problem::new(
                Code::InvalidInput,
                format!("--env {name} is not kept for any program"),
                "LD_ variables change what an attested program is, BAILIWICK_ variables are set by the launch",
            )
            .into());
        }
        let (mut kept, mut left) = (BTreeMap::new(), Vec::new());
        for (name, value) in variables {
            let known = name
                .to_str()
                .is_some_and(|name| is_listed(name) || named.iter().any(|named| named == name));
            if known {
                kept.insert(name, value);
            } else {
                left.push((name, value));
            }
        }
        left.sort();
        Ok(Self {
            kept,
            removed: judged(&left)?,
        })
    }

    /// What the program gets of them.
    pub(super) fn kept(&self) -> &BTreeMap<OsString, OsString> {
        &self.kept
    }

    /// What it does not get.
    pub(super) fn removed(&self) -> &[Removed] {
        &self.removed
    }

    /// Those of them with a secret.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &Removed> {
        self.removed
            .iter()
            .filter(|variable| variable.secret.is_some())
    }

    /// What to tell the caller.
    pub(super) fn told(&self) -> Vec<String> {
        if self.removed.is_empty() {
            return Vec::new();
        }
        let names: Vec<&str> = self
            .removed
            .iter()
            .map(|variable| variable.name.as_str())
            .collect();
        let secrets = self.secrets().count();
        let mut lines = vec![format!(
            "removed {} variables, {secrets} with a secret: {}",
            names.len(),
            names.join(" ")
        )];
        lines.extend(self.secrets().map(|variable| {
            let name = &variable.name;
            let kind = variable.secret.as_deref().unwrap_or_default();
            let sealed = name.to_lowercase().replace('_', "-");
            format!("  {name} ({kind}) → bailiwick secret set {sealed} --from-env {name}")
        }));
        lines
    }
}

fn is_listed(name: &str) -> bool {
    KEPT.contains(&name) || name.starts_with(KEPT_PREFIX)
}

fn never(name: &str) -> bool {
    NEVER.iter().any(|prefix| name.starts_with(prefix))
}

/// Looks at what is left out with the rules of scans. Nothing of a value is kept.
fn judged(left: &[(OsString, OsString)]) -> Result<Vec<Removed>, Failure> {
    if left.is_empty() {
        return Ok(Vec::new());
    }
    let engine = Engine::new(Load::Little, None)?;
    let mut memo = Memo::default();
    let judge = |(name, value): &(OsString, OsString)| Removed {
        name: shown(name),
        secret: kind_of(&engine, &mut memo, name, value),
    };
    Ok(left.iter().map(judge).collect())
}

fn kind_of(engine: &Engine, memo: &mut Memo, name: &OsStr, value: &OsStr) -> Option<String> {
    let unit = Unit {
        text: value.as_bytes(),
        path: "",
        key: Some(name.as_bytes()),
    };
    let mut finds = Vec::new();
    // What is too much to be looked at may be one.
    if !engine.scan(&unit, memo, &mut finds) {
        return Some("not looked at as a whole".to_owned());
    }
    let worst = finds
        .iter()
        .filter(|find| find.severity >= Severity::Medium)
        .max_by_key(|find| find.severity)?;
    Some(worst.check.to_string())
}

/// A name as it may stand on a terminal.
fn shown(name: &OsStr) -> String {
    let text: String = name.to_string_lossy().chars().take(64).collect();
    text.escape_debug().to_string()
}

#[cfg(test)]
mod tests;
