//! Fills the patterns of `examples` and `misses` with random characters, so that no credential is in the repository:
//! `{w30}` letters and digits · `{h32}` hex · `{H8}` upper hex · `{d10}` digits · `{a20}` lower letters and digits · `{A16}` base32 ·
//! `{U11}` upper letters and digits · `{b43}` base64url · `{B86}` base64 · `{l4}` lower letters · `{Q58}` Bech32's digits · `{crc62}` · `{uuid}` ·
//! `{jwt}` · `{basic}` · `{age}`.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::validate::{bech32, checksum};

/// Random numbers from a seed (xorshift64*), so that a failure can be repeated.
pub(crate) struct Seeded(u64);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap() % bound
    }

    pub(crate) fn text(&mut self, alphabet: &str, length: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..length)
            .map(|_| alphabet[self.below(alphabet.len())])
            .collect()
    }
}

const DIGITS: &str = "0123456789";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Bytes in hex.
pub(crate) fn hex_of(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from_digit(digit.into(), 16).unwrap())
        .collect()
}

/// The pattern, filled.
pub(crate) fn fill(pattern: &str, random: &mut Seeded) -> String {
    let mut text = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (name, after) = after.split_once('}').unwrap();
        let sample = sample(name, &text, random);
        text.push_str(&sample);
        rest = after;
    }
    text + rest
}

fn sample(name: &str, before: &str, random: &mut Seeded) -> String {
    let all = format!("{DIGITS}{UPPER}{LOWER}");
    match name {
        "crc62" => {
            let drawn = before.split_once('_').unwrap().1;
            String::from_utf8(checksum::crc62(drawn.as_bytes()).to_vec()).unwrap()
        }
        "uuid" => [8, 4, 4, 4, 12]
            .map(|length| random.text("0123456789abcdef", length))
            .join("-"),
        "jwt" => {
            let claims = format!(
                r#"{{"iss":"https://issuer.acme.net","sub":"{}","exp":1900000000}}"#,
                random.text(LOWER, 9)
            );
            let signature = random.text(&format!("{all}-_"), 43);
            format!(
                "{}.{}.{signature}",
                URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","typ":"JWT"}"#),
                URL_SAFE_NO_PAD.encode(claims)
            )
        }
        "basic" => STANDARD.encode(format!("robot:{}", random.text(&all, 20))),
        "age" => {
            let data = random.text("qpzry9x8gf2tvdw0s3jn54khce6mua7l", 52);
            String::from_utf8(bech32::with_checksum(b"age-secret-key-", data.as_bytes()))
                .unwrap()
                .to_ascii_uppercase()
        }
        _ => {
            let (kind, length) = name.split_at(1);
            let alphabet = match kind {
                "w" => all,
                "h" => "0123456789abcdef".to_owned(),
                "H" => "0123456789ABCDEF".to_owned(),
                "d" => DIGITS.to_owned(),
                "a" => format!("{DIGITS}{LOWER}"),
                "A" => format!("{UPPER}234567"),
                "U" => format!("{DIGITS}{UPPER}"),
                "l" => LOWER.to_owned(),
                "b" => format!("{all}-_"),
                "B" => format!("{all}+/"),
                "Q" => "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L".to_owned(),
                _ => panic!("{{{name}}} is not known"),
            };
            random.text(&alphabet, length.parse().unwrap())
        }
    }
}
