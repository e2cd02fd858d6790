//! AWS access key ids hold the account in base 32: bits 1 to 40 of the ten bytes after the four letters.

/// The account of an access key id, 12 digits; none if it is no id.
pub(super) fn account(id: &[u8]) -> Option<String> {
    let mut bits = 0_u64;
    // Six bytes are ten digits less two bits; the account is in them.
    for byte in id.get(4..14)? {
        bits = (bits << 5) | u64::from(digit(*byte)?);
    }
    let six_bytes = bits >> 2;
    let account = (six_bytes & 0x7fff_ffff_ff80) >> 7;
    Some(format!("{account:012}"))
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'2'..=b'7' => Some(byte - b'2' + 26),
        _ => None,
    }
}
