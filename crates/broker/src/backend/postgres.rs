//! PostgreSQL, in class R1: a role for each lease, with the rights of a group that exists already. Its password is drawn here and its
//! SCRAM verifier made here, so the server never sees it before it is used. It ends by `VALID UNTIL` if nobody comes to take it away.
//! Sessions are ended by the role's OID: after `SET ROLE` they still carry it, and after `DROP ROLE` they live on without a name.

mod door;
mod end;
mod sql;

use std::collections::BTreeMap;
use std::sync::Arc;

use bailiwick_core::lease::{BackendKind, Deployment, LeaseClass};
use bailiwick_core::name::CredentialName;
use bailiwick_core::{Secret, Timestamp};
use bailiwick_store::PostgresAddress;

use super::{
    Answer, Backend, BackendError, BadMember, BadServer, Description, Left, Made, Members, Object,
    Order, Probe, ServerAt, StaticSecret, Stray, Target,
};
use door::Door;
use sql::{column, identifier, literal, number, rows};

/// Members of a credential that are this kind's own.
pub(super) const MEMBERS: &[&str] = &["group", "owner", "connections", "database"];
/// Sessions that one lease may have at most.
const MAX_CONNECTIONS: u16 = 100;

/// What a leased role is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleOf {
    /// The role whose member it is: all its rights come from there.
    pub group: String,
    /// Who gets what it leaves behind; the group if none.
    pub owner: Option<String>,
    /// Sessions that it may have at once.
    pub connections: u16,
    /// The database that its holder is told.
    pub database: String,
}

/// A backend of roles.
pub struct Postgres {
    door: Door,
    roles: BTreeMap<CredentialName, RoleOf>,
    host: String,
    port: u16,
}

impl RoleOf {
    pub(super) fn read(at: &ServerAt, members: Members<'_>) -> Result<Self, BadMember> {
        let help = "the role whose rights it has; leased roles become its members";
        let group = members.needed("group", help)?.to_owned();
        let database = match members.text("database") {
            Some(database) => database.to_owned(),
            None => PostgresAddress::parse(&at.url)
                .map(|address| address.database)
                .map_err(|error| BadMember::new(error.to_string(), ""))?,
        };
        Ok(Self {
            group,
            owner: members.text("owner").map(str::to_owned),
            connections: members.counted("connections", 2, MAX_CONNECTIONS)?,
            database,
        })
    }
}

/// Refuses an address that this kind cannot use.
pub(super) fn check(at: &ServerAt) -> Result<(), BadServer> {
    Ok(PostgresAddress::parse(&at.url).map(drop)?)
}

impl Postgres {
    /// A backend that opens `values` to log in. Nothing is connected yet.
    pub fn new(
        at: &ServerAt,
        roles: BTreeMap<CredentialName, RoleOf>,
        values: &Arc<StaticSecret>,
    ) -> Result<Self, BadServer> {
        let address = PostgresAddress::parse(&at.url)?;
        Ok(Self {
            door: Door::new(&address, at, Arc::clone(values))?,
            host: address.host,
            port: address.port,
            roles,
        })
    }

    fn role(&self, credential: &CredentialName) -> Result<&RoleOf, BackendError> {
        self.roles.get(credential).ok_or_else(|| {
            BackendError::Permanent(format!("no role is configured for credential {credential}"))
        })
    }

    async fn make(&self, order: &Order) -> Result<Made, BackendError> {
        let role = self.role(&order.credential)?;
        let name = order.name.as_str();
        let verifier = postgres_protocol::password::scram_sha_256(order.secret.expose().as_bytes());
        // What a crash of the server loses here was given to nobody or is found missing.
        let text = format!(
            "BEGIN; SET LOCAL synchronous_commit = off; \
             CREATE ROLE {} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT LOGIN \
             PASSWORD {} VALID UNTIL {} CONNECTION LIMIT {} IN ROLE {}; \
             SELECT oid::text AS oid FROM pg_catalog.pg_roles WHERE rolname = {}; COMMIT",
            identifier(name),
            literal(&verifier),
            literal(&order.until.to_string()),
            role.connections,
            identifier(&role.group),
            literal(name),
        );
        let answer = self.door.say(&text).await?;
        let serial = rows(&answer).next().and_then(|row| number(row, "oid"));
        let access = [
            ("scheme", "postgresql".to_owned()),
            ("host", self.host.clone()),
            ("port", self.port.to_string()),
            ("database", role.database.clone()),
            ("username", name.to_owned()),
        ];
        Ok(Made {
            secret: Secret::new(order.secret.expose().clone()),
            access: access
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            serial,
        })
    }

    async fn found(&self, ours: &Deployment) -> Result<Vec<Object>, BackendError> {
        let answer = self.door.say(&named_like(ours)).await?;
        let object = |row| {
            let name = column(row, "rolname")?;
            Some(Object {
                lease: ours.lease(name)?,
                name: name.to_owned(),
                serial: number(row, "oid"),
            })
        };
        Ok(rows(&answer).filter_map(object).collect())
    }

    async fn stands(&self, ours: &Deployment) -> Result<Probe, BackendError> {
        let text = format!(
            "SELECT current_setting('server_version') AS version, \
             floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text AS micros; {}",
            named_like(ours)
        );
        let answer = self.door.say(&text).await?;
        let odd = || BackendError::Permanent("its answer is not understood".to_owned());
        let mut rows = rows(&answer);
        let first = rows.next().ok_or_else(odd)?;
        let micros = column(first, "micros").and_then(|text| text.parse().ok());
        let marker = |row| ours.generation(column(row, "rolname")?);
        Ok(Probe {
            version: column(first, "version").unwrap_or_default().to_owned(),
            clock: Timestamp::from_micros(micros.ok_or_else(odd)?),
            generation: rows.filter_map(marker).max(),
        })
    }

    async fn leave_mark(&self, ours: &Deployment, generation: u64) -> Result<(), BackendError> {
        let answer = self.door.say(&named_like(ours)).await?;
        let marks = |row| column(row, "rolname").filter(|name| ours.generation(name).is_some());
        let mut old: Vec<&str> = rows(&answer).filter_map(marks).collect();
        let new = ours.marker(generation);
        if old.iter().any(|name| **name == *new) {
            return Ok(());
        }
        let mut text = vec![match old.pop() {
            Some(last) => format!(
                "ALTER ROLE {} RENAME TO {}",
                identifier(last),
                identifier(&new)
            ),
            None => format!("CREATE ROLE {} NOLOGIN", identifier(&new)),
        }];
        let drop_role = |name: &&str| format!("DROP ROLE IF EXISTS {}", identifier(name));
        text.extend(old.iter().map(drop_role));
        self.door.say(&text.join("; ")).await.map(drop)
    }
}

impl Backend for Postgres {
    fn describe(&self) -> Description {
        Description {
            kind: BackendKind::Postgres,
            class: LeaseClass::R1,
            native_end: BackendKind::Postgres.native_end(),
            remote: true,
        }
    }

    fn probe<'a>(&'a self, ours: &'a Deployment) -> Answer<'a, Probe> {
        Box::pin(self.stands(ours))
    }

    fn create<'a>(&'a self, order: &'a Order) -> Answer<'a, Made> {
        Box::pin(self.make(order))
    }

    fn list<'a>(&'a self, ours: &'a Deployment) -> Answer<'a, Vec<Object>> {
        Box::pin(self.found(ours))
    }

    fn strays<'a>(&'a self, _ours: &'a Deployment) -> Answer<'a, Vec<Stray>> {
        Box::pin(end::strays(&self.door))
    }

    fn disable<'a>(&'a self, slice: &'a mut [Target]) -> Answer<'a, ()> {
        Box::pin(end::disable(&self.door, slice))
    }

    fn kill_sessions<'a>(&'a self, slice: &'a [Target]) -> Answer<'a, u64> {
        Box::pin(end::kill_sessions(&self.door, slice))
    }

    fn remove<'a>(&'a self, slice: &'a [Target]) -> Answer<'a, ()> {
        Box::pin(end::remove(&self.door, slice, &self.roles))
    }

    fn verify<'a>(&'a self, slice: &'a [Target]) -> Answer<'a, Vec<Left>> {
        Box::pin(end::verify(&self.door, slice))
    }

    fn mark<'a>(&'a self, ours: &'a Deployment, generation: u64) -> Answer<'a, ()> {
        Box::pin(self.leave_mark(ours, generation))
    }
}

/// Roles whose names begin as those of a deployment. A deployment has no character that `LIKE` reads otherwise.
fn named_like(ours: &Deployment) -> String {
    format!(
        "SELECT rolname, oid::text AS oid FROM pg_catalog.pg_roles WHERE rolname LIKE {}",
        literal(&format!("{}%", ours.prefix()))
    )
}
