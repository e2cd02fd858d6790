//! Names that people choose: agents, servers, tools, owners, users, stages. Parsed once at the edge, never normalised.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::text::text_form;

/// Text that does not have the form of the name it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not {wanted}")]
pub struct BadName {
    found: String,
    wanted: &'static str,
}

macro_rules! names {
    ($($name:ident $check:ident $wanted:literal $doc:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                if $check(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(BadName { found: text.chars().take(64).collect(), wanted: $wanted })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        text_form! { $name, via as_str; }
    )*};
}

names! {
    AgentName is_label "an agent name: 1 to 63 of a-z 0-9 -, not starting or ending with -"
        "Name of a registered agent; a path segment of its SPIFFE ID.";
    ServerName is_server "a server name: 1 to 32 of a-z 0-9 -"
        "Name of a tool server; a path segment of its gateway URL.";
    ToolName is_tool "a tool name: 1 to 128 bytes without control characters, blanks or `/`"
        "Name of a tool as its server gives it.";
    OwnerName is_label "an owner name: 1 to 63 of a-z 0-9 -, not starting or ending with -"
        "The person or team accountable for an agent.";
    UserId is_user "a user id: `user:<issuer>:<subject>`, at most 255 visible ASCII characters"
        "The person or service on whose behalf a task runs; the `sub` of its tokens.";
    StageName is_label "a stage name: 1 to 63 of a-z 0-9 -, not starting or ending with -"
        "A stage of a workflow.";
    WorkflowName is_label "a workflow name: 1 to 63 of a-z 0-9 -, not starting or ending with -"
        "A workflow of the policy bundle.";
    CredentialName is_label "a credential name: 1 to 63 of a-z 0-9 -, not starting or ending with -"
        "A named credential template at a backend.";
    BackendName is_label "a backend name: 1 to 63 of a-z 0-9 -, not starting or ending with -"
        "A system that credentials are leased from.";
    AccountName is_label "an account name: 1 to 63 of a-z 0-9 -, not starting or ending with -"
        "Name of a person's account on this node.";
    ItemKind is_label "a kind of item: 1 to 63 of a-z 0-9 -, not starting or ending with -"
        "What sort of thing a tool names: `entity`, `issue`, `file`.";
    NodeName is_label "a node name: 1 to 63 of a-z 0-9 -, not starting or ending with -"
        "Name of one node; part of its log's origin.";
    PointName is_label "a point name: 1 to 63 of a-z 0-9 -, not starting or ending with -"
        "Name of an enforcement point in another process than the node.";
}

impl UserId {
    /// What the id of a person of this node begins with; the rest is the name of their account.
    const LOCAL: &str = "user:local:";

    /// The person of an account.
    pub fn of_account(account: &AccountName) -> Self {
        Self(format!("{}{account}", Self::LOCAL).into())
    }

    /// The account of a person of this node; none for people that are known elsewhere.
    pub fn account(&self) -> Option<AccountName> {
        self.as_str().strip_prefix(Self::LOCAL)?.parse().ok()
    }
}

impl ToolName {
    /// What the name of a pinned prompt begins with. A tool whose server calls it so is none.
    pub const PROMPT: &str = "prompt:";

    /// The name that the definition of a server's prompt is pinned and reviewed under; none if it has no such name, and so cannot be.
    pub fn of_prompt(name: &str) -> Option<Self> {
        format!("{}{name}", Self::PROMPT).parse().ok()
    }

    /// Whether a prompt is pinned under this name, and no tool.
    pub fn is_prompt(&self) -> bool {
        self.as_str().starts_with(Self::PROMPT)
    }
}

/// Name of a tool with its server, written `server/tool`; also the id of its Cedar action.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ToolRef {
    /// The server.
    pub server: ServerName,
    /// The tool.
    pub tool: ToolName,
}

impl fmt::Display for ToolRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.server, self.tool)
    }
}

impl FromStr for ToolRef {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let (server, tool) = text.split_once('/').ok_or_else(|| BadName {
            found: text.chars().take(64).collect(),
            wanted: "a tool reference of the form server/tool",
        })?;
        Ok(Self {
            server: server.parse()?,
            tool: tool.parse()?,
        })
    }
}

text_form! { ToolRef; }

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_server(text: &str) -> bool {
    // `__` separates server and tool in the aggregate endpoint, so `_` is not a server's character.
    (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn is_tool(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || c == '/')
}

fn is_user(text: &str) -> bool {
    text.len() <= 255
        && text.bytes().all(|b| b.is_ascii_graphic())
        && text
            .strip_prefix("user:")
            .and_then(|rest| rest.split_once(':'))
            .is_some_and(|(issuer, subject)| !issuer.is_empty() && !subject.is_empty())
}

#[cfg(test)]
mod tests;
