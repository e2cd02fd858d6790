//! Which prompt or resources a request is about, read from its params.

use bailiwick_core::Code;
use bailiwick_core::json::{Kind, Text};
use bailiwick_core::name::ToolName;
use serde_json::Value;

use super::Fetched;
use crate::answer::Refusal;
use crate::catalogue::LastShown;
use crate::decider::What;
use crate::mcp::envelope::Envelope;

/// Longest URI of a resource, in bytes.
pub(super) const MAX_URI: usize = 4 << 10;
/// Most resources that one stream may be about.
pub(super) const MAX_WATCHED: usize = 64;

/// What a request is about.
#[derive(Debug)]
pub(super) enum Wanted {
    /// A prompt.
    Prompt {
        pinned: ToolName,
        name: String,
        arguments: Value,
    },
    /// Resources, or templates of them.
    Resources(Vec<String>),
}

impl Wanted {
    /// Reads the params of a request.
    pub(super) fn read(fetched: Fetched, envelope: &Envelope) -> Result<Self, Refusal> {
        let params = envelope.params();
        let text = |member: &str| Some(params?.member(member)?.string()?.into_owned());
        match fetched {
            Fetched::Prompt => {
                let arguments = params.and_then(|params| params.member("arguments"));
                let wrong = arguments.is_some_and(|arguments| arguments.kind() != Kind::Object);
                match text("name") {
                    Some(name) if !wrong => Self::prompt(name, value(arguments)),
                    _ => Err(malformed("send params {name, arguments}")),
                }
            }
            Fetched::Resource => match text("uri") {
                Some(uri) => Self::resources(vec![uri]),
                None => Err(malformed("send params {uri}")),
            },
            Fetched::Completion => {
                let reference = params.and_then(|params| params.member("ref"));
                let part = |member: &str| Some(reference?.member(member)?.string()?.into_owned());
                match (part("type").as_deref(), part("name"), part("uri")) {
                    (Some("ref/prompt"), Some(name), _) => Self::prompt(name, Value::Null),
                    (Some("ref/resource"), _, Some(uri)) => Self::resources(vec![uri]),
                    _ => Err(malformed(
                        "send params {ref: {type: ref/prompt, name} or {type: ref/resource, uri}, argument}",
                    )),
                }
            }
            Fetched::Stream => {
                let watched = params.and_then(|params| {
                    params
                        .member("notifications")?
                        .member("resourceSubscriptions")
                });
                let Some(watched) = watched else {
                    return Self::resources(Vec::new());
                };
                let uris = watched.elements().and_then(|elements| {
                    let uris = elements.iter();
                    uris.map(|uri| Some(uri.string()?.into_owned())).collect()
                });
                uris.map_or_else(
                    || Err(malformed("resourceSubscriptions is a list of URIs")),
                    Self::resources,
                )
            }
        }
    }

    /// The name that a prompt is pinned under.
    pub(super) fn pinned(&self) -> Option<&ToolName> {
        match self {
            Self::Prompt { pinned, .. } => Some(pinned),
            Self::Resources(_) => None,
        }
    }

    /// Each of them, to be decided. `shown` is the digest of the prompt.
    pub(super) fn each(&self, shown: LastShown) -> Vec<What<'_>> {
        match self {
            Self::Prompt {
                pinned,
                name,
                arguments,
            } => vec![What::Prompt {
                pinned,
                name,
                shown,
                arguments,
            }],
            Self::Resources(uris) => uris.iter().map(|uri| What::Resource { uri }).collect(),
        }
    }

    fn prompt(name: String, arguments: Value) -> Result<Self, Refusal> {
        let pinned = ToolName::of_prompt(&name).ok_or_else(|| {
            let message = "there is no prompt of this name";
            Refusal::new(Code::ToolUnknown, message, "see prompts/list")
        })?;
        Ok(Self::Prompt {
            pinned,
            name,
            arguments,
        })
    }

    fn resources(uris: Vec<String>) -> Result<Self, Refusal> {
        if uris.len() > MAX_WATCHED {
            let help = format!("a stream is about at most {MAX_WATCHED} resources");
            return Err(malformed(&help));
        }
        if uris.iter().any(|uri| uri.is_empty() || uri.len() > MAX_URI) {
            return Err(malformed(&format!("a URI has 1 to {MAX_URI} bytes")));
        }
        Ok(Self::Resources(uris))
    }
}

fn value(text: Option<Text<'_>>) -> Value {
    text.and_then(|text| serde_json::from_str(text.as_str()).ok())
        .unwrap_or_default()
}

fn malformed(help: &str) -> Refusal {
    let message = "the request does not say what it is about, or says it in another form";
    Refusal::new(Code::EnvelopeInvalid, message, help)
}
