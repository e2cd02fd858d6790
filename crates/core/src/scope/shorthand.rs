//! The OAuth `scope` parameter (RFC 6749 §3.3): `server:effect` stands for any tool of the server with that effect.

use super::grant::Grant;
use super::pattern::{BadPattern, Names};
use super::{Code, Fault, MAX_GRANTS, Scope};
use crate::effect::BadEffect;

/// The grants of an OAuth scope parameter: words `server:effect`, separated by single spaces.
pub fn from_oauth(parameter: &str) -> Result<Vec<Grant>, BadShorthand> {
    if parameter.split(' ').count() > MAX_GRANTS {
        return Err(BadShorthand::TooMany);
    }
    parameter.split(' ').map(word).collect()
}

impl Scope {
    /// The OAuth words that this scope comes under. They show its reach; only the grants say what it permits.
    pub fn to_oauth(&self) -> String {
        let mut words: Vec<String> = self
            .grants
            .iter()
            .flat_map(|grant| {
                grant.server.iter().flat_map(|server| {
                    grant
                        .effects
                        .iter()
                        .map(move |effect| format!("{server}:{effect}"))
                })
            })
            .collect();
        words.sort();
        words.dedup();
        words.join(" ")
    }
}

/// Why an OAuth scope parameter is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadShorthand {
    /// A word without `:`.
    #[error("an OAuth scope word has the form server:effect")]
    Form,
    /// The part before `:`.
    #[error("the server of an OAuth scope word")]
    Server(#[source] BadPattern),
    /// The part after `:`.
    #[error("the effect of an OAuth scope word")]
    Effect(#[source] BadEffect),
    /// More words than a scope has grants.
    #[error("more than 128 OAuth scope words")]
    TooMany,
}

impl Fault for BadShorthand {
    fn code(&self) -> Code {
        match self {
            Self::TooMany => Code::ScopeTooLarge,
            Self::Form | Self::Server(_) | Self::Effect(_) => Code::InvalidInput,
        }
    }

    fn help(&self) -> String {
        "for example `github:read github:write`; use authorization_details for anything finer"
            .to_owned()
    }
}

fn word(word: &str) -> Result<Grant, BadShorthand> {
    let (server, effect) = word.rsplit_once(':').ok_or(BadShorthand::Form)?;
    let server = Names::parse([server]).map_err(BadShorthand::Server)?;
    let tool = Names::parse(["*"]).map_err(BadShorthand::Server)?;
    let effect = effect.parse().map_err(BadShorthand::Effect)?;
    Ok(Grant::open(server, tool, [effect]))
}
