//! `[[broker.backends]]` and `[[broker.credentials]]`: where credentials are leased from, and what they are like.

use std::collections::BTreeMap;
use std::path::Path;

use bailiwick_broker::backend::{AccountOf, BackendAt, Members as Written, ServerAt};
use bailiwick_broker::{MAX_TTL, MIN_TTL, Template};
use bailiwick_core::lease::Delivery;
use bailiwick_core::name::{BackendName, CredentialName};

use super::Reader;
use super::elsewhere::only;
use crate::config::keys::Key;
use crate::config::raw::RawValue;
use crate::config::{Broker, units};

/// Most backends, and most credentials.
const MAX_BACKENDS: usize = 64;
const MAX_CREDENTIALS: usize = 1_024;
/// Live leases that a credential may have at most.
const MAX_LIVE: u32 = 100_000;
const BACKEND: [&str; 5] = ["name", "kind", "url", "secret", "ca_file"];
const CREDENTIAL: [&str; 6] = [
    "name",
    "backend",
    "ttl",
    "max_live",
    "delivery",
    "accept_no_backstop",
];

type Members = BTreeMap<String, String>;

/// None: something is wrong, and that is told.
pub(super) fn broker(reader: &mut Reader<'_>, base: &Path) -> Option<Broker> {
    let mut broker = Broker::default();
    for members in tables(reader, Key::Backends, MAX_BACKENDS)? {
        only(reader, Key::Backends, &members, &BACKEND)?;
        let (name, at) = backend(reader, base, &members)?;
        if broker.backends.insert(name.clone(), at).is_some() {
            let message = format!("backend {name} is there twice");
            reader.flaw(Key::Backends, message, "each has its own name");
            return None;
        }
    }
    for members in tables(reader, Key::Credentials, MAX_CREDENTIALS)? {
        let (name, template, account) = credential(reader, &broker, &members)?;
        broker.accounts.insert(name.clone(), account);
        if broker.credentials.insert(name.clone(), template).is_some() {
            let message = format!("credential {name} is there twice");
            reader.flaw(Key::Credentials, message, "each has its own name");
            return None;
        }
    }
    Some(broker)
}

pub(super) fn tables(reader: &mut Reader<'_>, key: Key, most: usize) -> Option<Vec<Members>> {
    let Some(RawValue::Tables(written)) = reader.value(key) else {
        return None;
    };
    if written.len() > most {
        reader.flaw(key, "too many", format!("it takes at most {most}"));
        return None;
    }
    Some(written)
}

fn backend(
    reader: &mut Reader<'_>,
    base: &Path,
    members: &Members,
) -> Option<(BackendName, BackendAt)> {
    let key = Key::Backends;
    let name: BackendName = named(reader, key, members, "name")?;
    let word = members.get("kind").map_or("", String::as_str);
    let kind = BackendAt::KINDS.iter().find(|kind| kind.as_str() == word);
    let Some(kind) = kind.copied() else {
        let message = format!("backend {name}: `kind` {word:?} is none");
        let known: Vec<&str> = BackendAt::KINDS.iter().map(|kind| kind.as_str()).collect();
        let help = format!("this release has the kinds {}", known.join(", "));
        reader.flaw(key, message, help);
        return None;
    };
    let Some(url) = members.get("url") else {
        let message = format!("backend {name}: `url` is missing");
        reader.flaw(key, message, BackendAt::form(kind));
        return None;
    };
    let server = ServerAt {
        url: url.clone(),
        secret: optional(reader, key, members, "secret")?,
        ca_file: members.get("ca_file").map(|file| base.join(file)),
    };
    let at = BackendAt { kind, server };
    if let Err(error) = at.check() {
        let message = format!("backend {name}: `url` cannot be used: {error}");
        reader.flaw(key, message, BackendAt::form(kind));
        return None;
    }
    Some((name, at))
}

fn credential(
    reader: &mut Reader<'_>,
    broker: &Broker,
    members: &Members,
) -> Option<(CredentialName, Template, AccountOf)> {
    let key = Key::Credentials;
    let name: CredentialName = named(reader, key, members, "name")?;
    let backend: BackendName = named(reader, key, members, "backend")?;
    let Some(at) = broker.backends.get(&backend) else {
        let message = format!("credential {name}: there is no backend {backend}");
        reader.flaw(key, message, "name one of [[broker.backends]]");
        return None;
    };
    let known = [&CREDENTIAL, BackendAt::members(at.kind)].concat();
    only(reader, key, members, &known)?;
    let mut flaw = |what: &str, help: &str| {
        reader.flaw(key, format!("credential {name}: {what}"), help);
        None
    };
    let written = Written::new(members);
    let account = match at.account(written) {
        Ok(account) => account,
        Err(error) => return flaw(&error.what, &error.help),
    };
    let max_live = match written.counted("max_live", 200_u32, MAX_LIVE) {
        Ok(max_live) => max_live,
        Err(error) => return flaw(&error.what, &error.help),
    };
    let ttl = members.get("ttl").map_or("10m", String::as_str);
    let ttl = match units::duration(ttl) {
        Ok(ttl) if (MIN_TTL..=MAX_TTL).contains(&ttl) => ttl,
        _ => return flaw("`ttl` is out of range", "it takes 30s to 1h"),
    };
    let delivery = members.get("delivery").map_or("api", String::as_str);
    let delivery = delivery.split_whitespace().map(str::parse).collect();
    let delivery: Vec<Delivery> = match delivery {
        Ok(delivery) => delivery,
        Err(error) => {
            let error: bailiwick_core::lease::UnknownWord = error;
            return flaw(
                &format!("`delivery`: {error}"),
                "write some of: env file api",
            );
        }
    };
    let takes = |way: &Delivery| matches!(way, Delivery::Env | Delivery::File | Delivery::Api);
    if delivery.is_empty() || !delivery.iter().all(takes) {
        return flaw(
            "`delivery` names a way in which no account is handed over",
            "write some of: env file api",
        );
    }
    match (
        at.kind.native_end(),
        members.get("accept_no_backstop").map(String::as_str),
    ) {
        (_, Some("true")) | (true, None | Some("false")) => {}
        (false, None | Some("false")) => {
            return flaw(
                &format!(
                    "what is made at {} ends there only if this node comes to take it away",
                    at.kind
                ),
                "if that is acceptable, write accept_no_backstop = \"true\"",
            );
        }
        (_, Some(_)) => return flaw("`accept_no_backstop` is neither", "write true or false"),
    }
    let template = Template {
        backend,
        ttl,
        max_live: usize::try_from(max_live).unwrap_or(usize::MAX),
        delivery,
    };
    Some((name, template, account))
}

pub(super) fn named<T: std::str::FromStr<Err: std::fmt::Display>>(
    reader: &mut Reader<'_>,
    key: Key,
    members: &Members,
    member: &str,
) -> Option<T> {
    let text = members.get(member).map_or("", String::as_str);
    let read = text.parse();
    if let Err(error) = &read {
        reader.flaw(key, format!("`{member}`: {error}"), "");
    }
    read.ok()
}

/// Outer none: it is wrong, and that is told.
#[expect(
    clippy::option_option,
    reason = "outer: whether it can be used; inner: whether it is there"
)]
fn optional(
    reader: &mut Reader<'_>,
    key: Key,
    members: &Members,
    member: &str,
) -> Option<Option<CredentialName>> {
    if members.contains_key(member) {
        return named(reader, key, members, member).map(Some);
    }
    Some(None)
}

#[cfg(test)]
mod tests;
