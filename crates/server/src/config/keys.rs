//! Every key: its kind, default, range and why the default is what it is. The one place; documents and messages are made from it.

use std::fmt::Write;
use std::path::Path;

/// What a key's value looks like in TOML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A string with a unit of time.
    Duration,
    /// A string with a unit of bytes.
    Size,
    /// A list of strings.
    Texts,
    /// A list of user ids.
    Uids,
    /// A number.
    Count,
    /// A list of witnesses.
    Witnesses,
    /// A table of strings.
    Table,
    /// A list of tables of strings.
    Tables,
}

impl Kind {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Duration => "a duration such as \"5m\"",
            Self::Size => "a size such as \"64MiB\"",
            Self::Texts => "a list of strings",
            Self::Uids => "a list of user ids",
            Self::Count => "a number",
            Self::Witnesses => "a list of witnesses",
            Self::Table => "a table",
            Self::Tables => "a list of tables",
        }
    }
}

macro_rules! keys {
    ($($key:ident $section:literal $name:literal $kind:ident $default:literal $range:literal $about:literal $why:literal;)*) => {
        /// A key.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Key {
            $(#[doc = concat!("`", $section, ".", $name, "`: ", $about)] $key,)*
        }

        impl Key {
            /// Every key, by section.
            pub const ALL: &'static [Self] = &[$(Self::$key),*];

            /// The table it stands in.
            pub const fn section(self) -> &'static str {
                match self { $(Self::$key => $section,)* }
            }

            /// Its name in that table.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$key => $name,)* }
            }

            /// What its value looks like.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$key => Kind::$kind,)* }
            }

            /// Its default as written, without quotes; empty: it depends on other keys, as its text says.
            pub const fn default(self) -> &'static str {
                match self { $(Self::$key => $default,)* }
            }

            /// What is taken, in words.
            pub const fn range(self) -> &'static str {
                match self { $(Self::$key => $range,)* }
            }

            /// What it is for.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$key => $about,)* }
            }

            /// Why its default is what it is.
            pub const fn why(self) -> &'static str {
                match self { $(Self::$key => $why,)* }
            }
        }
    };
}

keys! {
    NodeName "node" "name" Text "node-1" "1 to 63 of a-z 0-9 -"
        "Name of this node; with the trust domain it names its audit log."
        "One node is the common case.";
    DataDir "node" "data_dir" Text "" "a path; relative ones start at the configuration file"
        "Everything the node keeps: store, audit log, seal file. Mode 0700."
        "`$BAILIWICK_DATA_DIR`, else `~/.local/share/bailiwick`: needs no root.";
    RuntimeDir "node" "runtime_dir" Text "" "a path of at most 90 bytes"
        "Where the unix sockets are. Mode 0700."
        "`run` in the data directory, so that two nodes never share sockets.";
    StoreUrl "store" "url" Text "" "postgresql://user@host:port/database, or a socket's directory as host (postgresql://user@%2Frun%2Fpostgresql/database)"
        "A PostgreSQL server (15 or newer) that the state is kept in, by a user who owns the database or may create a schema in it. Only a server on this machine is spoken to without TLS."
        "None: the state is a SQLite file in the data directory, which needs no server.";
    StorePasswordFile "store" "password_file" Text "" "a file that nobody else may read"
        "The user's password there; read for each connection. A relative path starts at the configuration file."
        "None: then the server has to let the user in without.";
    StoreCaFile "store" "ca_file" Text "" "a file of PEM certificates"
        "Authorities of the server's TLS certificate. A relative path starts at the configuration file."
        "Those of the system.";
    TrustDomain "identity" "trust_domain" Text "bailiwick.internal" "a-z 0-9 . - _, at most 255"
        "The SPIFFE trust domain; part of every identity, so choose it before agents are registered."
        "`.internal` is reserved for private use: it can never be somebody else's.";
    X509Ttl "identity" "x509_ttl" Duration "1h" "5s to 24h"
        "Life of X.509-SVIDs; renewed at half of it."
        "Others check these against the bundle only, so a revoked one works for the rest of its life with them.";
    JwtTtl "identity" "jwt_ttl" Duration "5m" "5s to 1h"
        "Life of JWT-SVIDs."
        "A bearer credential: long enough for one exchange, short enough to be worth little.";
    Issuers "identity" "issuers" Tables "" "{name, use = \"workload\" (or user), agents?, preset?, url, audience?, algorithms?, jwks_uri?, ca_file?}, at most 16"
        "Outside OIDC issuers whose tokens prove what a process elsewhere is; `preset` is generic, github or kubernetes. With `use = \"user\"`, whose users the `agents` (their names, with blanks between) may open tasks for by token exchange; they are the users `user:<name>:<sub>`."
        "None: whoever counts as a witness of identities is named.";
    X509popCa "identity" "x509pop_ca" Text "" "a file of PEM certificates, at most 16"
        "Authorities whose certificates prove what a process elsewhere is, if it holds their keys."
        "None: whoever counts as a witness of identities is named.";
    Issuer "oauth" "issuer" Text "" "an http or https URL without path"
        "Issuer of task tokens."
        "`console.public_url`: what clients can reach.";
    TaskTtl "oauth" "task_ttl" Duration "5m" "5s to 1h"
        "Life of task tokens."
        "Tokens are bound to a key and checked against fences at each call; expiry is the second line.";
    HighRiskTtl "oauth" "high_risk_ttl" Duration "60s" "5s to oauth.task_ttl"
        "Life of task tokens while the task's risk is high or critical."
        "The more a token can do, the sooner its rights are looked at anew.";
    MaxDepth "oauth" "max_depth" Count "4" "1 to 6"
        "Most delegations in a row below a root task."
        "Deep enough for planner, worker and helper; a chain that people can still read.";
    Login "oauth" "login" Table "" "{issuer = \"https://…\", client_id = \"…\", secret_file = \"…\", name = \"login\"}; http only for loopback"
        "The OpenID provider at which people sign in when an MCP client asks for their consent. They are the users `user:<name>:<sub>`. The secret is the content of the file, which nobody else may read; a relative path starts at the configuration file. Its redirect URI there: `<console.public_url>/oauth/login`."
        "None: without one no MCP client is let in by authorization code.";
    ClientHosts "oauth" "client_hosts" Table "" "{\"app.example\" = \"AGENT\"}: hosts, with a port if only that one is meant, or \"*\" for all others; at most 64"
        "Clients that are not registered and publish what they are at a URL of such a host, which is their `client_id`, are let in by their user's consent, and act as this agent."
        "None: whoever owns a host could have its clients ask your users.";
    UnboundClients "oauth" "unbound_clients" Texts "" "ids of clients, registered or published; at most 64"
        "Clients that may have tokens without DPoP. Such a token is good for whoever holds it, so it never escalates and is refused at risk high and critical; policy sees `session.binding` \"bearer\". An agent's tokens are always bound."
        "None: a token that somebody copies is then worth nothing.";
    PrivateHosts "oauth" "private_hosts" Texts "" "hosts such as login.corp.example, or login.corp.example:8443"
        "Hosts of the provider's other endpoints, and of clients in `client_hosts`, that have addresses of a private network or of this machine. The issuers and the provider that the configuration names are asked wherever they are; what their documents name is not."
        "None: what a document of somebody else's names is asked for at public addresses alone.";
    MtlsListen "oauth" "mtls_listen" Text "" "an address with a port; 0 takes a free port; needs `console.tls` and `gateway.tls`"
        "Address of the token endpoint for agents that show their X.509-SVID in the TLS handshake, with the console's certificate. The gateway then asks for SVIDs too, and takes tokens that are bound to one. [How](../reference/oauth.md#by-certificate)."
        "None: proofs (DPoP) outlive a rotation of the SVID, and need no second address.";
    MtlsUrl "oauth" "mtls_url" Text "" "an https URL without path"
        "URL under which agents reach it, as the metadata names it (`mtls_endpoint_aliases`). Its host has to be in the console's certificate."
        "The console's host, and the port listened on.";
    ConsoleListen "console" "listen" Text "127.0.0.1:8420" "an address with a port; without `tls` a loopback one; 0 takes a free port"
        "Address of API, token endpoint and metadata."
        "Nothing is reachable from outside before TLS is set up.";
    ConsoleUrl "console" "public_url" Text "" "an http or https URL without path; http only for loopback, and not with `tls`"
        "URL under which clients reach it; what DPoP proofs at the token endpoint are for. With `tls` its host has to be in the certificate."
        "`http://`, with `tls` `https://`, and the address listened on.";
    ConsoleTls "console" "tls" Table "" "{cert = \"…\", key = \"…\"}, files in PEM"
        "Certificate (its intermediates behind it) and private key of the listener; nobody else may read the key. Read again when they change. Relative paths start at the configuration file. [How-to](../how-to/serve-other-machines.md)."
        "None: then the listener speaks in the clear, and to this machine alone.";
    SessionIdle "console" "session.idle" Duration "30m" "5s to console.session.absolute"
        "How long a person stays signed in at the console without doing anything."
        "A browser that was left open is no standing right.";
    SessionAbsolute "console" "session.absolute" Duration "12h" "5s to 24h"
        "How long a person stays signed in at the console at most."
        "A working day, and signing in anew the next.";
    GatewayListen "gateway" "listen" Text "127.0.0.1:8421" "an address with a port; without `tls` a loopback one; 0 takes a free port"
        "Address of the MCP gateway."
        "Apart from the API, so that agents need to reach only one of the two.";
    GatewayUrl "gateway" "public_url" Text "" "an http or https URL without path; http only for loopback, and not with `tls`"
        "URL under which agents reach it; the audience of task tokens is `<url>/mcp/<server>`. With `tls` its host has to be in the certificate."
        "`http://`, with `tls` `https://`, and the address listened on.";
    GatewayTls "gateway" "tls" Table "" "{cert = \"…\", key = \"…\"}, files in PEM"
        "As `console.tls`. Both may name the same files."
        "None: then the listener speaks in the clear, and to this machine alone.";
    GatewayOrigins "gateway" "origins" Texts "" "origins such as https://app.example"
        "Browser origins that may call the gateway."
        "None: agents are no browsers, and a page that can reach loopback should get nothing.";
    Backends "broker" "backends" Tables "" "{name, kind (postgres, mariadb, redis or openbao), url, secret?, ca_file?}, at most 64"
        "Systems that credentials are made at when they are wanted. `url` is `postgresql://user@host:port/database`, `mariadb://user@host:port/database`, or `rediss://user@host:port` (each node of several, with a space between them), or `https://host:port` of OpenBao or Vault. `secret` names the sealed value that is the user's password or the token; `ca_file` has the authorities of its TLS certificate, the system's if not given. Only a server on this machine is spoken to without TLS."
        "None: then credentials are sealed values alone.";
    Credentials "broker" "credentials" Tables "" "{name, backend, ttl = \"10m\" (30s to 1h), max_live = \"200\", delivery = \"api\" (some of env file api), accept_no_backstop = \"false\"}, and what its kind has: postgres {group, owner?, database?, connections = \"2\"}, mariadb {group, database?, connections = \"2\"}, redis {rules}, openbao {policies}; at most 1024"
        "What is made there: an account of its own for each lease. At PostgreSQL and MariaDB it has the rights of the role `group`, and `database` is what its holder is told; what a PostgreSQL role leaves behind goes to `owner`, the group if not given. `rules` are those of Redis ACLs, for keys, channels and commands (`~orders:* +@read`), `policies` those that a token of OpenBao has. Accounts of MariaDB and Redis do not end by themselves if this node never comes back; `accept_no_backstop = \"true\"` says that this is known. How-to: [PostgreSQL](../how-to/lease-a-postgres-role.md), [MariaDB](../how-to/lease-a-mariadb-user.md), [Redis](../how-to/lease-a-redis-user.md), [OpenBao](../how-to/lease-an-openbao-token.md)."
        "None. Who may lease them, the policy bundle says: by default nobody.";
    Connectors "egress" "connectors" Tables "" "{name, upstream = \"https://host\", credential, slot = \"header authorization: Bearer {secret}\", allow = \"GET /path/**\", labels = \"untrusted\", ca_file?, allow_private = \"no\", allow_loopback = \"no\", max_request = \"1MiB\" (to 64MiB), max_response = \"64MiB\" (to 4GiB), on_reflection = \"redact\" (or revoke)}, at most 256"
        "HTTP upstreams that agents ask through this node at `<gateway.public_url>/p/<name>/…`, with the sealed value `credential` in the `slot` (`header NAME: FORMAT`, `basic USER:PASSWORD` or `query NAME`, with `{secret}` once). `allow` has a rule a line: a method and a path, `{x}` or `*` for one segment, `/**` at the end for all below. `labels` mark what answers bring, `none` for none. [How-to](../how-to/use-an-api-without-the-key.md)."
        "None: who reaches what, with which key, is said one by one; and the policy bundle has to permit it.";
    ApprovalWait "approval" "wait" Duration "120s" "1s to 10m"
        "How long a call waits for a person before its caller is told to ask again."
        "MCP clients give up after a few minutes; the approval itself lives longer.";
    NotifyWebhook "notify" "webhook" Table "" "{url = \"https://…\", secret_file = \"…\"}, http only for loopback"
        "Who is told of what people should know of (approvals asked for, answered and closed, notices that policy gives, what went wrong), as Standard Webhooks. The file has `whsec_` and the base64 of 24 to 64 bytes. [How-to](../how-to/be-told.md)."
        "None: it takes a receiver of yours.";
    MonitorsObserve "monitors" "observe" Texts "" "names of [monitors](../how-to/watch-agents.md)"
        "Monitors that tell the owner, once of each thing, and raise no risk."
        "All of them act: what they fire on no agent should do.";
    MonitorsOff "monitors" "off" Texts "" "names of [monitors](../how-to/watch-agents.md)"
        "Monitors that do not look."
        "All of them look.";
    PostureSigners "posture" "signers" Tables "" "{name, key_file, builder?}, at most 64"
        "Whose signatures count on reports about code ([how-to](../how-to/ask-about-code.md)): a public key in PEM (Ed25519, P-256, P-384 or RSA), and for SLSA provenance the `builder.id` that it has to name. A relative path starts at the configuration file."
        "None: then every report counts as brought by somebody, and no provenance as signed.";
    Segment "audit" "segment" Size "64MiB" "2MiB to 1GiB, a multiple of 4KiB"
        "Bytes of one segment of the audit log's write-ahead log."
        "Allocated ahead of time; large enough that a new one is rare.";
    PublishEvery "audit" "publish_every" Duration "1s" "100ms to 1m"
        "Time between signed checkpoints while the log grows."
        "An event can be proved a second after it happened.";
    MinFree "audit" "min_free" Size "1GiB" "1MiB to 1TiB"
        "Below this much free space only what narrows authority is recorded, and nothing is granted."
        "Room to revoke everything and to look around after the disk has filled up.";
    MaxUntiled "audit" "max_untiled" Size "4GiB" "four segments to 1TiB"
        "Beyond this much write-ahead log that is not in tiles yet only what narrows authority is recorded."
        "Tiles that cannot be written show before the disk is full.";
    PayloadMax "audit" "payload_max" Size "256KiB" "1KiB to 512KiB"
        "Longest sealed value that is kept; a longer one is committed to only."
        "Arguments of nearly every call; a large file is not copied into the record.";
    Payload "audit" "payload" Text "args+result" "args+result, args or none"
        "Which values of calls are kept, sealed, beside the record; all of them are committed to."
        "What a call did can be shown and replayed; `none` ends both.";
    PayloadRetention "audit" "payload_retention" Duration "90d" "1d to 36500d"
        "How long kept values are; after that they and the keys of their commitments go, announced a week ahead."
        "Long enough to look into what happened; what is not kept cannot leak.";
    Retention "audit" "retention" Duration "400d" "1d to 36500d"
        "How long events are kept; after that they go, announced a week ahead, and proofs of the others still hold."
        "A year and a month to compare with the last one. The EU AI Act (articles 19 and 26) asks for at least six months.";
    HoldFrom "audit" "hold_from" Text "" "a day such as 2026-11-01, UTC"
        "Legal hold: what was recorded from that day on is neither erased nor pruned."
        "None: a hold is ordered.";
    AuditIndex "audit" "index" Text "local" "local"
        "Where the index of the audit log is kept, by which events are found."
        "Files beside the log; they can be deleted, and are made again from it.";
    AuditWitnesses "audit" "witnesses" Witnesses "" "{vkey = \"…\", url = \"https://…\"}, at most 16"
        "Who cosigns the checkpoints of the audit log, each at its URL (C2SP tlog-witness)."
        "None: they are only worth something if somebody else runs them.";
    AuditQuorum "audit" "quorum" Count "" "1 to the number of witnesses"
        "How many witnesses have to cosign a checkpoint for it to count as witnessed."
        "All of them.";
    AuditShip "audit" "ship" Table "" "{url = \"s3://bucket/prefix\" or \"file:///directory\", every = \"10s\" (1s to 1h)}"
        "Where the log is shipped to, and how often. Credentials for S3: `AWS_ACCESS_KEY_ID` and the other variables of the AWS tools."
        "None: it takes a place of yours. A lost node loses what came since.";
    ExportOtlp "audit" "export.otlp" Table "" "{endpoint = \"https://…\"}, http only for loopback"
        "An OpenTelemetry collector that gets every event as a log record, at `<endpoint>/v1/logs`."
        "None.";
    ExportParquet "audit" "export.parquet" Table "" "{dir = \"…\", every = \"1h\" (1s to 24h)}"
        "A directory that gets the record as Parquet files, and how often; a relative one starts at the configuration file."
        "None.";
    AdminUids "admin" "uids" Uids "" "user ids"
        "Users that may use the admin socket, besides root and the node's own."
        "None: an agent under a person's user id must not get that person's rights.";
    LogFormat "log" "format" Text "text" "text or json"
        "Form of the lines on standard error."
        "People read it first.";
    LogFilter "log" "filter" Text "info" "targets and levels, such as info,bailiwick_enforce=debug"
        "Which lines are written."
        "What an operator acts on, and nothing per call.";
}

/// Sections in the order of the documents.
pub const SECTIONS: &[&str] = &[
    "node", "store", "identity", "oauth", "console", "gateway", "broker", "egress", "approval",
    "notify", "monitors", "posture", "audit", "admin", "log",
];

/// The keys of one section.
pub fn of(section: &str) -> impl Iterator<Item = Key> {
    let section = section.to_owned();
    Key::ALL
        .iter()
        .copied()
        .filter(move |key| key.section() == section)
}

/// The name among `known` that `found` was probably meant to be.
pub fn nearest<'a>(found: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (distance(found, name), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein's distance, over at most 64 characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, letter) in left.chars().take(64).enumerate() {
        let mut next = vec![line.saturating_add(1)];
        for ((other, above), diagonal) in right.iter().zip(row.iter().skip(1)).zip(row.iter()) {
            let beside = next.last().copied().unwrap_or(0);
            let changed = diagonal.saturating_add(usize::from(*other != letter));
            next.push(
                changed
                    .min(above.saturating_add(1))
                    .min(beside.saturating_add(1)),
            );
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

/// Every key at its default, commented.
pub(super) fn starter(data_dir: &Path) -> String {
    let mut text = "# Configuration of a Bailiwick node. Every key: docs/reference/configuration.md\nversion = 1\n".to_owned();
    for section in SECTIONS {
        // Writing to a String does not fail.
        let _ = write!(text, "\n[{section}]\n");
        for key in of(section) {
            let _ = writeln!(text, "# {}", key.about());
            let _ = match key {
                Key::DataDir => {
                    writeln!(
                        text,
                        "data_dir = {}",
                        toml_text(&data_dir.display().to_string())
                    )
                }
                _ if key.default().is_empty() && !is_list(key) => {
                    writeln!(
                        text,
                        "# {} = …   (default: {})",
                        key.name(),
                        plain(key.why())
                    )
                }
                _ => writeln!(text, "{} = {}", key.name(), literal(key)),
            };
        }
    }
    text
}

/// `docs/reference/configuration.md`.
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    for section in SECTIONS {
        let _ = write!(
            text,
            "\n## `[{section}]`\n\n| key | takes | default | what for | why this default |\n|---|---|---|---|---|\n"
        );
        for key in of(section) {
            let default = match literal(key).as_str() {
                "\"\"" => "–".to_owned(),
                literal => format!("`{literal}`"),
            };
            let _ = writeln!(
                text,
                "| `{}` | {}: {} | {default} | {} | {} |",
                key.name(),
                key.kind().as_str(),
                key.range(),
                key.about(),
                key.why()
            );
        }
    }
    text
}

const HEAD: &str = "# Configuration

A node reads one TOML document. It is the file named by `--config`, else by `BAILIWICK_CONFIG`, else `bailiwick.toml` in the user's
configuration directory; without one, every default holds. `bailiwick init` writes a document with all keys.

The document starts with `version = 1`. Unknown tables and keys are errors, and all problems are told at once, each with file, line and
column. Durations and sizes are strings with a unit. The page is made from the table that the node itself reads
(`crates/server/src/config/keys.rs`); a test compares them.
";

pub(super) fn is_list(key: Key) -> bool {
    matches!(
        key.kind(),
        Kind::Texts | Kind::Uids | Kind::Witnesses | Kind::Tables
    )
}

fn literal(key: Key) -> String {
    if is_list(key) {
        format!("[{}]", key.default())
    } else if key.kind() == Kind::Count && !key.default().is_empty() {
        key.default().to_owned()
    } else {
        toml_text(key.default())
    }
}

fn toml_text(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn plain(text: &str) -> String {
    text.replace('`', "")
}
