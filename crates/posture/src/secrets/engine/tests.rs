//! The whole search over texts: finds, misses, bounds, hostile bytes.

use std::io::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::{ProptestConfig, Strategy as _, any};
use proptest::{prop_assert, prop_oneof, proptest};

use super::{Engine, Load, Unit};
use crate::secrets::find::Find;
use crate::secrets::fingerprint::Digest;
use crate::secrets::memo::Memo;
use crate::secrets::sample::{Seeded, fill, hex_of};

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(Load::Little, None).unwrap());

fn scan(text: &[u8], path: &str) -> Vec<Find> {
    let engine = &ENGINE;
    let mut finds = Vec::new();
    let unit = Unit {
        text,
        path,
        key: None,
    };
    engine.scan(&unit, &mut Memo::default(), &mut finds);
    finds
}

/// Exactly this secret, by this check.
#[track_caller]
fn finds(text: &str, path: &str, check: &str, secret: &str) -> Find {
    let finds = scan(text.as_bytes(), path);
    let shown: Vec<_> = finds
        .iter()
        .map(|find| (find.check.to_string(), find.length))
        .collect();
    assert_eq!(shown, [(check.to_owned(), secret.len())], "{path}: {text}");
    assert_eq!(
        finds[0].digest,
        Digest::of(secret.as_bytes()),
        "{path}: {text}"
    );
    finds.into_iter().next().unwrap()
}

#[track_caller]
fn finds_nothing(text: &str, path: &str) {
    let finds = scan(text.as_bytes(), path);
    assert!(finds.is_empty(), "{path}: {text}: {finds:?}");
}

#[test]
fn a_find_tells_its_place_and_its_name() {
    let find = finds(
        "a\nb = 1\n  db_password: 'blue42horse!'\n",
        "a.yaml",
        "named-password",
        "blue42horse!",
    );
    assert_eq!((find.line, find.column), (3, 17));
    assert_eq!(find.key.as_deref(), Some("db_password"));
}

#[test]
fn a_format_is_surer_than_a_name() {
    let token = fill("ghp_{w30}{crc62}", &mut Seeded::new(7));
    finds(&format!("GITHUB_TOKEN={token}"), "", "github-pat", &token);
    finds(
        &format!("Authorization: Bearer {token}"),
        "",
        "github-pat",
        &token,
    );
    finds(
        &format!("git clone https://x:{token}@github.com/a/b"),
        "",
        "github-pat",
        &token,
    );
}

#[test]
fn a_wrong_checksum_is_none_whatever_its_name() {
    finds_nothing("GITHUB_TOKEN=ghp_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18", "");
}

#[test]
fn what_is_wrapped_is_found_and_not_the_wrapping() {
    let token = fill("ghp_{w30}{crc62}", &mut Seeded::new(8));
    let find = finds(
        &format!("data:\n  token: {}\n", STANDARD.encode(&token)),
        "s.yaml",
        "github-pat",
        &token,
    );
    assert_eq!(find.wrapped, ["base64"]);
    let hex = hex_of(token.as_bytes());
    assert_eq!(finds(&hex, "", "github-pat", &token).wrapped, ["hex"]);
    let twice = STANDARD.encode(STANDARD.encode(format!("password={}", "blue42horse!")));
    assert_eq!(
        finds(&twice, "", "named-password", "blue42horse!").wrapped,
        ["base64", "base64"]
    );
    finds(
        "x=1&client_secret=q8zjx0vk%2Bw3hgfp2m%3D",
        "",
        "named-token",
        "q8zjx0vk+w3hgfp2m=",
    );
    finds(
        r#"{"password":"blue\u002f42\/horse!"}"#,
        "",
        "named-password",
        "blue/42/horse!",
    );
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer
        .write_all(format!("token: {token}").as_bytes())
        .unwrap();
    let found = scan(&packer.finish().unwrap(), "dump.gz");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].wrapped, ["gzip"]);
}

#[test]
fn urls_carry_passwords() {
    let find = finds(
        "postgres://app:bl%2Fue42@db.acme.net:5432/shop",
        "",
        "postgres-url",
        "bl/ue42",
    );
    assert_eq!(
        find.public,
        [
            ("user", "app".to_owned()),
            ("host", "db.acme.net:5432".to_owned())
        ]
    );
    for url in [
        "postgres://app@db/shop",
        "https://user:password@host/",
        "https://a.example/x:y@z",
        "redis://:${REDIS_PASSWORD}@host",
        "postgres://postgres:postgres@localhost/x",
        "http://[::1]:80/",
    ] {
        finds_nothing(url, "");
    }
}

#[test]
fn one_private_key_is_one_secret_however_it_is_written() {
    let key = bailiwick_crypto::keys::SigningKey::generate().unwrap();
    let body = STANDARD.encode(key.pkcs8().expose());
    let begin = format!("-----BEGIN {} KEY-----", "PRIVATE");
    let end = format!("-----END {} KEY-----", "PRIVATE");
    let wrapped: Vec<String> = body
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8(line.to_vec()).unwrap())
        .collect();
    let plain = format!("{begin}\n{}\n{end}\n", wrapped.join("\n"));
    let escaped = format!("KEY=\"{begin}\\n{}\\n{end}\\n\"", wrapped.join("\\n"));
    let all = [
        plain.clone(),
        escaped,
        STANDARD.encode(&plain),
        format!("  {}", plain.replace('\n', "\n    ")),
    ];
    let digests: Vec<Digest> = all
        .iter()
        .map(|text| {
            let finds = scan(text.as_bytes(), "");
            assert_eq!(finds.len(), 1, "{finds:?}");
            assert_eq!(&*finds[0].check, "private-key");
            assert_eq!(finds[0].public[0], ("key", "P-256".to_owned()));
            finds[0].digest.clone()
        })
        .collect();
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]));
    finds_nothing(&format!("{begin}\n...\n{end}\n"), "");
    finds_nothing(&begin, "");
}

#[test]
fn code_and_prose_hold_none() {
    for (text, path) in [
        (
            "let token = self.tokens.next().ok_or(Error::Token)?;",
            "a.rs",
        ),
        ("password = request.form['password']", "a.py"),
        ("const apiKey = process.env.API_KEY_2;", "a.js"),
        (
            "The password must have eight characters and a digit.",
            "README.md",
        ),
        (
            "\"integrity\": \"sha512-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
            "package-lock.json",
        ),
        (
            "auth_method: \"kubernetes\"\ntoken_ttl: 20m\nsecret_name: db-credentials",
            "a.yaml",
        ),
        ("API_KEY=your-api-key-here", ".env.example"),
        ("password: ${{ secrets.DB_PASSWORD }}", "ci.yml"),
        ("commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", "log"),
    ] {
        finds_nothing(text, path);
    }
}

#[test]
fn a_variable_is_all_value() {
    let engine = &ENGINE;
    let mut found = Vec::new();
    let unit = Unit {
        text: b"p;a's \"s".as_slice(),
        path: "",
        key: Some(b"NOTE"),
    };
    engine.scan(&unit, &mut Memo::default(), &mut found);
    assert!(found.is_empty());
    let unit = Unit {
        text: b"p;a's\"s#9!".as_slice(),
        path: "",
        key: Some(b"SMTP_PASSWORD"),
    };
    engine.scan(&unit, &mut Memo::default(), &mut found);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].digest, Digest::of(b"p;a's\"s#9!"));
}

#[test]
fn a_find_shows_no_secret() {
    let secret = "blue42horse!tail";
    let find = finds(
        &format!("db_password='{secret}'"),
        "",
        "named-password",
        secret,
    );
    let shown = format!("{find:?}");
    for piece in secret.as_bytes().windows(5) {
        assert!(
            !shown.contains(std::str::from_utf8(piece).unwrap()),
            "{shown}"
        );
    }
}

/// What hostile text costs is bounded, and reaching a bound is said.
#[test]
fn hostile_text_ends() {
    let engine = &ENGINE;
    for piece in [
        "password=",
        "://a:b@",
        "sk-",
        "eyJ",
        "-----BEGIN RSA PRIVATE KEY-----",
        "%25",
        "\\u0025",
        "QUFB",
        "key-",
        "\"auth\":\"",
        "secret:\n",
        "AKIA",
        "pat.",
        "s.s.s.s.",
        "ghp_",
        "password='",
        "H4sI",
    ] {
        let text = piece.repeat(20 * 1024 / piece.len());
        let mut found = Vec::new();
        let unit = Unit {
            text: text.as_bytes(),
            path: "x",
            key: Some(b"PASSWORD"),
        };
        engine.scan(&unit, &mut Memo::default(), &mut found);
        assert!(found.len() <= 10_000, "{piece}");
    }
    // Base64 of base64 of base64: two layers are opened.
    let mut text = "password=blue42horse!".to_owned();
    for _ in 0..6 {
        text = STANDARD.encode(text);
    }
    assert!(scan(text.as_bytes(), "").is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Any bytes, and any bytes round what the engine looks for, are scanned without a panic, and finds lie within them.
    #[test]
    fn any_bytes_are_scanned(
        pieces in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..60),
                proptest::sample::select(vec![
                    "password", "=", "\"", ": '", "://", "@", ":", "ghp_", "eyJ", ".eyJ", "-----BEGIN PRIVATE KEY-----", "-----END", "%2", "\\u00", "\\", "\n", "\0", "AKIA",
                    "name: TOKEN\n value: ", "H4sIAAAA", "PuTTY-User-Key-File-2: a", "Private-Lines: 1\n", "secret", "<token>", "Bearer ", "machine a login b password c",
                ]).prop_map(|text| text.as_bytes().to_vec()),
            ],
            0..40,
        ),
        path in "[a-z./]{0,12}",
    ) {
        let text = pieces.concat();
        for find in scan(&text, &path) {
            prop_assert!(find.offset <= text.len());
            prop_assert!(find.line >= 1 && find.column >= 1);
        }
    }
}
