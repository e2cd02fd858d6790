//! The engine that finds secrets in bytes, whatever they come from: one pass for literals, then rules, names and decoders
//! only round a hit.

mod bigram;
mod decode;
mod engine;
mod filter;
mod find;
mod fingerprint;
mod foreign;
mod key_name;
mod lines;
mod memo;
mod pem;
mod rule;
#[cfg(test)]
pub(crate) mod sample;
mod sentence;
mod url;
mod validate;
mod value;

pub use engine::{Engine, Load, Unit};
pub use find::{Find, Public, Severity};
pub use fingerprint::{Digest, Fingerprint, FingerprintKey};
pub use foreign::{ForeignRules, RuleFlaw};
pub use memo::Memo;
pub use rule::{RuleError, builtin};
