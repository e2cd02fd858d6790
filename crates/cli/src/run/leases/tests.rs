//! What a client finds of a lease.

use bailiwick_core::Timestamp;
use bailiwick_core::id::LeaseId;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use bailiwick_server::sockets::launch::protocol::Handed;

use super::{LeaseArg, check, variables};

fn handed(scheme: &str) -> Handed {
    let access = [
        ("scheme", scheme),
        ("address", "https://bao.internal:8200"),
        ("host", "/tmp/pg"),
        ("port", "5432"),
        ("username", "bw-1"),
        ("database", "orders/eu"),
    ];
    Handed {
        credential: "orders-ro".parse().unwrap(),
        lease: LeaseId::new(&SystemClock, &SystemRng),
        access: access
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        secret: "geheim".to_owned(),
        not_after: Timestamp::from_secs(0),
    }
}

#[test]
fn as_libpq_looks_for_it_or_as_a_url() {
    let libpq: LeaseArg = "orders-ro".parse().unwrap();
    let found = variables(std::slice::from_ref(&libpq), &[handed("postgresql")]).unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        found.join(" "),
        "PGDATABASE=orders/eu PGHOST=/tmp/pg PGPASSWORD=geheim PGPORT=5432 PGUSER=bw-1"
    );
    let url: LeaseArg = "orders-ro=DATABASE_URL".parse().unwrap();
    let found = variables(std::slice::from_ref(&url), &[handed("postgresql")]).unwrap();
    assert_eq!(
        found["DATABASE_URL"],
        "postgresql://bw-1:geheim@%2Ftmp%2Fpg:5432/orders%2Feu"
    );
    assert!(check(&[libpq.clone(), url.clone()]).is_ok());
    assert!(check(&[libpq.clone(), libpq]).is_err());
    assert!(check(&[url.clone(), url]).is_err());
    for bad in ["orders-ro=", "orders-ro=1A", "orders-ro=A B", "=A", "../x"] {
        assert!(bad.parse::<LeaseArg>().is_err(), "{bad}");
    }
}

#[test]
fn what_no_client_looks_for_is_a_url_in_a_variable_that_is_named() {
    let named: LeaseArg = "cache=CACHE_URL".parse().unwrap();
    let found = variables(std::slice::from_ref(&named), &[handed("rediss")]).unwrap();
    assert_eq!(
        found["CACHE_URL"],
        "rediss://bw-1:geheim@%2Ftmp%2Fpg:5432/orders%2Feu"
    );
    let unnamed: LeaseArg = "cache".parse().unwrap();
    let refused = variables(std::slice::from_ref(&unnamed), &[handed("rediss")]);
    assert!(refused.is_err());
}

#[test]
fn clients_of_openbao_find_its_address_and_their_token() {
    let unnamed: LeaseArg = "vault-ro".parse().unwrap();
    let found = variables(std::slice::from_ref(&unnamed), &[handed("openbao")]).unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        found.join(" "),
        "BAO_ADDR=https://bao.internal:8200 BAO_TOKEN=geheim VAULT_ADDR=https://bao.internal:8200 VAULT_TOKEN=geheim"
    );
    let named: LeaseArg = "vault-ro=TOKEN".parse().unwrap();
    let found = variables(std::slice::from_ref(&named), &[handed("openbao")]).unwrap();
    assert_eq!(found["TOKEN"], "geheim");
}
