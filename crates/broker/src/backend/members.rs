//! What an operator writes about a credential, read member by member. What a kind of backend asks for stands in its own file.

use std::collections::BTreeMap;

/// Texts by name.
#[derive(Debug, Clone, Copy)]
pub struct Members<'a>(&'a BTreeMap<String, String>);

/// A member that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct BadMember {
    /// What is wrong.
    pub what: String,
    /// What to write.
    pub help: String,
}

impl<'a> Members<'a> {
    /// Reads these.
    pub const fn new(texts: &'a BTreeMap<String, String>) -> Self {
        Self(texts)
    }

    /// A member, if it is there.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(String::as_str)
    }

    /// A member that has to be there, and not empty.
    pub fn needed(&self, name: &str, help: &str) -> Result<&'a str, BadMember> {
        let text = self.text(name).filter(|text| !text.is_empty());
        text.ok_or_else(|| BadMember::new(format!("`{name}` is missing"), help))
    }

    /// A number from 1 to `most`.
    pub fn counted<T>(&self, name: &str, default: T, most: T) -> Result<T, BadMember>
    where
        T: std::str::FromStr + PartialOrd + From<u8> + std::fmt::Display + Copy,
    {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        let within = |count: &T| *count >= T::from(1) && *count <= most;
        let count = text.parse().ok().filter(within);
        count.ok_or_else(|| {
            let help = format!("it takes \"1\" to \"{most}\"");
            BadMember::new(format!("`{name}` is out of range"), &help)
        })
    }
}

impl BadMember {
    /// Says what is wrong and what to write.
    pub fn new(what: impl Into<String>, help: &str) -> Self {
        Self {
            what: what.into(),
            help: help.to_owned(),
        }
    }
}
