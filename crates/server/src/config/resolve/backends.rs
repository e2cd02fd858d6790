//! `[[broker.backends]]` and `[[broker.credentials]]`: where credentials are leased from, and what they are like.

use std::collections::BTreeMap;
use std::path::Path;

use bailiwick_broker::backend::{PostgresAt, RoleOf};
use bailiwick_broker::{MAX_TTL, MIN_TTL, Template};
use bailiwick_core::lease::{BackendKind, Delivery};
use bailiwick_core::name::{BackendName, CredentialName};

use super::Reader;
use super::elsewhere::only;
use crate::config::keys::Key;
use crate::config::raw::RawValue;
use crate::config::{Broker, units};

/// Most backends, and most credentials.
const MAX_BACKENDS: usize = 64;
const MAX_CREDENTIALS: usize = 1_024;
/// Sessions that one lease may have at most.
const MAX_CONNECTIONS: u16 = 100;
/// Live leases that a credential may have at most.
const MAX_LIVE: usize = 100_000;
const BACKEND: [&str; 5] = ["name", "kind", "url", "secret", "ca_file"];
const CREDENTIAL: [&str; 9] = [
    "name",
    "backend",
    "group",
    "owner",
    "database",
    "connections",
    "ttl",
    "max_live",
    "delivery",
];

type Members = BTreeMap<String, String>;

/// None: something is wrong, and that is told.
pub(super) fn broker(reader: &mut Reader<'_>, base: &Path) -> Option<Broker> {
    let mut broker = Broker::default();
    for members in tables(reader, Key::Backends, MAX_BACKENDS)? {
        only(reader, Key::Backends, &members, &BACKEND)?;
        let (name, at) = backend(reader, base, &members)?;
        if broker.postgres.insert(name.clone(), at).is_some() {
            let message = format!("backend {name} is there twice");
            reader.flaw(Key::Backends, message, "each has its own name");
            return None;
        }
    }
    for members in tables(reader, Key::Credentials, MAX_CREDENTIALS)? {
        only(reader, Key::Credentials, &members, &CREDENTIAL)?;
        let (name, template, role) = credential(reader, &broker, &members)?;
        broker.roles.insert(name.clone(), role);
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
) -> Option<(BackendName, PostgresAt)> {
    let key = Key::Backends;
    let name: BackendName = named(reader, key, members, "name")?;
    let kind = members.get("kind").map_or("", String::as_str);
    if kind != BackendKind::Postgres.as_str() {
        let message = format!("backend {name}: `kind` {kind:?} is none");
        reader.flaw(key, message, "this release has the kind postgres");
        return None;
    }
    let Some(url) = members.get("url") else {
        let message = format!("backend {name}: `url` is missing");
        reader.flaw(key, message, "postgresql://user@host:5432/database");
        return None;
    };
    let at = PostgresAt {
        url: url.clone(),
        secret: optional(reader, key, members, "secret")?,
        ca_file: members.get("ca_file").map(|file| base.join(file)),
    };
    if let Err(error) = at.database() {
        let message = format!("backend {name}: `url` cannot be used: {error}");
        reader.flaw(key, message, "postgresql://user@host:5432/database");
        return None;
    }
    Some((name, at))
}

fn credential(
    reader: &mut Reader<'_>,
    broker: &Broker,
    members: &Members,
) -> Option<(CredentialName, Template, RoleOf)> {
    let key = Key::Credentials;
    let name: CredentialName = named(reader, key, members, "name")?;
    let backend: BackendName = named(reader, key, members, "backend")?;
    let Some(at) = broker.postgres.get(&backend) else {
        let message = format!("credential {name}: there is no backend {backend}");
        reader.flaw(key, message, "name one of [[broker.backends]]");
        return None;
    };
    let Some(group) = members.get("group").filter(|group| !group.is_empty()) else {
        let message = format!("credential {name}: `group` is missing");
        reader.flaw(
            key,
            message,
            "the role whose rights it has; leased roles become its members",
        );
        return None;
    };
    let mut flaw = |what: &str, help: &str| {
        reader.flaw(key, format!("credential {name}: {what}"), help);
        None
    };
    let ttl = members.get("ttl").map_or("10m", String::as_str);
    let ttl = match units::duration(ttl) {
        Ok(ttl) if (MIN_TTL..=MAX_TTL).contains(&ttl) => ttl,
        _ => return flaw("`ttl` is out of range", "it takes 30s to 1h"),
    };
    let Some(max_live) = counted(members, "max_live", 200, MAX_LIVE) else {
        return flaw("`max_live` is out of range", "it takes \"1\" to \"100000\"");
    };
    let Some(connections) = counted(members, "connections", 2, MAX_CONNECTIONS) else {
        return flaw("`connections` is out of range", "it takes \"1\" to \"100\"");
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
            "`delivery` names a way in which no role is handed over",
            "write some of: env file api",
        );
    }
    let database = match (members.get("database"), at.database()) {
        (Some(database), _) => database.clone(),
        (None, Ok(database)) => database,
        (None, Err(_)) => return None,
    };
    let template = Template {
        backend,
        ttl,
        max_live,
        delivery,
    };
    let role = RoleOf {
        group: group.clone(),
        owner: members.get("owner").cloned(),
        connections,
        database,
    };
    Some((name, template, role))
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

fn counted<T: std::str::FromStr + PartialOrd + From<u8> + Copy>(
    members: &Members,
    member: &str,
    default: T,
    most: T,
) -> Option<T> {
    let Some(text) = members.get(member) else {
        return Some(default);
    };
    let count: T = text.parse().ok()?;
    (count >= T::from(1) && count <= most).then_some(count)
}
