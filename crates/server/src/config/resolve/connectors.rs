//! `[[egress.connectors]]`: HTTP upstreams that agents ask through this node.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bailiwick_core::Timestamp;
use bailiwick_core::label::Labels;
use bailiwick_core::name::{CredentialName, ServerName};
use bailiwick_core::server::{Server, Transport, Trust};
use bailiwick_crypto::hash::domain_digest;
use bailiwick_enforce::egress::rules::Rule;
use bailiwick_enforce::egress::slot::Slot;
use bailiwick_enforce::egress::{Connector, OnReflection};
use reqwest::Url;

use super::backends::{named, tables};
use super::elsewhere::only;
use super::{Reader, loopback_host};
use crate::config::keys::Key;
use crate::config::{ConnectorAt, units};
use crate::outbound::address::Besides;

/// Most connectors, and most rules of one.
const MAX_CONNECTORS: usize = 256;
const MAX_RULES: usize = 256;
/// Largest bounds on bodies, in bytes.
const MAX_REQUEST: u64 = 64 << 20;
const MAX_RESPONSE: u64 = 4 << 30;
const KEY: Key = Key::Connectors;
const MEMBERS: [&str; 12] = [
    "name",
    "upstream",
    "credential",
    "slot",
    "allow",
    "labels",
    "ca_file",
    "allow_private",
    "allow_loopback",
    "max_request",
    "max_response",
    "on_reflection",
];

type Members = BTreeMap<String, String>;

/// None: something is wrong, and that is told.
pub(super) fn connectors(reader: &mut Reader<'_>, base: &Path) -> Option<Vec<ConnectorAt>> {
    let mut all: Vec<ConnectorAt> = Vec::new();
    for members in tables(reader, KEY, MAX_CONNECTORS)? {
        only(reader, KEY, &members, &MEMBERS)?;
        let at = connector(reader, base, &members)?;
        let name = at.connector.name();
        if all.iter().any(|other| other.connector.name() == name) {
            let message = format!("connector {name} is there twice");
            reader.flaw(KEY, message, "each has its own name");
            return None;
        }
        all.push(at);
    }
    Some(all)
}

fn connector(reader: &mut Reader<'_>, base: &Path, members: &Members) -> Option<ConnectorAt> {
    let name: ServerName = named(reader, KEY, members, "name")?;
    let credential: CredentialName = named(reader, KEY, members, "credential")?;
    let member = |name: &str| members.get(name).map_or("", String::as_str);
    let mut flaw = |what: String, help: &str| {
        reader.flaw(KEY, format!("connector {name}: {what}"), help);
        None::<()>
    };
    let mut yes = |key: &str| match member(key) {
        "" | "no" => Some(false),
        "yes" => Some(true),
        _ => {
            flaw(format!("`{key}` is yes or no"), "no is the default");
            None
        }
    };
    let besides = Besides {
        private: yes("allow_private")?,
        loopback: yes("allow_loopback")?,
    };
    let upstream = match upstream(member("upstream"), besides) {
        Ok(upstream) => upstream,
        Err(help) => {
            flaw(
                format!("`upstream` `{}` cannot be used", member("upstream")),
                help,
            );
            return None;
        }
    };
    let slot: Slot = match member("slot").parse() {
        Ok(slot) => slot,
        Err(error) => {
            flaw(
                format!("`slot`: {error}"),
                "header authorization: Bearer {secret}",
            );
            return None;
        }
    };
    let lines = member("allow")
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let allow: Vec<Rule> = match lines.map(str::parse::<Rule>).collect() {
        Ok(allow) => allow,
        Err(error) => {
            flaw(
                format!("`allow`: {error}"),
                "a rule a line, such as GET /repos/**",
            );
            return None;
        }
    };
    if allow.len() > MAX_RULES {
        flaw(
            format!("`allow` has more than {MAX_RULES} rules"),
            "allow whole paths with /**",
        );
        return None;
    }
    let labels = match member("labels") {
        "" => Some(Labels::untrusted()),
        "none" => Some(Labels::default()),
        written => written
            .split_whitespace()
            .map(|label| label.parse().ok())
            .collect(),
    };
    let Some(labels) = labels else {
        flaw(
            "`labels` has something that is none".to_owned(),
            "write labels with blanks between them, or none",
        );
        return None;
    };
    let on_reflection = match member("on_reflection") {
        "" | "redact" => OnReflection::Redact,
        "revoke" => OnReflection::Revoke,
        _ => {
            flaw(
                "`on_reflection` is redact or revoke".to_owned(),
                "redact is the default",
            );
            return None;
        }
    };
    let mut size = |key: &str, default: u64, most: u64| {
        if member(key).is_empty() {
            return Some(default);
        }
        let read = units::size(member(key))
            .ok()
            .filter(|size| (1..=most).contains(size));
        if read.is_none() {
            let most = units::show_size(most);
            flaw(
                format!("`{key}` is out of range"),
                &format!("it takes 1B to {most}"),
            );
        }
        read
    };
    let max_request = size("max_request", 1 << 20, MAX_REQUEST)?;
    let max_response = size("max_response", 64 << 20, MAX_RESPONSE)?;
    let row = Server {
        name,
        transport: Transport::Http {
            url: upstream.origin().ascii_serialization(),
        },
        trust: Trust::Unreviewed,
        credential: Some(credential.clone()),
        labels,
        created_at: Timestamp::default(),
        version: 1,
    };
    // What an approval was given for is the connector as it is written.
    let written = serde_json::to_vec(members).ok()?;
    Some(ConnectorAt {
        connector: Arc::new(Connector {
            row: Arc::new(row),
            upstream,
            credential,
            slot,
            allow,
            on_reflection,
            max_request,
            max_response,
            digest: domain_digest("bailiwick/connector/v1", &written),
        }),
        ca_file: members.get("ca_file").map(|file| base.join(file)),
        besides,
    })
}

/// Scheme, host and port, in the one way to write them; the error says what is missing.
fn upstream(text: &str, besides: Besides) -> Result<Url, &'static str> {
    let url =
        Url::parse(text).map_err(|_| "write scheme, host and port only: https://api.example")?;
    if url.origin().ascii_serialization() != text || text.len() > 512 {
        return Err("write scheme, host and port only, as they are sent: https://api.example");
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if besides.loopback && loopback_host(text) => Ok(url),
        _ => Err("it is https; http is for loopback alone, with allow_loopback = \"yes\""),
    }
}
