//! Documents and what holds, or what is wrong with them: golden, with places and help.

mod listeners;

use std::path::Path;
use std::time::Duration;

use bailiwick_broker::backend::AccountOf;
use expect_test::{Expect, expect, expect_file};

use super::{Config, keys, units};
use bailiwick_core::{Code, Fault};

fn check(text: &str, expected: &Expect) {
    let shown = match Config::parse(
        text,
        "bailiwick.toml",
        Path::new("/etc/bailiwick"),
        Path::new("/var/lib/bailiwick"),
    ) {
        Ok(config) => format!("{config:#?}\n"),
        Err(flaws) => {
            assert_eq!(flaws.code(), Code::ConfigInvalid);
            format!("{flaws}\n")
        }
    };
    expected.assert_eq(&shown);
}

#[test]
fn an_empty_document_is_all_defaults() {
    check(
        "version = 1\n",
        &expect![[r#"
            Config {
                node: Node {
                    name: "node-1",
                    data_dir: "/var/lib/bailiwick",
                    runtime_dir: "/var/lib/bailiwick/run",
                },
                store: None,
                identity: Identity {
                    trust_domain: bailiwick.internal,
                    x509_ttl: 3600s,
                    jwt_ttl: 300s,
                    x509pop_ca: None,
                    issuers: [],
                },
                oauth: OAuth {
                    issuer: None,
                    task_ttl: 300s,
                    high_risk_ttl: 60s,
                    max_depth: 4,
                    login: None,
                    client_hosts: {},
                    unbound_clients: {},
                    private_hosts: [],
                },
                console: Listener {
                    listen: 127.0.0.1:8420,
                    public_url: None,
                    tls: None,
                },
                sessions: SessionLives {
                    idle: 1800s,
                    absolute: 43200s,
                },
                gateway: Gateway {
                    listener: Listener {
                        listen: 127.0.0.1:8421,
                        public_url: None,
                        tls: None,
                    },
                    origins: [],
                },
                broker: Broker {
                    backends: {},
                    credentials: {},
                    accounts: {},
                },
                mtls: None,
                connectors: [],
                approval_wait: 120s,
                webhook: None,
                monitors: Restraint {
                    observe: {},
                    off: {},
                },
                signers: [],
                audit: Audit {
                    segment: 67108864,
                    publish_every: 1s,
                    min_free: 1073741824,
                    max_untiled: 4294967296,
                    payload_max: 262144,
                    payload: ArgsAndResult,
                    retention: 34560000s,
                    payload_retention: 7776000s,
                    hold_from: None,
                    witnesses: [],
                    quorum: 0,
                    ship: None,
                    otlp: None,
                    parquet: None,
                },
                admin_uids: [],
                log: Log {
                    format: Text,
                    filter: "info",
                },
            }
        "#]],
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "every key once")]
fn what_is_written_holds() {
    let text = r#"
version = 1
[node]
name = "edge-7"
data_dir = "state"
runtime_dir = "/run/bailiwick"
[identity]
trust_domain = "prod.example"
x509_ttl = "6s"
jwt_ttl = "90s"
[oauth]
issuer = "https://id.example"
task_ttl = "30s"
[console]
listen = "[::1]:0"
public_url = "https://bailiwick.example"
[gateway]
listen = "127.0.0.1:0"
public_url = "http://localhost:9000"
origins = ["https://app.example"]
[approval]
wait = "1s"
[audit]
segment = "2MiB"
publish_every = "100ms"
min_free = "16 MiB"
witnesses = [{ vkey = "witness.example/1+f4031348+BIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c", url = "https://witness.example/w1/" }]
quorum = 1
[admin]
uids = [1000, 0]
[log]
format = "json"
filter = "warn,bailiwick_enforce=debug"
"#;
    check(
        text,
        &expect![[r#"
            Config {
                node: Node {
                    name: "edge-7",
                    data_dir: "/etc/bailiwick/state",
                    runtime_dir: "/run/bailiwick",
                },
                store: None,
                identity: Identity {
                    trust_domain: prod.example,
                    x509_ttl: 6s,
                    jwt_ttl: 90s,
                    x509pop_ca: None,
                    issuers: [],
                },
                oauth: OAuth {
                    issuer: Some(
                        "https://id.example",
                    ),
                    task_ttl: 30s,
                    high_risk_ttl: 30s,
                    max_depth: 4,
                    login: None,
                    client_hosts: {},
                    unbound_clients: {},
                    private_hosts: [],
                },
                console: Listener {
                    listen: [::1]:0,
                    public_url: Some(
                        "https://bailiwick.example",
                    ),
                    tls: None,
                },
                sessions: SessionLives {
                    idle: 1800s,
                    absolute: 43200s,
                },
                gateway: Gateway {
                    listener: Listener {
                        listen: 127.0.0.1:0,
                        public_url: Some(
                            "http://localhost:9000",
                        ),
                        tls: None,
                    },
                    origins: [
                        "https://app.example",
                    ],
                },
                broker: Broker {
                    backends: {},
                    credentials: {},
                    accounts: {},
                },
                mtls: None,
                connectors: [],
                approval_wait: 1s,
                webhook: None,
                monitors: Restraint {
                    observe: {},
                    off: {},
                },
                signers: [],
                audit: Audit {
                    segment: 2097152,
                    publish_every: 100ms,
                    min_free: 16777216,
                    max_untiled: 4294967296,
                    payload_max: 262144,
                    payload: ArgsAndResult,
                    retention: 34560000s,
                    payload_retention: 7776000s,
                    hold_from: None,
                    witnesses: [
                        WitnessAt {
                            vkey: witness.example/1+f4031348+BIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c,
                            url: "https://witness.example/w1",
                        },
                    ],
                    quorum: 1,
                    ship: None,
                    otlp: None,
                    parquet: None,
                },
                admin_uids: [
                    1000,
                    0,
                ],
                log: Log {
                    format: Json,
                    filter: "warn,bailiwick_enforce=debug",
                },
            }
        "#]],
    );
}

#[test]
fn every_problem_is_told_at_once_with_its_place() {
    let text = r#"version = 1
[consol]
listen = "127.0.0.1:1"
[console]
lisen = "127.0.0.1:1"
task_ttl = "5m"
public_url = "http://bailiwick.example"
[gateway]
listen = "0.0.0.0:8421"
origins = ["https://app.example/path"]
[identity]
x509_ttl = 3600
jwt_ttl = "5 minutes"
[oauth]
task_ttl = "2h"
[admin]
uids = [1000, "anna"]
[audit]
segment = "2097153B"
[log]
format = "xml"
filter = "info,=="
[node]
name = "Node 1"
"#;
    check(
        text,
        &expect![[r#"
            bailiwick.toml:2:2: unknown table or key `consol`
              help: did you mean [console]?
            bailiwick.toml:5:1: unknown key `lisen` in [console]
              help: did you mean `listen`?
            bailiwick.toml:6:1: unknown key `task_ttl` in [console]
              help: it belongs into [oauth]
            bailiwick.toml:7:14: console.public_url: `http://bailiwick.example` would send tokens over the network in the clear
              help: use https for a host that is not loopback
            bailiwick.toml:9:10: gateway.listen: 0.0.0.0:8421 can be reached from outside this machine, and there is no TLS
              help: give it a certificate (tls = { cert = "…", key = "…" }), or listen on loopback (listen = "127.0.0.1:8421") behind a proxy with TLS
            bailiwick.toml:10:11: gateway.origins: `https://app.example/path` is not an origin
              help: write scheme, host and port only, such as https://app.example
            bailiwick.toml:12:12: `identity.x509_ttl` takes a duration such as "5m", not an integer
            bailiwick.toml:13:11: `identity.jwt_ttl` is a duration such as "5m", not "5 minutes"
              help: write a whole number with a unit: 500ms, 30s, 5m, 1h, 7d
            bailiwick.toml:15:12: oauth.task_ttl: out of range
              help: it takes 5s to 1h
            bailiwick.toml:17:15: `admin.uids` takes a list of user ids, not a string
            bailiwick.toml:19:11: audit.segment: a segment is a whole number of 4KiB blocks
            bailiwick.toml:21:10: log.format: `xml` is no form of log lines
              help: write text or json
            bailiwick.toml:22:10: log.filter: `info,==` is no filter of log lines: invalid filter directive
              help: write a level, or targets with levels: info,bailiwick_enforce=debug
            bailiwick.toml:24:8: node.name: `Node 1` is not a node name: 1 to 63 of a-z 0-9 -, not starting or ending with -
              help: it takes 1 to 63 of a-z 0-9 -
        "#]],
    );
}

#[test]
fn what_sends_the_record_elsewhere_holds() {
    let text = "version = 1\n[audit]\nship = { url = \"s3://records/edge-7\", every = \"30s\" }\n\
        export.otlp = { endpoint = \"http://127.0.0.1:4318/\" }\nexport.parquet = { dir = \"parquet\" }\n";
    let config = Config::parse(text, "f", Path::new("/etc"), Path::new("/d")).unwrap();
    let ship = config.audit.ship.unwrap();
    assert_eq!(
        (ship.url.as_str(), ship.every),
        ("s3://records/edge-7", Duration::from_secs(30))
    );
    assert_eq!(config.audit.otlp.as_deref(), Some("http://127.0.0.1:4318"));
    let parquet = config.audit.parquet.unwrap();
    assert_eq!(
        (parquet.dir.as_path(), parquet.every),
        (Path::new("/etc/parquet"), Duration::from_hours(1))
    );
}

#[test]
fn what_sends_the_record_elsewhere_is_checked() {
    let table = [
        (r#"ship = "s3://b""#, "takes a table"),
        ("ship = {}", "`url` is missing"),
        (
            r#"ship = { url = "https://b" }"#,
            "is no place that files can be shipped to",
        ),
        (r#"ship = { url = "file://relative" }"#, "is no place"),
        (
            r#"ship = { url = "s3://b", evry = "1s" }"#,
            "did you mean `every`?",
        ),
        (
            r#"ship = { url = "s3://b", every = "1ms" }"#,
            "`every` cannot be",
        ),
        ("ship = { url = 1 }", "takes strings only"),
        (
            r#"export.otlp = { endpoint = "http://collector.example" }"#,
            "in the clear",
        ),
        (
            r#"export.otlp = { endpoint = "collector" }"#,
            "is not an http or https URL",
        ),
        (r#"export.parquet = { dir = "" }"#, "names no directory"),
        (
            r#"export.parquet = { dir = "d", every = "25h" }"#,
            "`every` cannot be",
        ),
        (
            r#"export.otpl = { endpoint = "https://c" }"#,
            "unknown key `export.otpl`",
        ),
    ];
    for (line, message) in table {
        let text = format!("version = 1\n[audit]\n{line}\n");
        let flaws = Config::parse(&text, "f", Path::new("/"), Path::new("/d")).unwrap_err();
        assert!(flaws.to_string().contains(message), "{line}: {flaws}");
    }
}

#[test]
fn what_credentials_are_leased_from_is_checked() {
    let backend = "[[broker.backends]]\nname = \"db\"\nkind = \"postgres\"\nurl = \"postgresql://b@127.0.0.1/x\"\n";
    let credential = |more: &str| {
        format!(
            "version = 1\n{backend}[[broker.credentials]]\nname = \"ro\"\nbackend = \"db\"\n{more}"
        )
    };
    let parsed = |text: &str| Config::parse(text, "f", Path::new("/etc"), Path::new("/data"));
    let broker = parsed(&credential(
        "group = \"app\"\nttl = \"1m\"\ndelivery = \"api env\"",
    ))
    .unwrap()
    .broker;
    let name = "ro".parse().unwrap();
    let (template, account) = (&broker.credentials[&name], &broker.accounts[&name]);
    let AccountOf::Postgres(role) = account else {
        panic!("{account:?}");
    };
    assert_eq!(
        (template.ttl, template.max_live, template.delivery.len()),
        (Duration::from_mins(1), 200, 2)
    );
    assert_eq!(
        (
            role.group.as_str(),
            role.database.as_str(),
            role.connections
        ),
        ("app", "x", 2)
    );
    for (text, why) in [
        (credential(""), "`group` is missing"),
        (
            credential("group = \"a\"\nttl = \"2h\""),
            "`ttl` is out of range",
        ),
        (
            credential("group = \"a\"\nconnections = \"0\""),
            "`connections` is out of range",
        ),
        (
            credential("group = \"a\"\nmax_live = \"-1\""),
            "`max_live` is out of range",
        ),
        (
            credential("group = \"a\"\ndelivery = \"inject\""),
            "no account is handed over",
        ),
        (
            credential("group = \"a\"\ndelivery = \"mail\""),
            "`delivery`",
        ),
        (
            credential("group = \"a\"\ngrop = \"a\""),
            "unknown key `grop`",
        ),
        (
            credential("group = \"a\"").replace("backend = \"db\"", "backend = \"other\""),
            "there is no backend other",
        ),
        (
            credential("group = \"a\"").replace("b@127", "b:secret@127"),
            "a password does not belong into it",
        ),
        (
            credential("group = \"a\"").replace("\"postgres\"", "\"oracle\""),
            "`kind` \"oracle\" is none",
        ),
    ] {
        let flaws = parsed(&text).unwrap_err().to_string();
        assert!(flaws.contains(why), "{why}: {flaws}");
        assert!(!flaws.contains("secret@"), "{flaws}");
    }
}

#[test]
fn a_database_is_named_without_a_password() {
    let store = |rest: &str| {
        let text = format!("version = 1\n[store]\n{rest}\n");
        Config::parse(&text, "f", Path::new("/etc"), Path::new("/data"))
    };
    let good = store(
        "url = \"postgresql://bailiwick@db.internal/state\"\npassword_file = \"pg.password\"",
    );
    let at = good.unwrap().store.unwrap();
    assert_eq!(at.url, "postgresql://bailiwick@db.internal/state");
    assert!(at.password_file.unwrap().ends_with("pg.password"));
    assert_eq!(at.ca_file, None);
    for (rest, why) in [
        (
            "url = \"postgresql://b:secret@h/x\"",
            "a password does not belong into it",
        ),
        ("url = \"postgresql://h/x\"", "it names no user"),
        ("url = \"sqlite:///x\"", "not of the form"),
        ("password_file = \"f\"", "set [store] url"),
        ("ca_file = \"f\"", "set [store] url"),
    ] {
        let flaws = store(rest).unwrap_err().to_string();
        assert!(flaws.contains(why), "{why}: {flaws}");
        assert!(!flaws.contains("secret@"), "{flaws}");
    }
}

#[test]
fn what_is_no_toml_is_told_with_its_place() {
    check(
        "version = 1\n[node]\nname = \"ä\" \"b\"\n[node]\n",
        &expect![[r"
            bailiwick.toml:3:8: node.name: `ä` is not a node name: 1 to 63 of a-z 0-9 -, not starting or ending with -
              help: it takes 1 to 63 of a-z 0-9 -
            bailiwick.toml:3:12: not TOML: unexpected key or value, expected newline, `#`
            bailiwick.toml:4:2: not TOML: duplicate key
        "]],
    );
}

#[test]
fn another_version_or_none_is_refused() {
    check(
        "version = 2\n",
        &expect![[r"
        bailiwick.toml:1:11: this release reads configurations of version 1
          help: write: version = 1
    "]],
    );
    check(
        "[log]\nfilter = \"info\"\n",
        &expect![[r"
        bailiwick.toml:1:1: `version` is missing
          help: start the document with: version = 1
    "]],
    );
}

#[test]
fn high_risk_tokens_never_outlive_others() {
    let read = |text: &str| {
        Config::parse(text, "t", Path::new(""), Path::new("/d")).map(|config| config.oauth)
    };
    let short = read("version = 1\n[oauth]\ntask_ttl = \"10s\"\n").unwrap();
    assert_eq!(short.high_risk_ttl, Duration::from_secs(10));
    assert!(read("version = 1\n[oauth]\ntask_ttl = \"10s\"\nhigh_risk_ttl = \"20s\"\n").is_err());
}

#[test]
fn sockets_need_a_short_path() {
    let deep = format!(
        "version = 1\n[node]\nruntime_dir = \"/{}\"\n",
        "d".repeat(90)
    );
    let error = Config::parse(&deep, "t", Path::new(""), Path::new("/d")).unwrap_err();
    assert!(error.to_string().contains("91 bytes"), "{error}");
}

#[test]
fn units_are_whole_numbers_with_a_unit() {
    assert_eq!(units::duration("5m"), Ok(Duration::from_mins(5)));
    assert_eq!(units::duration("500 ms"), Ok(Duration::from_millis(500)));
    assert_eq!(units::size("64MiB"), Ok(64 << 20));
    for text in [
        "",
        "5",
        "m",
        "-5m",
        "+5m",
        "5.5m",
        "5mm",
        "5M",
        "99999999999999999999d",
        "1e3s",
    ] {
        assert!(units::duration(text).is_err(), "{text}");
    }
    for text in ["1MB", "1", "1kib", "18446744073709551615KiB"] {
        assert!(units::size(text).is_err(), "{text}");
    }
    assert_eq!(units::show_duration(Duration::from_secs(90)), "90s");
    assert_eq!(units::show_size(64 << 20), "64MiB");
}

#[test]
fn every_default_can_be_read() {
    for key in keys::Key::ALL {
        let depends = key.default().is_empty();
        let list = keys::is_list(*key);
        assert_eq!(
            super::raw::default_of(*key).is_none(),
            depends && !list,
            "{key:?}"
        );
        assert!(keys::SECTIONS.contains(&key.section()), "{key:?}");
    }
}

#[test]
fn the_starter_document_is_all_defaults() {
    let data_dir = Path::new("/var/lib/bailiwick");
    let text = Config::starter(data_dir);
    let read = Config::parse(&text, "t", Path::new("/elsewhere"), Path::new("/none")).unwrap();
    assert_eq!(read, Config::defaults(data_dir).unwrap());
}

#[test]
fn the_reference_is_made_from_the_table() {
    expect_file!["../../../../docs/reference/configuration.md"].assert_eq(&keys::reference());
}

#[test]
fn a_file_that_is_not_there_says_what_to_do() {
    let error = Config::load(Path::new("/nonexistent/b.toml"), Path::new("/d")).unwrap_err();
    assert_eq!(error.code(), Code::ConfigInvalid);
    assert!(error.help().contains("--config"));
}
