//! What each kind of backend takes, and what is refused with what help.

use std::path::Path;

use bailiwick_broker::backend::AccountOf;

use crate::config::{Broker, Config};

const REDIS: &str = "rediss://bw_broker@a.internal:6379 rediss://bw_broker@b.internal:6379";
const MARIADB: &str = "mariadb://bw_broker@db.internal:3306/orders";
const OPENBAO: &str = "https://bao.internal:8200";
const TOKEN: &str = "secret = \"token\"";

fn parsed(kind: &str, url: &str, credential: &str) -> Result<Broker, String> {
    parsed_with(kind, url, credential, "")
}

fn parsed_with(kind: &str, url: &str, credential: &str, more: &str) -> Result<Broker, String> {
    let text = format!(
        "version = 1\n[[broker.backends]]\nname = \"there\"\nkind = \"{kind}\"\nurl = \"{url}\"\n{more}\n\
         [[broker.credentials]]\nname = \"ro\"\nbackend = \"there\"\naccept_no_backstop = \"true\"\n{credential}"
    );
    Config::parse(&text, "f", Path::new("/etc"), Path::new("/data"))
        .map(|config| config.broker)
        .map_err(|flaws| flaws.to_string())
}

#[test]
fn each_kind_has_members_of_its_own() {
    let account = |broker: &Broker| broker.accounts.values().next().unwrap().clone();
    let broker = parsed("redis", REDIS, "rules = \"~orders:* +@read\"").unwrap();
    assert!(matches!(account(&broker), AccountOf::Redis(_)));
    let broker = parsed("mariadb", MARIADB, "group = \"app_ro\"").unwrap();
    let AccountOf::MariaDb(member) = account(&broker) else {
        panic!("{broker:?}");
    };
    assert_eq!(
        (
            member.group.as_str(),
            member.database.as_str(),
            member.connections
        ),
        ("app_ro", "orders", 2)
    );
    let broker = parsed_with("openbao", OPENBAO, "policies = \"orders-ro deploy\"", TOKEN).unwrap();
    assert!(matches!(account(&broker), AccountOf::OpenBao(_)));
    for (credential, why) in [
        ("", "`policies` is missing"),
        ("policies = \"root\"", "and not root"),
        ("policies = \"a/../b?c\"", "names of letters"),
    ] {
        let flaws = parsed_with("openbao", OPENBAO, credential, TOKEN).unwrap_err();
        assert!(flaws.contains(why), "{credential}: {flaws}");
    }
}

#[test]
fn what_no_backend_can_use_is_told() {
    for (kind, url, credential, why) in [
        (
            "openbao",
            OPENBAO,
            "policies = \"a\"",
            "it takes a token and no user",
        ),
        (
            "openbao",
            "http://bao.internal:8200",
            "policies = \"a\"",
            "over TLS alone",
        ),
        (
            "openbao",
            "https://bao.internal:8200/v1",
            "policies = \"a\"",
            "not of the form",
        ),
        ("redis", REDIS, "group = \"a\"", "unknown key `group`"),
        ("redis", REDIS, "", "`rules` is missing"),
        ("redis", REDIS, "rules = \"~a >known\"", "names no keys"),
        ("redis", REDIS, "rules = \"(+@all ~*)\"", "names no keys"),
        (
            "redis",
            "redis://b@a.internal",
            "rules = \"~a\"",
            "over TLS alone",
        ),
        (
            "redis",
            "redis://b:geheim@127.0.0.1",
            "rules = \"~a\"",
            "a password does not belong",
        ),
        (
            "redis",
            "rediss://a.internal",
            "rules = \"~a\"",
            "it names no user",
        ),
        (
            "redis",
            "rediss://b@a.internal#insecure",
            "rules = \"~a\"",
            "not of the form",
        ),
        (
            "redis",
            "unix://b:geheim@/run/redis",
            "rules = \"~a\"",
            "a password does not belong",
        ),
        ("mariadb", MARIADB, "owner = \"a\"", "unknown key `owner`"),
        ("mariadb", MARIADB, "", "`group` is missing"),
        (
            "mariadb",
            "mysql://b@db/x",
            "group = \"a\"",
            "not of the form",
        ),
        (
            "mariadb",
            "mariadb://b:geheim@db/x",
            "group = \"a\"",
            "a password does not belong",
        ),
        (
            "mariadb",
            "mariadb://db/x",
            "group = \"a\"",
            "it names no user",
        ),
        (
            "mariadb",
            "mariadb://b@db/x?require_ssl=false",
            "group = \"a\"",
            "not of the form",
        ),
    ] {
        let flaws = parsed(kind, url, credential).unwrap_err();
        assert!(flaws.contains(why), "{url} {credential}: {flaws}");
        assert!(!flaws.contains("geheim@"), "{flaws}");
    }
}

#[test]
fn what_does_not_end_by_itself_has_to_be_wanted_so() {
    let text = |kind: &str, url: &str, rest: &str| {
        format!(
            "version = 1\n[[broker.backends]]\nname = \"there\"\nkind = \"{kind}\"\nurl = \"{url}\"\n\
             [[broker.credentials]]\nname = \"ro\"\nbackend = \"there\"\n{rest}"
        )
    };
    let flaws = |text: &str| {
        let parsed = Config::parse(text, "f", Path::new("/etc"), Path::new("/data"));
        parsed.map_err(|flaws| flaws.to_string())
    };
    for (kind, url, own) in [
        ("redis", "redis://b@127.0.0.1", "rules = \"~a\""),
        ("mariadb", "mariadb://b@127.0.0.1/x", "group = \"a\""),
    ] {
        let refused = flaws(&text(kind, url, own)).unwrap_err();
        assert!(refused.contains("accept_no_backstop"), "{refused}");
        let odd = format!("{own}\naccept_no_backstop = \"yes\"");
        assert!(flaws(&text(kind, url, &odd)).is_err());
    }
    let own_end = text("postgres", "postgresql://b@127.0.0.1/x", "group = \"a\"");
    assert!(flaws(&own_end).is_ok());
}
