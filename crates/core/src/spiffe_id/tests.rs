//! Trap 1 of the identity design: nothing is folded, everything unusual is refused.

use super::{SpiffeId, TrustDomain};

#[test]
fn trap_01_trust_domain_case() {
    for bad in [
        "spiffe://Example.org/a",
        "SPIFFE://example.org/a",
        "spiffe://example.org:443/a",
        "spiffe://user@example.org/a",
        "spiffe://example.org/%41",
        "spiffe://example.org/a/../b",
        "spiffe://example.org/./a",
        "spiffe://example.org/a/",
        "spiffe://example.org/",
        "spiffe://example.org//a",
        "spiffe://exämple.org/a",
        "spiffe://example.org/ä",
        "spiffe://example.org/a?b",
        "spiffe://example.org/a#b",
        "spiffe:///a",
        "example.org/a",
    ] {
        assert!(bad.parse::<SpiffeId>().is_err(), "{bad} was accepted");
    }
    let long = format!("spiffe://example.org/{}", "a".repeat(2_048));
    assert!(long.parse::<SpiffeId>().is_err());
}

#[test]
fn splits_into_domain_path_and_instance() {
    let text = "spiffe://example.org/agent/triage-bot/inst_01h2xcejqtf2nbrexx3vqjhp41";
    let id: SpiffeId = text.parse().unwrap();
    assert_eq!(id.trust_domain().as_str(), "example.org");
    let (agent, instance) = id.as_instance().unwrap();
    assert_eq!(
        (agent.as_str(), instance.to_string().as_str()),
        ("triage-bot", "inst_01h2xcejqtf2nbrexx3vqjhp41")
    );
    assert_eq!(id.trust_domain().instance(&agent, instance), id);
    assert!(
        "spiffe://example.org/node/n1"
            .parse::<SpiffeId>()
            .unwrap()
            .as_instance()
            .is_err()
    );
    let domain: TrustDomain = "example.org".parse().unwrap();
    assert_eq!(domain.id().as_str(), "spiffe://example.org");
    assert_eq!(domain.id().path(), "");
}
