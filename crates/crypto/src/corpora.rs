//! The corpora of what strangers sign: files that must verify or be refused, and mutations of them, of which none may verify.

#[path = "../../../conformance/replay.rs"]
mod replay;

use std::collections::HashMap;

use bailiwick_core::Timestamp;

use crate::dpop::{Proof, Request};
use crate::token::{KeySet, ReceiptKeys, receipt};
use replay::replay;

/// The key that signed the good files.
const KEYS: &[u8] = br#"{"keys": [{"kty": "EC", "crv": "P-256", "kid": "corpus", "alg": "ES256", "use": "sig",
    "x": "g26rOhITNQI1khl14feVVw_jy9dhgzHGnJUIah87ikk", "y": "1zJSGfpLKNtMLeK99OWrfYiCLJSWpgQR9ST6ZXp4Mx0"}]}"#;

#[test]
fn corpus_jose() {
    let keys = KeySet::<ReceiptKeys>::from_jwks(KEYS).unwrap();
    let (mut signed, mut mutants) = (HashMap::new(), Vec::new());
    replay("jose", |name, bytes| {
        let text = String::from_utf8_lossy(bytes);
        let read = receipt::verify(&text, &keys);
        if let Some(name) = name {
            assert_eq!(read.is_ok(), name.starts_with("good-"), "{name}: {read:?}");
        }
        // White space around a whole token is not part of it; else the bytes are those that were signed.
        let Ok(read) = read else { return };
        let said = serde_json::to_value(read).unwrap();
        let token = text.trim().to_owned();
        if name.is_some() {
            signed.insert(token, said);
        } else {
            mutants.push((token, said));
        }
    });
    for (token, said) in mutants {
        assert_eq!(signed.get(&token), Some(&said), "{token}");
    }
}

#[test]
fn corpus_dpop() {
    let token = "t".repeat(40);
    let request = Request {
        method: "POST",
        url: "https://gateway.example/mcp/files",
        access_token: Some(&token),
    };
    let now = Timestamp::from_secs(1_700_000_010);
    let (mut signed, mut mutants) = (HashMap::new(), Vec::new());
    replay("dpop", |name, bytes| {
        let text = String::from_utf8_lossy(bytes);
        let read = Proof::verify(&text, &request, now);
        if let Some(name) = name {
            assert_eq!(read.is_ok(), name.starts_with("good-"), "{name}: {read:?}");
        }
        let Ok(read) = read else { return };
        if name.is_some() {
            signed.insert(text.into_owned(), read);
        } else {
            mutants.push((text.into_owned(), read));
        }
    });
    for (proof, read) in mutants {
        assert_eq!(signed.get(&proof), Some(&read), "{proof}");
    }
}
