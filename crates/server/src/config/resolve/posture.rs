//! `[posture]`: whose signatures count on reports about code.

use std::collections::BTreeMap;
use std::path::Path;

use super::backends::tables;
use super::elsewhere::only;
use super::{Key, Reader};
use crate::config::SignerAt;

const KEY: Key = Key::PostureSigners;
const MAX_SIGNERS: usize = 64;
const MEMBERS: [&str; 3] = ["name", "key_file", "builder"];

/// None: something is wrong, and that is told.
pub(super) fn signers(reader: &mut Reader<'_>, base: &Path) -> Option<Vec<SignerAt>> {
    let mut all: Vec<SignerAt> = Vec::new();
    for members in tables(reader, KEY, MAX_SIGNERS)? {
        only(reader, KEY, &members, &MEMBERS)?;
        let signer = signer(reader, base, &members)?;
        if all.iter().any(|other| other.name == signer.name) {
            let message = format!("signer {} is there twice", signer.name);
            reader.flaw(KEY, message, "each has its own name");
            return None;
        }
        all.push(signer);
    }
    Some(all)
}

fn signer(
    reader: &mut Reader<'_>,
    base: &Path,
    members: &BTreeMap<String, String>,
) -> Option<SignerAt> {
    let member = |name: &str| members.get(name).map_or("", String::as_str);
    let name = member("name");
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 63 || !name.bytes().all(fits) {
        let message = format!("`{name}` is no name of a signer");
        reader.flaw(KEY, message, "`name` takes 1 to 63 of a-z 0-9 -");
        return None;
    }
    if member("key_file").is_empty() {
        let message = format!("signer {name}: `key_file` is missing");
        reader.flaw(KEY, message, "name a file with its public key in PEM");
        return None;
    }
    let builder = members.get("builder").cloned();
    if builder.as_deref() == Some("") {
        let message = format!("signer {name}: an empty `builder` is nobody");
        reader.flaw(
            KEY,
            message,
            "leave it out, or write the `builder.id` of its provenance",
        );
        return None;
    }
    Some(SignerAt {
        name: name.to_owned(),
        key_file: base.join(member("key_file")),
        builder,
    })
}
