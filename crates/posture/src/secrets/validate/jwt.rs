//! JSON Web Tokens (RFC 7519): read, not verified. Issuer, audience and expiry are shown; so is that a token never expires.

use serde_json::Value;

use super::{Public, decoded_base64};

/// Longest claim that is shown.
const SHOWN: usize = 200;

/// The public parts of a token; none if its first two parts are no JSON objects, or it has no algorithm.
pub(super) fn read(token: &[u8]) -> Option<Vec<Public>> {
    let mut parts = token.split(|byte| *byte == b'.');
    let header = object(parts.next()?)?;
    let payload = object(parts.next()?)?;
    header.get("alg")?.as_str()?;
    let mut public = Vec::new();
    for claim in ["iss", "aud"] {
        let text = match payload.get(claim) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(texts)) => texts
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(","),
            _ => continue,
        };
        public.push((claim, text.chars().take(SHOWN).collect()));
    }
    let expiry = payload.get("exp").and_then(Value::as_i64);
    public.push((
        "exp",
        expiry.map_or_else(|| "never".to_owned(), |at| at.to_string()),
    ));
    Some(public)
}

fn object(part: &[u8]) -> Option<serde_json::Map<String, Value>> {
    serde_json::from_slice(&decoded_base64(part)?).ok()
}
