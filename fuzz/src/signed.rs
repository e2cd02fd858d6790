//! What strangers sign: nothing verifies but what was signed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;

use bailiwick_core::Timestamp;
use bailiwick_crypto::dpop::{Proof, Request};
use bailiwick_crypto::token::{KeySet, ReceiptKeys, receipt};

/// The key that signed the good files of the corpus.
const KEYS: &[u8] = br#"{"keys": [{"kty": "EC", "crv": "P-256", "kid": "corpus", "alg": "ES256", "use": "sig",
    "x": "g26rOhITNQI1khl14feVVw_jy9dhgzHGnJUIah87ikk", "y": "1zJSGfpLKNtMLeK99OWrfYiCLJSWpgQR9ST6ZXp4Mx0"}]}"#;

pub(crate) fn jose(bytes: &[u8]) {
    static GOOD: OnceLock<BTreeSet<String>> = OnceLock::new();
    static SET: OnceLock<KeySet<ReceiptKeys>> = OnceLock::new();
    let keys = SET.get_or_init(|| KeySet::from_jwks(KEYS).expect("the corpus has a key"));
    let text = String::from_utf8_lossy(bytes);
    if receipt::verify(&text, keys).is_ok() {
        assert!(
            GOOD.get_or_init(|| good("jose")).contains(text.trim()),
            "{text}"
        );
    }
}

/// A proof brings its own key, so anybody can make one: it has to be for this request and this moment.
pub(crate) fn dpop(bytes: &[u8]) {
    static GOOD: OnceLock<BTreeSet<String>> = OnceLock::new();
    let token = "t".repeat(40);
    let request = Request {
        method: "POST",
        url: "https://gateway.example/mcp/files",
        access_token: Some(&token),
    };
    let text = String::from_utf8_lossy(bytes);
    if Proof::verify(&text, &request, Timestamp::from_secs(1_700_000_010)).is_ok() {
        assert!(
            GOOD.get_or_init(|| good("dpop")).contains(text.trim()),
            "{text}"
        );
    }
}

fn good(corpus: &str) -> BTreeSet<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/corpora");
    let files = std::fs::read_dir(directory.join(corpus)).expect("the corpus is there");
    let files = files.map(|file| file.expect("its files are").path());
    let good = files.filter(|file| {
        let name = file.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("good-"))
    });
    good.map(|file| {
        std::fs::read_to_string(file)
            .expect("and are text")
            .trim()
            .to_owned()
    })
    .collect()
}
