//! GitHub's and npm's tokens end in six digits of base 62: the CRC-32 of the thirty drawn ones before
//! ("Behind GitHub's new authentication token formats", 2021).

const DIGITS: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Whether the last six digits are the checksum of what is between the first `_` and them.
pub(super) fn ends_in_crc62(token: &[u8]) -> bool {
    let Some(underscore) = token.iter().position(|byte| *byte == b'_') else {
        return false;
    };
    let Some(body) = token.get(underscore + 1..) else {
        return false;
    };
    let Some((drawn, sum)) = body
        .len()
        .checked_sub(DIGITS)
        .and_then(|at| body.split_at_checked(at))
    else {
        return false;
    };
    crc62(drawn) == sum
}

/// CRC-32 in base 62, six digits.
pub(in crate::secrets) fn crc62(text: &[u8]) -> [u8; DIGITS] {
    let mut rest = crc32fast::hash(text);
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        let value = usize::try_from(rest % 62).unwrap_or_default();
        *digit = ALPHABET.get(value).copied().unwrap_or(b'0');
        rest /= 62;
    }
    digits
}
