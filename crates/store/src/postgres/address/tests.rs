//! Addresses that are taken, and those that are not.

use super::PostgresAddress;

#[test]
fn an_address_names_one_server_and_no_password() {
    let taken = PostgresAddress::parse("postgresql://bw_broker@127.0.0.1:6000/orders").unwrap();
    assert_eq!(
        (
            taken.host.as_str(),
            taken.port,
            taken.database.as_str(),
            taken.local
        ),
        ("127.0.0.1", 6_000, "orders", true)
    );
    let socket = PostgresAddress::parse("postgresql://admin@%2Frun%2Fpg/postgres").unwrap();
    assert_eq!((socket.host.as_str(), socket.local), ("/run/pg", true));
    assert!(
        !PostgresAddress::parse("postgresql://b@db.internal/x")
            .unwrap()
            .local
    );
    for (url, why) in [
        ("postgresql://b:hunter2@h/x", "password"),
        ("postgresql://h/x", "no user"),
        ("postgresql://b@h1,h2/x", "one server"),
        (
            "postgresql://b@h/x?options=-csearch_path%3Devil",
            "no options",
        ),
        ("postgresql://b@h/x?hostaddr=10.0.0.1", "no options"),
        ("mysql://b@h/x", "form"),
    ] {
        let error = PostgresAddress::parse(url)
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(error.contains(why), "{url}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
