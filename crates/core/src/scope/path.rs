//! Paths of argument leaves: RFC 6901 pointers where `*` is any array position and `~2` a member called `*`.

use std::fmt;
use std::str::FromStr;

use crate::text::text_form;

/// Path of one argument, or of all elements at one place. Each place has exactly one spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArgPath(String);

impl ArgPath {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Text that is no argument path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is no argument path: {why}")]
pub struct BadArgPath {
    path: String,
    why: &'static str,
}

impl FromStr for ArgPath {
    type Err = BadArgPath;

    fn from_str(text: &str) -> Result<Self, BadArgPath> {
        match flaw(text) {
            None => Ok(Self(text.to_owned())),
            Some(why) => Err(BadArgPath {
                path: text.chars().take(64).collect(),
                why,
            }),
        }
    }
}

impl fmt::Display for ArgPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_form! { ArgPath, via as_str; }

fn flaw(text: &str) -> Option<&'static str> {
    if text.len() > super::MAX_TEXT {
        return Some("it is longer than 2048 bytes");
    }
    let Some(segments) = text.strip_prefix('/') else {
        return Some("it does not start with `/`");
    };
    segments.split('/').find_map(|segment| {
        if segment == "*" || segment == "~2" {
            return None;
        }
        if segment.contains('*') {
            // Read as a name it would constrain nothing that a server knows, and an open grant would let all pass.
            return Some("`*` stands for a whole segment, any array position");
        }
        let strays = segment
            .split('~')
            .skip(1)
            .any(|rest| !rest.starts_with(['0', '1']));
        strays.then_some("`~` is written `~0`, `/` in a name `~1`, a name `*` as `~2`")
    })
}
