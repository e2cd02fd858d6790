//! What the name of a value promises: `DB_PASSWORD` a password, `api_token` a token, `TOKEN_TTL` and `password_file` nothing.

/// What a value has to look like to be what its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promise {
    /// A person may have chosen it.
    Password,
    /// A machine drew it.
    Token,
    /// A machine drew it, and the name is not sure: it has to look so by far.
    Perhaps,
}

/// Longest name that is looked at, in bytes.
pub(super) const LONGEST: usize = 128;

/// Words that promise a secret by themselves, also at the end of a longer word.
const PASSWORDS: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "pwd",
    "passcode",
    "requirepass",
    "masterauth",
    "pass",
];
const TOKENS: [&str; 15] = [
    "secret",
    "token",
    "apikey",
    "credential",
    "credentials",
    "secrets",
    "accesskey",
    "secretkey",
    "privatekey",
    "authkey",
    "authorization",
    "bearer",
    "jwt",
    "authtoken",
    "tokens",
];
/// What a key is for, where that makes it a secret.
const OF_KEY: [&str; 26] = [
    "api",
    "secret",
    "access",
    "private",
    "encryption",
    "signing",
    "master",
    "auth",
    "account",
    "storage",
    "service",
    "admin",
    "license",
    "subscription",
    "shared",
    "session",
    "app",
    "application",
    "deploy",
    "consumer",
    "hmac",
    "jwt",
    "webhook",
    "client",
    "crypt",
    "cipher",
];
/// Words after which the value is something about the secret.
const DISARMING: [&str; 96] = [
    "name",
    "names",
    "file",
    "filename",
    "path",
    "dir",
    "directory",
    "header",
    "ttl",
    "url",
    "uri",
    "endpoint",
    "id",
    "ids",
    "count",
    "length",
    "len",
    "type",
    "types",
    "size",
    "max",
    "min",
    "limit",
    "limits",
    "policy",
    "policies",
    "algorithm",
    "alg",
    "expiry",
    "expires",
    "expiration",
    "exp",
    "timeout",
    "enabled",
    "disabled",
    "required",
    "field",
    "fields",
    "label",
    "column",
    "prefix",
    "suffix",
    "regex",
    "regexp",
    "pattern",
    "format",
    "version",
    "public",
    "pub",
    "ref",
    "reference",
    "arn",
    "location",
    "issuer",
    "scope",
    "scopes",
    "audience",
    "mode",
    "rotation",
    "interval",
    "strength",
    "hint",
    "message",
    "msg",
    "description",
    "text",
    "title",
    "placeholder",
    "validator",
    "provider",
    "manager",
    "class",
    "method",
    "index",
    "usage",
    "cursor",
    "page",
    "next",
    "continuation",
    "cancellation",
    "csrf",
    "xsrf",
    "primary",
    "foreign",
    "cache",
    "tokenizer",
    "host",
    "port",
    "region",
    "environment",
    "command",
    "helper",
    "checksum",
    "fingerprint",
    "hash",
    "lifetime",
];

/// What a name promises about its value.
pub(super) fn promise(name: &[u8]) -> Option<Promise> {
    let words = words(name.get(..LONGEST).unwrap_or(name));
    if words.iter().any(|word| word == "secret") && words.last().is_some_and(|word| word == "id") {
        // Vault's AppRole calls a credential `secret_id`.
        return Some(Promise::Token);
    }
    if words.iter().any(|word| DISARMING.contains(&word.as_str())) {
        return None;
    }
    let ends = |known: &[&str]| {
        words.iter().any(|word| {
            let stem = word.trim_end_matches(|c: char| c.is_ascii_digit());
            known
                .iter()
                .any(|bearing| stem == *bearing || (bearing.len() > 4 && stem.ends_with(bearing)))
        })
    };
    if ends(&PASSWORDS) {
        return Some(Promise::Password);
    }
    if ends(&TOKENS) {
        return Some(Promise::Token);
    }
    let position = words
        .iter()
        .position(|word| word == "key" || word == "keys")?;
    let before = position.checked_sub(1).and_then(|at| words.get(at))?;
    if OF_KEY.contains(&before.as_str()) {
        return Some(Promise::Token);
    }
    // `STRIPE_KEY`, `sendgridKey`: of some service, or of a map.
    (position + 1 == words.len()).then_some(Promise::Perhaps)
}

/// The words of a name, in lower case: split at what is no letter or digit, and at humps.
fn words(name: &[u8]) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut previous = b' ';
    for (at, byte) in name.iter().enumerate() {
        let next_is_lower = name.get(at + 1).is_some_and(u8::is_ascii_lowercase);
        let hump = byte.is_ascii_uppercase()
            && (previous.is_ascii_lowercase() || (previous.is_ascii_uppercase() && next_is_lower));
        if (hump || !byte.is_ascii_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if byte.is_ascii_alphanumeric() {
            word.push(char::from(byte.to_ascii_lowercase()));
        }
        previous = *byte;
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests;
