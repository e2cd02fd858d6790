//! Forms that ask for what nobody should type into one: the specification forbids servers to (2025-11-25 and 2026-07-28, elicitation).

use bailiwick_core::json::{Kind, Text};

/// Words of a field's name, title or description that a form may not have.
const SECRETS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "apikey",
    "accesskey",
    "privatekey",
    "accesstoken",
    "refreshtoken",
    "authtoken",
    "bearertoken",
    "credential",
    "cardnumber",
    "creditcard",
    "debitcard",
    "cvv",
    "cvc",
    "securitycode",
    "pincode",
    "onetimecode",
    "otp",
    "seedphrase",
    "mnemonic",
    "ssn",
    "socialsecurity",
];

/// Whether a form asks for a secret, or is none that can be read. `params` are those of `elicitation/create`.
pub(super) fn wants_secret(params: &Text<'_>) -> bool {
    let Some(schema) = params.member("requestedSchema") else {
        return true;
    };
    let Some(properties) = schema
        .member("properties")
        .filter(|properties| properties.kind() == Kind::Object)
    else {
        return true;
    };
    let fields = properties.members().unwrap_or_default();
    fields.iter().any(|field| {
        let said = |member: &str| {
            let text = field.value.member(member)?.string()?;
            Some(is_secret(&text))
        };
        let format = field
            .value
            .member("format")
            .and_then(|format| format.string());
        is_secret(&field.key)
            || said("title") == Some(true)
            || said("description") == Some(true)
            || format.as_deref() == Some("password")
    })
}

/// Compared without case, blanks and punctuation: `API-Key`, `api key` and `apiKey` are one.
fn is_secret(text: &str) -> bool {
    let bare: String = text
        .chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    // Short words stand for themselves alone, so that `adopt` is no `otp`.
    SECRETS.iter().any(|word| {
        if word.len() > 3 {
            bare.contains(word)
        } else {
            words(text).any(|own| own == *word)
        }
    })
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .map(str::to_lowercase)
}
