//! The agent's commands: one JSON object a line.

use serde::Deserialize;
use serde_json::{Map, Value};

/// One line of the script.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Command {
    /// Repeated in every answer to the command; without it, the number of the line, from 1.
    #[serde(default)]
    pub id: Option<Value>,
    /// What to do.
    #[serde(flatten)]
    pub act: Act,
}

/// What a command asks for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Act {
    /// `{"call": TOOL, "args": {…}, "progress": true}`: calls a tool; with `progress` its notifications are reported too.
    Call {
        /// The tool.
        call: String,
        /// Its arguments.
        #[serde(default)]
        args: Map<String, Value>,
        /// Whether to report progress.
        #[serde(default)]
        progress: bool,
    },
    /// `{"list": true}`: lists the tools, from the server each time.
    List {
        /// Always true.
        list: True,
    },
    /// `{"raw": METHOD, "params": {…}}`: sends a request of any method.
    Raw {
        /// The JSON-RPC method.
        raw: String,
        /// Its parameters.
        #[serde(default)]
        params: Option<Value>,
    },
    /// `{"cancel": ID}`: cancels the running call with that id.
    Cancel {
        /// The call's id.
        cancel: Value,
    },
    /// `{"close": true}`: waits for the calls that run, then ends.
    Close {
        /// Always true.
        close: True,
    },
}

/// The literal `true`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "bool")]
pub struct True;

impl TryFrom<bool> for True {
    type Error = &'static str;

    fn try_from(value: bool) -> Result<Self, Self::Error> {
        if value {
            Ok(Self)
        } else {
            Err("only `true` makes sense here")
        }
    }
}
