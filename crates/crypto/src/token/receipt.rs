//! Receipts of revocations, signed. A receipt has no audience and no end: whoever keeps it can prove later what it says, with the issuer's
//! public keys alone.

use bailiwick_core::receipt::Receipt;
use serde_json::Value;

use super::{KeySet, ReceiptKeys, TokenError};
use crate::jose::{self, KeySource, Rules, Typ, Unverified};
use crate::jwk::Algorithm;
use crate::keys::SigningKey;

/// The `typ` of a receipt.
pub const TYP: &str = "revocation-receipt+jwt";

const RULES: Rules = Rules {
    class: "revocation receipt",
    typ: Typ::MediaType(TYP),
    algorithms: &[Algorithm::Es256],
    key: KeySource::Kid,
};

/// Signs a receipt. One that nobody could read, being over [`jose::MAX_TOKEN`] bytes, is refused here.
pub fn issue(key: &SigningKey, receipt: &Receipt) -> Result<String, TokenError> {
    Ok(jose::sign(key, Some(TYP), receipt)?)
}

/// Reads a receipt that one of these keys signed.
pub fn verify(text: &str, keys: &KeySet<ReceiptKeys>) -> Result<Receipt, TokenError> {
    let class = RULES.class;
    let unverified = Unverified::parse(text.trim(), &RULES)?;
    let kid = unverified.header().kid.clone().unwrap_or_default();
    let key = keys
        .key(&kid)
        .ok_or(TokenError::UnknownKey { class, kid })?;
    let members = jose::claims(&unverified.verify(key)?)?;
    serde_json::from_value(Value::Object(members))
        .map_err(|source| TokenError::Claims { class, source })
}

#[cfg(test)]
mod tests;
