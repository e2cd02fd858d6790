//! States go one way, names lead back to their lease and to nobody else's.

use std::str::FromStr;

use super::{Delivery, Deployment, Lease, LeaseClass, LeaseState, LeaseStep, RemoteRef};
use crate::id::LeaseId;

#[test]
fn there_is_no_way_back() {
    use LeaseState::{Active, Intent, Revoking, Tombstone};
    use LeaseStep::{Made, Revoke, VerifiedGone};
    let table = [
        (Intent, Made, Some(Active)),
        (Intent, Revoke, Some(Revoking)),
        (Intent, VerifiedGone, None),
        (Active, Made, None),
        (Active, Revoke, Some(Revoking)),
        (Active, VerifiedGone, None),
        (Revoking, Made, None),
        (Revoking, Revoke, Some(Revoking)),
        (Revoking, VerifiedGone, Some(Tombstone)),
        (Tombstone, Made, None),
        (Tombstone, Revoke, Some(Tombstone)),
        (Tombstone, VerifiedGone, None),
    ];
    for (state, step, next) in table {
        assert_eq!(state.step(step).ok(), next, "{state:?} {step:?}");
    }
}

#[test]
fn a_name_leads_back_to_its_lease_and_to_no_other_deployment() {
    let ours: Deployment = "0abcdefg".parse().unwrap();
    let other: Deployment = "0abcdefh".parse().unwrap();
    let lease = LeaseId::from_bits(0x0190_0000_0000_7000_8000_0000_0000_0001);
    let name = ours.name(lease);
    assert_eq!(name.as_str().len(), 38);
    assert_eq!(ours.lease(name.as_str()), Some(lease));
    assert_eq!(other.lease(name.as_str()), None);
    for hostile in [
        "bw-0abcdefg-",
        "bw-0abcdefg-gen-4",
        "bw-0abcdefg-00000000000000000000000000\"; DROP ROLE x",
        "postgres",
        "BW-0ABCDEFG-01c00000000e0000000000001",
    ] {
        assert_eq!(ours.lease(hostile), None, "{hostile}");
        let text = serde_json::to_string(hostile).unwrap();
        assert!(
            serde_json::from_str::<RemoteRef>(&text).is_err(),
            "{hostile}"
        );
    }
    let read: RemoteRef = serde_json::from_str(&serde_json::to_string(&name).unwrap()).unwrap();
    assert_eq!(read, name);
    assert_eq!(ours.generation(&ours.marker(41)), Some(41));
    assert_eq!(other.generation(&ours.marker(41)), None);
    assert!(Deployment::from_str("0abcdefi").is_err());
}

#[test]
fn what_is_injected_is_cut_at_the_point() {
    assert_eq!(LeaseClass::R3.when(Delivery::Inject), LeaseClass::R0);
    assert_eq!(LeaseClass::R1.when(Delivery::Api), LeaseClass::R1);
    assert!("R5".parse::<LeaseClass>().is_err());
    for class in LeaseClass::ALL {
        assert_eq!(class.as_str().parse::<LeaseClass>(), Ok(*class));
    }
}

#[test]
fn rows_of_the_first_release_are_read() {
    let row = r#"{"id":"lease_01h455vb4pex5vsknk084sn02q","credential":"api","server":"github",
        "task":"task_01h455vb4pex5vsknk084sn02q","instance":null,"agent":"coder","state":"ACTIVE",
        "created_at":"2026-01-01T00:00:00Z","not_after":"2026-01-01T00:10:00Z","cause":null,"verified_at":null,"version":2}"#;
    let lease: Lease = serde_json::from_str(row).unwrap();
    assert_eq!(
        (lease.delivery, lease.class),
        (Delivery::Inject, LeaseClass::R0)
    );
    assert!(lease.remote.is_none() && lease.server.is_some());
}
