//! SPIFFE IDs: what is read is, byte for byte, what was written.

use bailiwick_core::spiffe_id::SpiffeId;

pub(crate) fn look(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).ok();
    let Some(id) = text.and_then(|text| text.parse::<SpiffeId>().ok()) else {
        return;
    };
    assert_eq!(id.as_str().as_bytes(), bytes);
    assert!(bytes.len() <= 2_048);
    let parts = format!("spiffe://{}{}", id.trust_domain(), id.path());
    assert_eq!(parts.as_bytes(), bytes);
    if let Ok((agent, instance)) = id.as_instance() {
        assert_eq!(id.trust_domain().instance(&agent, instance), id);
    }
}
