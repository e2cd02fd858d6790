//! Links, addresses and account numbers inside longer text.

use bailiwick_core::normal::{is_iban, normal};

/// What was found, in normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entity {
    /// A link, or a host with a path.
    Link(String),
    /// An address of mail.
    Address(String),
    /// An international account number.
    Account(String),
    /// A file path.
    Path(String),
}

impl Entity {
    /// Its normal form.
    pub(super) fn form(&self) -> &str {
        match self {
            Self::Link(form) | Self::Address(form) | Self::Account(form) | Self::Path(form) => form,
        }
    }
}

/// All of them in a text in plain form, in its order.
pub(super) fn entities(plain: &str) -> Vec<Entity> {
    let mut found = Vec::new();
    let tokens: Vec<&str> = plain
        .split(|character: char| character == ' ' || QUOTES.contains(&character))
        .map(|token| {
            token
                .trim_end_matches(PUNCTUATION)
                .trim_start_matches(PUNCTUATION)
        })
        .filter(|token| !token.is_empty())
        .collect();
    for (at, token) in tokens.iter().enumerate() {
        found.extend(of_token(token));
        // Account numbers are written in groups of four.
        let starts =
            token.len() <= 4 && token.bytes().take(2).all(|byte| byte.is_ascii_lowercase());
        if starts {
            let mut joined = String::new();
            for group in tokens
                .iter()
                .skip(at)
                .take(9)
                .take_while(|group| group.len() <= 4)
            {
                joined.push_str(group);
                if is_iban(&joined) {
                    found.push(Entity::Account(joined.clone()));
                }
            }
        }
    }
    found
}

/// The host of a link in normal form.
pub(super) fn host(link: &str) -> &str {
    let end = link.find(['/', '?', '#', ':']).unwrap_or(link.len());
    link.get(..end).unwrap_or(link)
}

fn of_token(token: &str) -> Option<Entity> {
    if let Some((_, rest)) = token.split_once("://") {
        return (!rest.is_empty()).then(|| Entity::Link(normal(token)));
    }
    if let Some((local, domain)) = token.rsplit_once('@') {
        let is_one = !local.is_empty() && domain.contains('.') && !domain.contains('/');
        return is_one.then(|| Entity::Address(normal(token)));
    }
    if is_iban(token) {
        return Some(Entity::Account(token.to_owned()));
    }
    let (first, path) = token
        .split_once('/')
        .map_or((token, None), |(first, path)| (first, Some(path)));
    let named = is_host(first) && (first.starts_with("www.") || path.is_some());
    if named {
        return Some(Entity::Link(normal(token)));
    }
    (token.starts_with('/') && path.is_some_and(|path| !path.is_empty()))
        .then(|| Entity::Path(normal(token)))
}

/// Labels with points between them, the last of letters.
fn is_host(text: &str) -> bool {
    let (_, last) = text.rsplit_once('.').unwrap_or_default();
    last.len() >= 2
        && last.chars().all(char::is_alphabetic)
        && text.split('.').all(|label| {
            !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        })
}

/// Never part of what is looked for.
const QUOTES: &[char] = &[
    '"', '<', '>', '`', '“', '”', '‘', '’', '(', ')', '[', ']', '{', '}', '|', ';', ',',
];
/// Ends a sentence, or a quotation.
const PUNCTUATION: &[char] = &['.', '!', '?', ':', '\''];
