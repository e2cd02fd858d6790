//! Keys that name places elsewhere: `ship`, `export.otlp`, `export.parquet`, `login`, `webhook`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use bailiwick_core::client::ClientId;
use bailiwick_core::name::AgentName;
use reqwest::Url;

use super::{Reader, is_origin, loopback_host};
use crate::config::keys::{Key, nearest};
use crate::config::raw::RawValue;
use crate::config::{LoginAt, ParquetTo, ShipTo, WebhookTo, units};
use crate::ship::Place;

/// Outer none: it is wrong, and that is told; inner none: it is not there.
pub(super) type Optional<T> = Option<Option<T>>;

pub(super) fn ship(reader: &mut Reader<'_>) -> Optional<ShipTo> {
    let key = Key::AuditShip;
    let Some(members) = members(reader, key, &["url", "every"])? else {
        return Some(None);
    };
    let url = needed(reader, key, &members, "url")?;
    if !Place::takes_files(&url) {
        let message = format!("`{url}` is no place that files can be shipped to");
        reader.flaw(
            key,
            message,
            "write s3://bucket/prefix or file:///directory",
        );
        return None;
    }
    let every = every(reader, key, &members, "10s", "1s", "1h")?;
    Some(Some(ShipTo { url, every }))
}

pub(super) fn otlp(reader: &mut Reader<'_>) -> Optional<String> {
    let key = Key::ExportOtlp;
    let Some(members) = members(reader, key, &["endpoint"])? else {
        return Some(None);
    };
    let endpoint = needed(reader, key, &members, "endpoint")?;
    let base = web(reader, key, &endpoint, "the record")?;
    Some(Some(base))
}

pub(super) fn parquet(reader: &mut Reader<'_>, base: &Path) -> Optional<ParquetTo> {
    let key = Key::ExportParquet;
    let Some(members) = members(reader, key, &["dir", "every"])? else {
        return Some(None);
    };
    let dir = needed(reader, key, &members, "dir")?;
    if dir.is_empty() {
        reader.flaw(key, "an empty path names no directory", "");
        return None;
    }
    let every = every(reader, key, &members, "1h", "1s", "24h")?;
    let dir = base.join(dir);
    Some(Some(ParquetTo { dir, every }))
}

/// Who is told of what people should know of.
pub(super) fn webhook(reader: &mut Reader<'_>, base: &Path) -> Optional<WebhookTo> {
    let key = Key::NotifyWebhook;
    let Some(members) = members(reader, key, &["url", "secret_file"])? else {
        return Some(None);
    };
    let url = needed(reader, key, &members, "url")?;
    web(reader, key, &url, "what people are told")?;
    let secret_file = needed(reader, key, &members, "secret_file")?;
    if secret_file.is_empty() {
        reader.flaw(key, "an empty path names no file", "");
        return None;
    }
    Some(Some(WebhookTo {
        url,
        secret_file: base.join(secret_file),
    }))
}

/// Where people sign in.
pub(super) fn login(reader: &mut Reader<'_>, base: &Path) -> Optional<LoginAt> {
    let key = Key::Login;
    let known = ["issuer", "client_id", "secret_file", "name"];
    let Some(members) = members(reader, key, &known)? else {
        return Some(None);
    };
    let issuer = needed(reader, key, &members, "issuer")?;
    web(reader, key, &issuer, "what people sign in with")?;
    let client_id = needed(reader, key, &members, "client_id")?;
    let secret_file = needed(reader, key, &members, "secret_file")?;
    if client_id.is_empty() || secret_file.is_empty() {
        reader.flaw(key, "client_id and secret_file cannot be empty", "");
        return None;
    }
    let name = members.get("name").map_or("login", String::as_str);
    let Ok(name) = name.parse() else {
        let message = format!("`{name}` cannot be part of a user's name");
        reader.flaw(key, message, "`name` takes 1 to 63 of a-z 0-9 -");
        return None;
    };
    Some(Some(LoginAt {
        name,
        // Compared byte by byte with what the provider says (OpenID Connect Discovery §4.3), so it stays as written.
        issuer,
        client_id,
        secret_file: base.join(secret_file),
    }))
}

/// Most hosts of one key.
const MAX_HOSTS: usize = 64;

/// Hosts that may have addresses which are not public.
pub(super) fn private_hosts(reader: &mut Reader<'_>) -> Option<Vec<String>> {
    let key = Key::PrivateHosts;
    let hosts = reader.texts(key)?;
    hosts_as_in_urls(reader, key, hosts.iter())?;
    Some(hosts)
}

/// Hosts at which clients publish themselves, and the agents that they act as.
pub(super) fn client_hosts(reader: &mut Reader<'_>) -> Option<BTreeMap<String, AgentName>> {
    let key = Key::ClientHosts;
    let Some(RawValue::Table(written)) = reader.value(key) else {
        return Some(BTreeMap::new());
    };
    hosts_as_in_urls(reader, key, written.keys().filter(|host| *host != "*"))?;
    let mut hosts = BTreeMap::new();
    for (host, agent) in written {
        let Ok(agent) = agent.parse() else {
            let message = format!("`{agent}` is no name of an agent");
            reader.flaw(
                key,
                message,
                "write the agent that clients of the host act as",
            );
            return None;
        };
        hosts.insert(host, agent);
    }
    Some(hosts)
}

/// Clients that may have tokens without a key, each by its whole id.
pub(super) fn unbound_clients(reader: &mut Reader<'_>) -> Option<BTreeSet<ClientId>> {
    let key = Key::UnboundClients;
    let mut clients = BTreeSet::new();
    for name in reader.texts(key)? {
        match name.parse() {
            Ok(client) if clients.len() < MAX_HOSTS => clients.insert(client),
            _ => {
                let message = format!("`{name}` is no client, or there are more than {MAX_HOSTS}");
                let help = "name each by its whole `client_id`; there is no word for all of them";
                reader.flaw(key, message, help);
                return None;
            }
        };
    }
    Some(clients)
}

/// None if one of these is not as URLs have it, since that is what it is compared with; and that is told.
fn hosts_as_in_urls<'a>(
    reader: &mut Reader<'_>,
    key: Key,
    hosts: impl Iterator<Item = &'a String>,
) -> Option<()> {
    for (at, host) in hosts.enumerate() {
        let url = Url::parse(&format!("https://{host}/")).ok();
        let plain = url.as_ref().and_then(Url::host_str);
        let as_written = plain.is_some_and(|plain| {
            *host == plain
                || host
                    .strip_prefix(plain)
                    .and_then(|rest| rest.strip_prefix(':'))
                    .is_some_and(|port| port.parse::<u16>().is_ok())
        });
        if !as_written || at >= MAX_HOSTS {
            let message = format!("`{host}` is no host, or there are more than {MAX_HOSTS}");
            let help =
                "write a name in lower case or an address, and a port if only that one is meant";
            reader.flaw(key, message, help);
            return None;
        }
    }
    Some(())
}

/// An http or https URL without query, without a slash at its end; http for loopback alone. `what` would go over the network otherwise.
fn web(reader: &mut Reader<'_>, key: Key, url: &str, what: &str) -> Option<String> {
    let base = url.trim_end_matches('/');
    let origin = base.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    if !is_origin(&origin) || base.contains(['?', '#']) {
        let message = format!("`{url}` is not an http or https URL");
        reader.flaw(key, message, "such as https://collector.example:4318");
        return None;
    }
    if origin.starts_with("http://") && !loopback_host(&origin) {
        let message = format!("`{url}` would send {what} over the network in the clear");
        reader.flaw(key, message, "use https for a host that is not loopback");
        return None;
    }
    Some(base.to_owned())
}

/// The members of a table, if it is there and has no other than these.
pub(super) fn members(
    reader: &mut Reader<'_>,
    key: Key,
    known: &[&'static str],
) -> Optional<BTreeMap<String, String>> {
    let Some(RawValue::Table(members)) = reader.value(key) else {
        return Some(None);
    };
    only(reader, key, &members, known)?;
    Some(Some(members))
}

/// None if a table has another member than these, and that is told.
pub(super) fn only(
    reader: &mut Reader<'_>,
    key: Key,
    members: &BTreeMap<String, String>,
    known: &[&'static str],
) -> Option<()> {
    let Some(unknown) = members.keys().find(|name| !known.contains(&name.as_str())) else {
        return Some(());
    };
    let help = match nearest(unknown, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it takes {}", known.join(", ")),
    };
    reader.flaw(key, format!("unknown key `{unknown}`"), help);
    None
}

pub(super) fn needed(
    reader: &mut Reader<'_>,
    key: Key,
    members: &BTreeMap<String, String>,
    name: &str,
) -> Option<String> {
    let found = members.get(name).cloned();
    if found.is_none() {
        let help = format!("it takes {}", key.range());
        reader.flaw(key, format!("`{name}` is missing"), help);
    }
    found
}

fn every(
    reader: &mut Reader<'_>,
    key: Key,
    members: &BTreeMap<String, String>,
    default: &str,
    least: &str,
    most: &str,
) -> Option<Duration> {
    let text = members.get("every").map_or(default, String::as_str);
    let bound = |text| units::duration(text).unwrap_or_default();
    match units::duration(text) {
        Ok(every) if (bound(least)..=bound(most)).contains(&every) => Some(every),
        _ => {
            let help = format!("it takes a duration from {least} to {most}");
            reader.flaw(key, format!("`every` cannot be \"{text}\""), help);
            None
        }
    }
}
