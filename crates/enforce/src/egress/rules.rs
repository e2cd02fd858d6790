//! What a connector allows: methods and patterns of normalised paths, written `GET /repos/**`. No rule allows nothing.

use std::fmt;
use std::str::FromStr;

use super::path::Path;

/// Most segments that a pattern has.
const MAX_SEGMENTS: usize = 64;

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// None: any.
    method: Option<String>,
    segments: Vec<Segment>,
    /// Whether whatever is below is meant too.
    below: bool,
    written: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Exactly(String),
    /// Any one that is not empty.
    Any,
}

/// A text that is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{written}` is no rule: {why}")]
pub struct BadRule {
    written: String,
    why: String,
}

impl Rule {
    /// Whether it allows a method and a path. What allows GET allows HEAD.
    pub fn allows(&self, method: &str, path: &Path) -> bool {
        let methods = self.method.as_deref();
        let named =
            methods.is_none_or(|named| named == method || (named == "GET" && method == "HEAD"));
        named && self.matches(path)
    }

    fn matches(&self, path: &Path) -> bool {
        let mut found = path.segments();
        for wanted in &self.segments {
            let fits = match (wanted, found.next()) {
                (_, None) => false,
                (Segment::Exactly(wanted), Some(found)) => wanted == found,
                (Segment::Any, Some(found)) => !found.is_empty(),
            };
            if !fits {
                return false;
            }
        }
        self.below || found.next().is_none()
    }
}

impl FromStr for Rule {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, BadRule> {
        let written = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let bad = |why: String| BadRule {
            written: written.clone(),
            why,
        };
        let (method, pattern) = written
            .split_once(' ')
            .ok_or_else(|| bad("write a method, a blank and a path".to_owned()))?;
        let any = method == "*";
        if !any && !METHODS.contains(&method) {
            return Err(bad(format!("methods are {} or *", METHODS.join(" "))));
        }
        let (base, below) = match pattern.strip_suffix("/**") {
            Some(base) => (base, true),
            None => (pattern, false),
        };
        let mut segments = Vec::new();
        if !(below && base.is_empty()) {
            let rest = base
                .strip_prefix('/')
                .ok_or_else(|| bad("its path begins with a slash".to_owned()))?;
            for part in rest.split('/') {
                segments.push(segment(part).map_err(&bad)?);
            }
        }
        if segments.len() > MAX_SEGMENTS {
            return Err(bad(format!("a path has at most {MAX_SEGMENTS} segments")));
        }
        let empty = |segment: &Segment| *segment == Segment::Exactly(String::new());
        let inner = segments.len().saturating_sub(usize::from(!below));
        if segments.iter().take(inner).any(empty) {
            return Err(bad("it has an empty segment".to_owned()));
        }
        Ok(Self {
            method: (!any).then(|| method.to_owned()),
            segments,
            below,
            written: written.clone(),
        })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// Methods that requests have (RFC 9110 §9, RFC 5789).
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

fn segment(part: &str) -> Result<Segment, String> {
    let named = part
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    if part == "*" || named.is_some_and(|name| !name.is_empty() && !name.contains(['{', '}'])) {
        return Ok(Segment::Any);
    }
    if part.contains('*') {
        return Err("`*` is a whole segment, and `**` the last one".to_owned());
    }
    let normal = Path::normal(&format!("/{part}")).map_err(|error| error.to_string())?;
    if normal.as_str().get(1..) != Some(part) {
        return Err(format!("write `{part}` as {}", normal.as_str()));
    }
    Ok(Segment::Exactly(part.to_owned()))
}

#[cfg(test)]
mod tests;
