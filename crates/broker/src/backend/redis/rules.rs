//! What a leased user of Redis may do, as an operator writes it. What would let it become somebody else or stay longer is refused, and
//! administration is taken from it last, whatever stands before.

use std::str::FromStr;

/// Most rules.
const MAX_RULES: usize = 64;
/// What every user ends with: ACL, CONFIG, MONITOR, replication and the like are nobody's.
const NEVER: &str = "-@admin";

/// Rules of one credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules(Vec<String>);

/// Rules that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// It says something else than keys, channels and commands.
    #[error(
        "`rules`: {0:?} names no keys (~), channels (&) or commands (+ -); passwords, `on` and selectors are the broker's"
    )]
    Foreign(String),
    /// There are too many, or none.
    #[error("`rules` has 1 to {MAX_RULES} rules")]
    Many,
}

impl Rules {
    /// In the order in which the server takes them.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        let own = self.0.iter().map(String::as_str);
        own.chain(std::iter::once(NEVER))
    }
}

impl FromStr for Rules {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, BadRule> {
        let rules: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        if rules.is_empty() || rules.len() > MAX_RULES {
            return Err(BadRule::Many);
        }
        let about_rights = |rule: &String| {
            let named = rule.len() > 1 && rule.starts_with(['~', '%', '&', '+', '-']);
            named || ["allkeys", "allchannels"].contains(&rule.as_str())
        };
        match rules.iter().find(|rule| !about_rights(rule)) {
            Some(foreign) => Err(BadRule::Foreign(foreign.chars().take(64).collect())),
            None => Ok(Self(rules)),
        }
    }
}

#[cfg(test)]
mod tests;
