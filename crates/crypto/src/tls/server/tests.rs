//! What is nothing to listen with says why.

use std::time::Duration;

use bailiwick_core::{Secret, Timestamp};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::{BadIdentity, Identity};

const NOW: u64 = 1_800_000_000;
const HOUR: u64 = 3_600;

/// Certificate and key for these names, good for an hour on both sides of [`NOW`].
fn pair(names: &[&str]) -> (String, String) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    let at = |seconds| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
    (params.not_before, params.not_after) = (at(NOW - HOUR), at(NOW + HOUR));
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn read(certificate: &str, key: &str, hosts: &[&str], now: u64) -> Result<Timestamp, BadIdentity> {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let now = Timestamp::from_secs(i64::try_from(now).unwrap());
    let key = Secret::new(key.to_owned());
    Identity::from_pem(certificate.as_bytes(), &key, &hosts, now)
        .map(|identity| identity.not_after())
}

#[test]
fn a_pair_is_good_in_its_time_and_for_its_names() {
    let (certificate, key) = pair(&["node.example", "*.wild.example", "127.0.0.1", "::1"]);
    let ends = Timestamp::from_secs(i64::try_from(NOW + HOUR).unwrap());
    let hosts = [
        "node.example",
        "a.wild.example",
        "127.0.0.1",
        "[::1]",
        "::1",
    ];
    assert_eq!(read(&certificate, &key, &hosts, NOW), Ok(ends));
    for other in [
        "example",
        "b.a.wild.example",
        "127.0.0.2",
        "NODE.example.org",
        "",
    ] {
        assert_eq!(
            read(&certificate, &key, &["node.example", other], NOW),
            Err(BadIdentity::OtherHost(other.to_owned()))
        );
    }
    assert_eq!(
        read(&certificate, &key, &[], NOW + HOUR + 1),
        Err(BadIdentity::Over(ends))
    );
    let early = read(&certificate, &key, &[], NOW - HOUR - 1);
    assert!(matches!(early, Err(BadIdentity::Early(_))), "{early:?}");
}

#[test]
fn what_is_no_pair_is_refused() {
    let (certificate, key) = pair(&["node.example"]);
    let (_, other) = pair(&["node.example"]);
    let hosts = ["node.example"];
    for (certificate, key, why) in [
        ("", key.as_str(), BadIdentity::NoCertificate),
        (key.as_str(), key.as_str(), BadIdentity::NoCertificate),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            key.as_str(),
            BadIdentity::Certificate,
        ),
        (certificate.as_str(), "", BadIdentity::Key),
        (certificate.as_str(), certificate.as_str(), BadIdentity::Key),
        (certificate.as_str(), other.as_str(), BadIdentity::OtherKey),
    ] {
        assert_eq!(read(certificate, key, &hosts, NOW), Err(why.clone()));
        assert!(!why.help().is_empty());
    }
}
