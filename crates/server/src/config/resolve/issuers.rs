//! `[[identity.issuers]]`: outside OIDC issuers whose tokens count as evidence.

use std::collections::BTreeMap;
use std::path::Path;

use bailiwick_crypto::jwk::Algorithm;
use bailiwick_identity::remote::oidc::Preset;

use super::elsewhere::only;
use super::{Reader, is_origin, loopback_host};
use crate::config::IssuerAt;
use crate::config::keys::Key;
use crate::config::raw::RawValue;

/// Most issuers.
const MAX_ISSUERS: usize = 16;
const KEY: Key = Key::Issuers;
const MEMBERS: [&str; 7] = [
    "name",
    "preset",
    "url",
    "audience",
    "algorithms",
    "jwks_uri",
    "ca_file",
];
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
        preset,
        url: url.to_owned(),
        audience,
        algorithms: algorithms(reader, name, member("algorithms"), preset)?,
        jwks_uri: jwks_uri.map(str::to_owned),
        ca_file: member("ca_file").map(|file| base.join(file)),
    })
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
