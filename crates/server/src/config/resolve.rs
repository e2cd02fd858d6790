//! From what was written to what holds: defaults, meanings, ranges, and what keys say together.

use std::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use bailiwick_audit::seal::Payload;
use bailiwick_control::sessions::SessionLives;
use bailiwick_core::Timestamp;
use bailiwick_crypto::cosignature::CosignatureVerifier;
use bailiwick_store::PostgresAddress;

use super::flaw::Flaw;
use super::keys::Key;
use super::raw::{RawConfig, RawValue, default_of};
use super::{Audit, Config, Gateway, Identity, Log, LogFormat, Node, OAuth, StoreAt, WitnessAt};

mod backends;
mod connectors;
mod elsewhere;
mod issuers;
mod listeners;
mod monitors;
mod posture;

/// Longest runtime directory: a socket's path has at most 107 bytes, and `/workload.sock` has to fit.
const MAX_RUNTIME_DIR: usize = 90;

/// The configuration, if nothing is wrong with it; what is wrong is added to `flaws`.
pub(super) fn resolve(
    raw: &RawConfig,
    base: &Path,
    data_dir: &Path,
    flaws: &mut Vec<Flaw>,
) -> Option<Config> {
    let mut reader = Reader { raw, flaws };
    let node = node(&mut reader, base, data_dir);
    let store = store(&mut reader, base);
    let identity = identity(&mut reader, base);
    let oauth = oauth(&mut reader, base);
    if let (Some(identity), Some(oauth)) = (&identity, &oauth) {
        issuers::apart(&mut reader, &identity.issuers, oauth.login.as_ref());
    }
    let console = listeners::console(&mut reader, base);
    let sessions = sessions(&mut reader);
    let gateway = gateway(&mut reader, base);
    let mtls = match (&console, &gateway) {
        (Some(console), Some(gateway)) => {
            listeners::mutual(&mut reader, console, &gateway.listener)
        }
        _ => Some(None),
    };
    let broker = backends::broker(&mut reader, base);
    let connectors = connectors::connectors(&mut reader, base);
    let approval_wait = reader.duration(Key::ApprovalWait, "1s", "10m");
    let webhook = elsewhere::webhook(&mut reader, base);
    let monitors = monitors::restraint(&mut reader);
    let signers = posture::signers(&mut reader, base);
    let audit = audit(&mut reader, base);
    let admin_uids = reader.uids(Key::AdminUids);
    let log = log(&mut reader);
    if let (Some(console), Some(gateway)) = (&console, &gateway) {
        let clash = console.listen == gateway.listener.listen && console.listen.port() != 0;
        if clash {
            reader.flaw(
                Key::GatewayListen,
                "console and gateway cannot listen on the same address",
                "give each its own port",
            );
        }
    }
    Some(Config {
        node: node?,
        store: store?,
        identity: identity?,
        oauth: oauth?,
        console: console?,
        sessions: sessions?,
        gateway: gateway?,
        mtls: mtls?,
        broker: broker?,
        connectors: connectors?,
        approval_wait: approval_wait?,
        webhook: webhook?,
        monitors: monitors?,
        signers: signers?,
        audit: audit?,
        admin_uids: admin_uids?,
        log: log?,
    })
}

fn node(reader: &mut Reader<'_>, base: &Path, data_dir: &Path) -> Option<Node> {
    let name = reader.parsed(Key::NodeName);
    let data_dir = match reader.text(Key::DataDir) {
        Some(text) => base.join(text),
        None => data_dir.to_owned(),
    };
    let runtime_dir = match reader.text(Key::RuntimeDir) {
        Some(text) => base.join(text),
        None => data_dir.join("run"),
    };
    let length = runtime_dir.as_os_str().len();
    if length > MAX_RUNTIME_DIR {
        reader.flaw(
            Key::RuntimeDir,
            format!("the runtime directory's path has {length} bytes: the paths of its sockets would be too long"),
            format!("set [node] runtime_dir to a path of at most {MAX_RUNTIME_DIR} bytes, such as /run/bailiwick"),
        );
        return None;
    }
    let empty = |path: &PathBuf| path.as_os_str().is_empty();
    if empty(&data_dir) || empty(&runtime_dir) {
        reader.flaw(Key::DataDir, "an empty path names no directory", "");
        return None;
    }
    Some(Node {
        name: name?,
        data_dir,
        runtime_dir,
    })
}

/// Where the state is kept; none inside: in the data directory.
#[expect(
    clippy::option_option,
    reason = "the outer one says whether it is good"
)]
fn store(reader: &mut Reader<'_>, base: &Path) -> Option<Option<StoreAt>> {
    let file = |reader: &mut Reader<'_>, key| reader.text(key).map(|file| base.join(file));
    let password_file = file(reader, Key::StorePasswordFile);
    let ca_file = file(reader, Key::StoreCaFile);
    let Some(url) = reader.text(Key::StoreUrl) else {
        for key in [Key::StorePasswordFile, Key::StoreCaFile] {
            if reader.raw.value(key).is_some() {
                reader.flaw(
                    key,
                    "it belongs to a server, and none is named",
                    "set [store] url",
                );
                return None;
            }
        }
        return Some(None);
    };
    if let Err(error) = PostgresAddress::parse(&url) {
        reader.flaw(
            Key::StoreUrl,
            error.to_string(),
            "write postgresql://user@host:port/database; the password goes into [store] password_file",
        );
        return None;
    }
    Some(Some(StoreAt {
        url,
        password_file,
        ca_file,
    }))
}

fn identity(reader: &mut Reader<'_>, base: &Path) -> Option<Identity> {
    let trust_domain = reader.parsed(Key::TrustDomain);
    let x509_ttl = reader.duration(Key::X509Ttl, "5s", "24h");
    let jwt_ttl = reader.duration(Key::JwtTtl, "5s", "1h");
    let issuers = issuers::issuers(reader, base);
    Some(Identity {
        trust_domain: trust_domain?,
        x509_ttl: x509_ttl?,
        jwt_ttl: jwt_ttl?,
        x509pop_ca: reader.text(Key::X509popCa).map(|file| base.join(file)),
        issuers: issuers?,
    })
}

fn oauth(reader: &mut Reader<'_>, base: &Path) -> Option<OAuth> {
    let issuer = reader.url(Key::Issuer);
    let task_ttl = reader.duration(Key::TaskTtl, "5s", "1h");
    let high_risk_ttl = reader.duration(Key::HighRiskTtl, "5s", "1h");
    if let (Some(task), Some(high)) = (task_ttl, high_risk_ttl)
        && high > task
    {
        // Whoever shortens all tokens means these too, unless they say otherwise.
        if reader.raw.value(Key::HighRiskTtl).is_some() {
            reader.flaw(
                Key::HighRiskTtl,
                "tokens at high risk cannot live longer than others",
                "set it to at most oauth.task_ttl",
            );
        }
    }
    let max_depth = reader.count(Key::MaxDepth, 1, 6);
    let login = elsewhere::login(reader, base);
    let client_hosts = elsewhere::client_hosts(reader);
    let private_hosts = elsewhere::private_hosts(reader);
    let unbound_clients = elsewhere::unbound_clients(reader);
    Some(OAuth {
        issuer: issuer?,
        task_ttl: task_ttl?,
        high_risk_ttl: high_risk_ttl?.min(task_ttl?),
        max_depth: max_depth?,
        login: login?,
        client_hosts: client_hosts?,
        unbound_clients: unbound_clients?,
        private_hosts: private_hosts?,
    })
}

fn gateway(reader: &mut Reader<'_>, base: &Path) -> Option<Gateway> {
    let listener = listeners::gateway(reader, base);
    let origins = reader.texts(Key::GatewayOrigins);
    for origin in origins.iter().flatten() {
        if !is_origin(origin) {
            let message = format!("`{origin}` is not an origin");
            reader.flaw(
                Key::GatewayOrigins,
                message,
                "write scheme, host and port only, such as https://app.example",
            );
        }
    }
    Some(Gateway {
        listener: listener?,
        origins: origins?,
    })
}

fn audit(reader: &mut Reader<'_>, base: &Path) -> Option<Audit> {
    let (ship, otlp, parquet) = (
        elsewhere::ship(reader),
        elsewhere::otlp(reader),
        elsewhere::parquet(reader, base),
    );
    let segment = reader.size(Key::Segment, "2MiB", "1GiB");
    let publish_every = reader.duration(Key::PublishEvery, "100ms", "1m");
    let min_free = reader.size(Key::MinFree, "1MiB", "1TiB");
    let max_untiled = reader.size(Key::MaxUntiled, "8MiB", "1TiB");
    let payload_max = reader.size(Key::PayloadMax, "1KiB", "512KiB");
    let payload = match reader.text(Key::Payload).as_deref() {
        Some("args+result") => Some(Payload::ArgsAndResult),
        Some("args") => Some(Payload::Args),
        Some("none") => Some(Payload::None),
        _ => {
            reader.flaw(
                Key::Payload,
                "it says which values are kept",
                format!("it takes {}", Key::Payload.range()),
            );
            None
        }
    };
    let retention = reader.duration(Key::Retention, "1d", "36500d");
    let payload_retention = reader.duration(Key::PayloadRetention, "1d", "36500d");
    let hold_from = reader.text(Key::HoldFrom).map(|day| {
        let start = format!("{day}T00:00:00Z").parse::<Timestamp>();
        if start.is_err() {
            let message = format!("`{day}` is no day");
            reader.flaw(Key::HoldFrom, message, "write it like 2026-11-01");
        }
        start.ok()
    });
    if let (Some(segment), Some(max_untiled)) = (segment, max_untiled)
        && max_untiled / 4 < segment
    {
        let message = "the write-ahead log needs room for four segments";
        reader.flaw(Key::MaxUntiled, message, "raise it, or lower `segment`");
        return None;
    }
    if let Some(index) = reader.text(Key::AuditIndex)
        && index != "local"
    {
        let (message, help) = match index.as_str() {
            "store" => (
                "an index in the store needs PostgreSQL, which this release does not speak"
                    .to_owned(),
                "take \"local\"",
            ),
            other => (
                format!("`{other}` is no place for an index"),
                "take \"local\"",
            ),
        };
        reader.flaw(Key::AuditIndex, message, help);
        return None;
    }
    let witnesses = witnesses(reader);
    if segment.is_some_and(|segment| segment % 4_096 != 0) {
        reader.flaw(
            Key::Segment,
            "a segment is a whole number of 4KiB blocks",
            "",
        );
        return None;
    }
    Some(Audit {
        segment: segment?,
        publish_every: publish_every?,
        min_free: min_free?,
        max_untiled: max_untiled?,
        payload_max: payload_max?,
        payload: payload?,
        retention: retention?,
        // Values without their events would be nobody's.
        payload_retention: payload_retention?.min(retention?),
        hold_from: match hold_from {
            Some(day) => Some(day?),
            None => None,
        },
        quorum: quorum(reader, witnesses.as_deref()?)?,
        witnesses: witnesses?,
        ship: ship?,
        otlp: otlp?,
        parquet: parquet?,
    })
}

/// Most witnesses: each is asked for every checkpoint.
const MAX_WITNESSES: usize = 16;

fn witnesses(reader: &mut Reader<'_>) -> Option<Vec<WitnessAt>> {
    let Some(RawValue::Witnesses(written)) = reader.value(Key::AuditWitnesses) else {
        return None;
    };
    let key = Key::AuditWitnesses;
    if written.len() > MAX_WITNESSES {
        reader.flaw(key, "too many witnesses", "it takes at most 16");
        return None;
    }
    let mut witnesses: Vec<WitnessAt> = Vec::new();
    for (vkey, url) in written {
        let vkey = match CosignatureVerifier::from_vkey(&vkey) {
            Ok(vkey) => vkey,
            Err(error) => {
                reader.flaw(
                    key,
                    error.to_string(),
                    "`bailiwick witness` prints it when it starts",
                );
                return None;
            }
        };
        // One key that counts twice would be a quorum of one.
        if witnesses
            .iter()
            .any(|known| known.vkey.public() == vkey.public())
        {
            let message = format!("the key of {} is there twice", vkey.name());
            reader.flaw(key, message, "each witness has its own key");
            return None;
        }
        let base = url.trim_end_matches('/');
        let origin = base.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        if !is_origin(&origin) || base.contains(['?', '#']) {
            let message = format!("`{url}` is not an http or https URL");
            reader.flaw(key, message, "such as https://witness.example");
            return None;
        }
        witnesses.push(WitnessAt {
            vkey,
            url: base.to_owned(),
        });
    }
    Some(witnesses)
}

fn quorum(reader: &mut Reader<'_>, witnesses: &[WitnessAt]) -> Option<usize> {
    let Some(RawValue::Count(quorum)) = reader.value(Key::AuditQuorum) else {
        return Some(witnesses.len());
    };
    let quorum = usize::try_from(quorum).unwrap_or(usize::MAX);
    if quorum == 0 || quorum > witnesses.len() {
        let message = format!("a quorum of {quorum} of {} witnesses", witnesses.len());
        let help = format!("it takes {}", Key::AuditQuorum.range());
        reader.flaw(Key::AuditQuorum, message, help);
        return None;
    }
    Some(quorum)
}

fn log(reader: &mut Reader<'_>) -> Option<Log> {
    let format = match reader.text(Key::LogFormat).as_deref() {
        Some("text") => Some(LogFormat::Text),
        Some("json") => Some(LogFormat::Json),
        other => {
            let message = format!("`{}` is no form of log lines", other.unwrap_or_default());
            reader.flaw(Key::LogFormat, message, "write text or json");
            None
        }
    };
    let filter = reader.text(Key::LogFilter)?;
    if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(&filter) {
        let message = format!("`{filter}` is no filter of log lines: {error}");
        reader.flaw(
            Key::LogFilter,
            message,
            "write a level, or targets with levels: info,bailiwick_enforce=debug",
        );
        return None;
    }
    Some(Log {
        format: format?,
        filter,
    })
}

fn sessions(reader: &mut Reader<'_>) -> Option<SessionLives> {
    let idle = reader.duration(Key::SessionIdle, "5s", "24h");
    let absolute = reader.duration(Key::SessionAbsolute, "5s", "24h")?;
    let idle = idle?;
    // Whoever shortens all sessions means idle ones too, unless they say otherwise.
    if idle > absolute && reader.raw.value(Key::SessionIdle).is_some() {
        reader.flaw(
            Key::SessionIdle,
            "an idle session cannot live longer than one that is used",
            "set it to at most console.session.absolute",
        );
        return None;
    }
    Some(SessionLives {
        idle: idle.min(absolute),
        absolute,
    })
}

struct Reader<'a> {
    raw: &'a RawConfig,
    flaws: &'a mut Vec<Flaw>,
}

impl Reader<'_> {
    fn value(&self, key: Key) -> Option<RawValue> {
        match self.raw.value(key) {
            Some((value, _)) => Some(value.clone()),
            None => default_of(key),
        }
    }

    fn span(&self, key: Key) -> Option<Range<usize>> {
        self.raw.value(key).map(|(_, span)| span.clone())
    }

    fn flaw(&mut self, key: Key, message: impl Into<String>, help: impl Into<String>) {
        let name = format!("{}.{}: ", key.section(), key.name());
        let (message, help) = (format!("{name}{}", message.into()), help.into());
        let span = self.span(key);
        self.flaws.push(Flaw {
            message,
            help,
            span,
        });
    }

    fn text(&self, key: Key) -> Option<String> {
        match self.value(key) {
            Some(RawValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn texts(&self, key: Key) -> Option<Vec<String>> {
        match self.value(key) {
            Some(RawValue::Texts(texts)) => Some(texts),
            _ => None,
        }
    }

    fn uids(&self, key: Key) -> Option<Vec<u32>> {
        match self.value(key) {
            Some(RawValue::Uids(uids)) => Some(uids),
            _ => None,
        }
    }

    fn parsed<T: FromStr<Err: std::fmt::Display>>(&mut self, key: Key) -> Option<T> {
        let read = self.text(key)?.parse::<T>();
        if let Err(error) = &read {
            self.flaw(key, error.to_string(), format!("it takes {}", key.range()));
        }
        read.ok()
    }

    fn duration(&mut self, key: Key, least: &str, most: &str) -> Option<Duration> {
        let Some(RawValue::Duration(duration)) = self.value(key) else {
            return None;
        };
        let bound = |text| super::units::duration(text).unwrap_or_default();
        self.within(key, duration, bound(least), bound(most))
    }

    fn count(&mut self, key: Key, least: u64, most: u64) -> Option<usize> {
        let Some(RawValue::Count(count)) = self.value(key) else {
            return None;
        };
        let count = self.within(key, count, least, most)?;
        usize::try_from(count).ok()
    }

    fn size(&mut self, key: Key, least: &str, most: &str) -> Option<u64> {
        let Some(RawValue::Size(size)) = self.value(key) else {
            return None;
        };
        let bound = |text| super::units::size(text).unwrap_or_default();
        self.within(key, size, bound(least), bound(most))
    }

    fn within<T: PartialOrd + Copy>(&mut self, key: Key, value: T, least: T, most: T) -> Option<T> {
        if value < least || value > most {
            self.flaw(key, "out of range", format!("it takes {}", key.range()));
            return None;
        }
        Some(value)
    }

    /// An optional base URL: outer none if it is wrong.
    #[expect(
        clippy::option_option,
        reason = "outer: whether it can be used; inner: whether it is there"
    )]
    fn url(&mut self, key: Key) -> Option<Option<String>> {
        let Some(text) = self.text(key) else {
            return Some(None);
        };
        if !is_origin(&text) {
            let message = format!("`{text}` is not a URL without path");
            self.flaw(
                key,
                message,
                "write scheme, host and port only, such as https://bailiwick.example",
            );
            return None;
        }
        if text.starts_with("http://") && !loopback_host(&text) {
            let message = format!("`{text}` would send tokens over the network in the clear");
            self.flaw(key, message, "use https for a host that is not loopback");
            return None;
        }
        Some(Some(text))
    }
}

/// Scheme, host and perhaps port, in the form that compares byte by byte (RFC 6454 §6.2).
fn is_origin(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .unwrap_or_default();
    !host.is_empty()
        && text.len() <= 512
        && host.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte)
        })
}

fn loopback_host(url: &str) -> bool {
    let host = url.trim_start_matches("http://");
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    let bare = bare.unwrap_or_default();
    bare == "localhost"
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
