//! The digest that pins a tool's definition, and what one upstream session has shown of its tools (04 §6).

use std::collections::HashMap;

use bailiwick_core::Digest;
use bailiwick_core::json::{JsonError, Limits, Numbers, Text, check};
use bailiwick_core::name::ToolName;
use bailiwick_crypto::hash::domain_digest;

use crate::mcp::splice::without_members;
use crate::ports::SeenTool;

/// A definition has at most this many bytes; a larger one is not listed.
pub const MAX_DEFINITION: usize = 64 << 10;
/// Tools read from one server; what comes after is not listed.
pub const MAX_TOOLS: usize = 4_096;

/// SHA-256 of `bailiwick/definition/v1`, a zero byte and the element without `icons` and `_meta`, keys sorted as in RFC 8785, numbers as
/// written. Unknown members count: what a model may read is pinned.
pub fn definition_digest(element: &Text<'_>) -> Result<Digest, JsonError> {
    let bare = without_members(element, |name| matches!(name, "icons" | "_meta"));
    let canonical = check(&bare, &LIMITS)?.canonical(Numbers::AsWritten)?;
    Ok(domain_digest("bailiwick/definition/v1", &canonical))
}

/// Reads one element of a tool list; none if it has no usable name or is too large.
pub fn seen_tool(element: &Text<'_>) -> Option<SeenTool> {
    let name: ToolName = element.member("name")?.string()?.parse().ok()?;
    (!name.is_prompt()).then(|| seen(element, name))?
}

/// Reads one element of a prompt list, which is pinned as a tool is; none if it has no usable name or is too large.
pub fn seen_prompt(element: &Text<'_>) -> Option<SeenTool> {
    seen(
        element,
        ToolName::of_prompt(&element.member("name")?.string()?)?,
    )
}

fn seen(element: &Text<'_>, name: ToolName) -> Option<SeenTool> {
    if element.as_bytes().len() > MAX_DEFINITION {
        return None;
    }
    Some(SeenTool {
        name,
        digest: definition_digest(element).ok()?,
        definition: element.as_str().to_owned(),
    })
}

/// Lists whose elements are pinned by digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pinned {
    /// `tools/list`
    Tools,
    /// `prompts/list`
    Prompts,
}

impl Pinned {
    /// The method that lists them.
    pub const fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
        }
    }

    /// The member of the answer that they are in, which is also what people call them.
    pub const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
        }
    }

    /// Reads one element.
    pub fn seen(self, element: &Text<'_>) -> Option<SeenTool> {
        match self {
            Self::Tools => seen_tool(element),
            Self::Prompts => seen_prompt(element),
        }
    }
}

/// The digest that a session showed last for a name: none if it never showed it, `Some(None)` if it showed two.
pub type LastShown = Option<Option<Digest>>;

/// What an upstream session has shown of its tools, or of its prompts, so far.
#[derive(Debug, Default)]
pub struct Shown {
    digests: HashMap<ToolName, Option<Digest>>,
    complete: bool,
    /// Read once the list is to be believed no longer (`list_changed`).
    generation: u64,
}

impl Shown {
    /// Takes over one page. The first page starts the list anew; the page without a next one completes it.
    pub fn page(&mut self, tools: &[SeenTool], first: bool, last: bool) {
        if first {
            self.digests.clear();
            self.complete = false;
        }
        for tool in tools {
            if self.digests.len() >= MAX_TOOLS {
                return;
            }
            self.digests
                .entry(tool.name.clone())
                // One name with two definitions: nobody can say which one a call would reach.
                .and_modify(|known| *known = known.filter(|digest| *digest == tool.digest))
                .or_insert(Some(tool.digest));
        }
        self.complete |= last;
    }

    /// The digest shown last for this tool.
    pub fn digest(&self, tool: &ToolName) -> LastShown {
        self.digests.get(tool).copied()
    }

    /// Whether the whole list was read since the server last said that it changed.
    pub fn complete(&self) -> bool {
        self.complete
    }

    /// The server said that its list changed.
    pub fn stale(&mut self) {
        self.complete = false;
        self.generation += 1;
    }

    /// Grows with each [`Self::stale`].
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

const LIMITS: Limits = Limits {
    bytes: 16 << 20,
    ..Limits::ENVELOPE.case_sensitive()
};

#[cfg(test)]
mod tests;
