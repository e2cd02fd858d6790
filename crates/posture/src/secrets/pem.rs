//! Private keys in PEM (RFC 7468) and OpenSSH's own form: real ones have a body that decodes, encrypted ones are no find to
//! act on. The same key written in another way is the same secret: what is compared is its public half, where it can be had.

use bailiwick_crypto::public_half;

use super::find::Severity;
use super::fingerprint::Digest;
use super::validate::{Confirmed, decoded_base64};
use zeroize::Zeroizing;

/// Longest key that is read, armour included: 16 kbit RSA with room for escapes.
const LONGEST: usize = 32 * 1024;
/// Least bytes of a key: Ed25519 in PKCS#8 has 48.
const LEAST: usize = 40;
const OPENSSH: &[u8] = b"openssh-key-v1\0";

/// The key whose `-----BEGIN …-----` the text begins with.
pub(super) fn read(text: &[u8]) -> Option<Confirmed> {
    let text = text.get(..LONGEST).unwrap_or(text);
    let label_end = find(text.get(11..)?, b"-----")? + 11;
    let label = text.get(11..label_end)?;
    let body_start = label_end + 5;
    let body_length = find(text.get(body_start..)?, b"-----END ")?;
    let armoured = text.get(body_start..body_start + body_length)?;
    let extent = body_start + body_length;
    let headers_say_encrypted = find(armoured, b"ENCRYPTED").is_some();
    let body = Zeroizing::new(unescaped(armoured));
    let der = decoded_base64(&body)?;
    if der.len() < LEAST {
        return None;
    }
    let encrypted = headers_say_encrypted
        || find(label, b"ENCRYPTED").is_some()
        || der
            .strip_prefix(OPENSSH)
            .is_some_and(|rest| !rest.starts_with(b"\0\0\0\x04none"));
    let is_pgp = find(label, b"PGP").is_some();
    let is_key = is_pgp || der.starts_with(OPENSSH) || encrypted || der.first() == Some(&0x30);
    if !is_key {
        return None;
    }
    let (digest, kind) = match public_half::of_private_key(&der) {
        Some(half) => (Digest::of(&half.spki), half.kind),
        None => (Digest::of(&der), "private key"),
    };
    let mut public = vec![("key", kind.to_owned())];
    if encrypted {
        public.push(("protection", "encrypted".to_owned()));
    }
    Some(Confirmed {
        digest,
        length: der.len(),
        severity: encrypted.then_some(Severity::Info),
        public,
        extent,
    })
}

/// PuTTY's key file that the text begins with: its private part in base64 after `Private-Lines: N`.
pub(super) fn putty(text: &[u8]) -> Option<Confirmed> {
    let text = text.get(..LONGEST).unwrap_or(text);
    let lines = find(text, b"Private-Lines:")?;
    let encrypted = find(text.get(..lines)?, b"Encryption: none").is_none();
    let rest = text.get(lines..)?;
    let start = memchr::memchr(b'\n', rest)? + 1;
    let length = find(rest.get(start..)?, b"\nPrivate-")?;
    let body = Zeroizing::new(unescaped(rest.get(start..start + length)?));
    let private = decoded_base64(&body)?;
    (private.len() >= 32).then(|| Confirmed {
        digest: Digest::of(&private),
        length: private.len(),
        severity: encrypted.then_some(Severity::Info),
        public: vec![("key", "PuTTY".to_owned())],
        extent: lines + start + length,
    })
}

/// The base64 of an armoured body: escapes of line ends, indents, quotes and header lines taken out.
fn unescaped(armoured: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(armoured.len());
    let mut rest = armoured;
    // Headers as in traditional OpenSSL and PGP: `Proc-Type: 4,ENCRYPTED`, then an empty line.
    for gap in [b"\n\n".as_slice(), b"\r\n\r\n", b"\\n\\n"] {
        if let Some(at) = find(rest, gap)
            && rest.get(..at).is_some_and(|head| head.contains(&b':'))
        {
            rest = rest.get(at..).unwrap_or_default();
        }
    }
    let mut bytes = rest.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if matches!(bytes.peek(), Some(b'n' | b'r' | b't')) => {
                bytes.next();
            }
            // The checksum line of PGP's armour.
            b'=' if bytes.peek().is_some_and(u8::is_ascii_alphanumeric) => break,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'=' => body.push(byte),
            _ => {}
        }
    }
    body
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, wanted)
}
