//! `[[identity.issuers]]`: outside OIDC issuers whose tokens count as evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bailiwick_core::name::AgentName;
use bailiwick_crypto::jwk::Algorithm;
use bailiwick_identity::remote::oidc::Preset;

use super::elsewhere::only;
use super::{Reader, is_origin, loopback_host};
use crate::config::keys::Key;
use crate::config::raw::RawValue;
use crate::config::{IssuerAt, LoginAt};

/// Most issuers.
const MAX_ISSUERS: usize = 16;
const KEY: Key = Key::Issuers;
const MEMBERS: [&str; 9] = [
    "name",
    "use",
    "agents",
    "preset",
    "url",
    "audience",
    "algorithms",
    "jwks_uri",
    "ca_file",
];
/// How users are called that operators name.
const LOCAL: &str = "local";
/// Where GitHub's hosted Actions get their tokens.
const GITHUB: &str = "https://token.actions.githubusercontent.com";

/// None: something is wrong, and that is told.
pub(super) fn issuers(reader: &mut Reader<'_>, base: &Path) -> Option<Vec<IssuerAt>> {
    let Some(RawValue::Tables(written)) = reader.value(KEY) else {
        return None;
    };
    if written.len() > MAX_ISSUERS {
        reader.flaw(KEY, "too many issuers", "it takes at most 16");
        return None;
    }
    let mut issuers: Vec<IssuerAt> = Vec::new();
    for members in written {
        only(reader, KEY, &members, &MEMBERS)?;
        let issuer = issuer(reader, base, &members)?;
        let known = |known: &IssuerAt| known.name == issuer.name || known.url == issuer.url;
        if issuers.iter().any(known) {
            let message = format!("issuer {} or its URL is there twice", issuer.name);
            reader.flaw(KEY, message, "each issuer has its own name and URL");
            return None;
        }
        issuers.push(issuer);
    }
    Some(issuers)
}

fn issuer(
    reader: &mut Reader<'_>,
    base: &Path,
    members: &BTreeMap<String, String>,
) -> Option<IssuerAt> {
    let member = |name: &str| members.get(name).map(String::as_str);
    let name = member("name").unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 63 || !name.bytes().all(fits) {
        let message = format!("`{name}` is no name of an issuer");
        reader.flaw(KEY, message, "`name` takes 1 to 63 of a-z 0-9 -");
        return None;
    }
    let preset = match member("preset") {
        None => Some(Preset::Generic),
        Some(wanted) => Preset::ALL
            .into_iter()
            .find(|preset| preset.as_str() == wanted),
    };
    let Some(preset) = preset else {
        let message = format!("issuer {name}: its `preset` is not known");
        reader.flaw(KEY, message, "take generic, github or kubernetes");
        return None;
    };
    let url = match (member("url"), preset) {
        (Some(url), _) => url,
        (None, Preset::Github) => GITHUB,
        (None, _) => {
            let message = format!("issuer {name}: `url` is missing");
            reader.flaw(KEY, message, "write its `iss`, byte for byte");
            return None;
        }
    };
    let jwks_uri = member("jwks_uri");
    for place in [Some(url), jwks_uri].into_iter().flatten() {
        fetchable(reader, name, place)?;
    }
    let audience = member("audience").map(str::to_owned);
    if audience.as_deref() == Some("") {
        let message = format!("issuer {name}: an empty `audience` is everybody's");
        reader.flaw(
            KEY,
            message,
            "leave it out, or write this node's name there",
        );
        return None;
    }
    Some(IssuerAt {
        name: name.to_owned(),
        agents: agents(reader, name, preset, members)?,
        preset,
        url: url.to_owned(),
        audience,
        algorithms: algorithms(reader, name, member("algorithms"), preset)?,
        jwks_uri: jwks_uri.map(str::to_owned),
        ca_file: member("ca_file").map(|file| base.join(file)),
    })
}

/// People of two issuers never have the same names: those of the provider at which people sign in count too.
pub(super) fn apart(reader: &mut Reader<'_>, issuers: &[IssuerAt], login: Option<&LoginAt>) {
    let Some(login) = login else { return };
    let same = |issuer: &&IssuerAt| {
        issuer.agents.is_some() && issuer.name == login.name.as_str() && issuer.url != login.issuer
    };
    if let Some(issuer) = issuers.iter().find(same) {
        let message = format!(
            "issuer {0}: users of [oauth] login are called user:{0}:… too",
            issuer.name
        );
        reader.flaw(KEY, message, "give one of the two another name");
    }
}

/// Of an issuer of people: the agents that may act for them. Of one of workloads: nothing.
#[expect(
    clippy::option_option,
    reason = "outside: whether it is right; inside: whether it is one of people"
)]
fn agents(
    reader: &mut Reader<'_>,
    name: &str,
    preset: Preset,
    members: &BTreeMap<String, String>,
) -> Option<Option<BTreeSet<AgentName>>> {
    let mut flaw = |what: &str, help: &str| {
        reader.flaw(KEY, format!("issuer {name}: {what}"), help);
        None
    };
    let written = members.get("agents").map(String::as_str);
    match (
        members.get("use").map_or("workload", String::as_str),
        written,
    ) {
        ("workload", None) => Some(None),
        ("workload", Some(_)) => flaw(
            "its tokens tell of workloads",
            "leave `agents` out, or say use = \"user\"",
        ),
        ("user", _) if preset != Preset::Generic => {
            flaw("its tokens tell of workloads", "leave `preset` out")
        }
        // `user:local:…` are people that operators name.
        ("user", _) if name == LOCAL => flaw(
            "`local` is the name of this node's own users",
            "call it otherwise",
        ),
        ("user", written) => {
            let named: Result<BTreeSet<AgentName>, _> = written
                .unwrap_or_default()
                .split_whitespace()
                .map(str::parse)
                .collect();
            match named {
                Ok(named) if !named.is_empty() => Some(Some(named)),
                _ => flaw(
                    "`agents` names no agents",
                    "write those that may act for its users: \"frontdesk triage\"",
                ),
            }
        }
        _ => flaw("its `use` is not known", "take workload or user"),
    }
}

/// Keys that came in the clear would be whoever's is on the way.
fn fetchable(reader: &mut Reader<'_>, name: &str, url: &str) -> Option<()> {
    let origin = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let clear = origin.starts_with("http://") && !loopback_host(&origin);
    if is_origin(&origin) && !clear && !url.contains(['?', '#', ' ']) && url.len() <= 512 {
        return Some(());
    }
    let message = format!("issuer {name}: `{url}` is no place to get keys from");
    reader.flaw(
        KEY,
        message,
        "write an https URL; http is for loopback only",
    );
    None
}

fn algorithms(
    reader: &mut Reader<'_>,
    name: &str,
    written: Option<&str>,
    preset: Preset,
) -> Option<Vec<Algorithm>> {
    let Some(written) = written else {
        return Some(preset.algorithms().to_vec());
    };
    let read: Option<Vec<_>> = written.split_whitespace().map(Algorithm::named).collect();
    match read {
        Some(algorithms) if !algorithms.is_empty() => Some(algorithms),
        _ => {
            let message = format!("issuer {name}: `algorithms` names one that is not taken");
            let help = "write names such as \"RS256 ES256\"; none and HS256 are never taken";
            reader.flaw(KEY, message, help);
            None
        }
    }
}
