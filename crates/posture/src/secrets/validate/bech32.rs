//! The checksum of Bech32 (BIP 173), as age's secret keys carry it.

const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// Whether the text is Bech32 with a true checksum.
pub(in crate::secrets) fn is_valid(text: &[u8]) -> bool {
    sum(text) == Some(1)
}

/// The polynomial's remainder; none if the text is no Bech32.
fn sum(text: &[u8]) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    let separator = lower.iter().rposition(|byte| *byte == b'1')?;
    let (prefix, data) = (lower.get(..separator)?, lower.get(separator + 1..)?);
    let mut sum = 1_u32;
    for byte in prefix {
        sum = step(sum) ^ u32::from(byte >> 5);
    }
    sum = step(sum);
    for byte in prefix {
        sum = step(sum) ^ u32::from(byte & 31);
    }
    for byte in data {
        let value = ALPHABET.iter().position(|known| known == byte)?;
        sum = step(sum) ^ u32::try_from(value).unwrap_or_default();
    }
    Some(sum)
}

/// `prefix` and `data` with their checksum, for tests that write keys.
#[cfg(test)]
pub(in crate::secrets) fn with_checksum(prefix: &[u8], data: &[u8]) -> Vec<u8> {
    let mut text = prefix.to_vec();
    text.push(b'1');
    text.extend(data);
    // The six digits make the sum 1: it is linear, so what six zeros leave tells them.
    text.extend([b'q'; 6]);
    let rest = sum(&text).unwrap() ^ 1;
    let start = text.len() - 6;
    for (at, digit) in text[start..].iter_mut().enumerate() {
        *digit = ALPHABET[usize::try_from((rest >> (5 * (5 - at))) & 31).unwrap()];
    }
    text
}

fn step(sum: u32) -> u32 {
    const POLYNOMIAL: [u32; 5] = [
        0x3b6a_57b2,
        0x2650_8e6d,
        0x1ea1_19fa,
        0x3d42_33dd,
        0x2a14_62b3,
    ];
    let top = sum >> 25;
    let shifted = (sum & 0x01ff_ffff) << 5;
    POLYNOMIAL
        .iter()
        .enumerate()
        .filter(|(bit, _)| (top >> bit) & 1 == 1)
        .fold(shifted, |sum, (_, value)| sum ^ value)
}
