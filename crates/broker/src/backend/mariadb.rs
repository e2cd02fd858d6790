//! MariaDB, in class R1: a user for each lease whose default role is one that exists already. The server gets a hash that is made here, and
//! never the password. A session keeps its rights when its user is dropped, so sessions are ended first, by the name that they logged in
//! with. Nothing there ends by itself: if this node never comes back, its users stay.

mod door;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bailiwick_core::lease::{BackendKind, Deployment, LeaseClass};
use bailiwick_core::name::CredentialName;
use bailiwick_core::{Secret, Timestamp};

use super::{
    Answer, Backend, BackendError, BadMember, BadServer, Description, Left, Made, Members, Object,
    Order, Probe, ServerAt, StaticSecret, Stray, Target,
};
use door::{Address, Door};

/// Members of a credential that are this kind's own.
pub(super) const MEMBERS: &[&str] = &["group", "connections", "database"];
/// Sessions that one lease may have at most.
const MAX_CONNECTIONS: u16 = 100;
/// How names of users are looked for: byte by byte, whatever the collation of the tables is.
const USERS: &str =
    "SELECT CONVERT(User USING utf8mb4) FROM mysql.global_priv WHERE Host = '%' AND User LIKE ";

/// What a leased user is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberOf {
    /// The role that it has from its login on: all its rights come from there.
    pub group: String,
    /// Sessions that it may have at once.
    pub connections: u16,
    /// The database that its holder is told; empty if none.
    pub database: String,
}

/// A backend of users.
pub struct MariaDb {
    door: Door,
    members: BTreeMap<CredentialName, MemberOf>,
    access: BTreeMap<String, String>,
}

impl MemberOf {
    pub(super) fn read(at: &ServerAt, members: Members<'_>) -> Result<Self, BadMember> {
        let help = "the role whose rights it has; it becomes the default role of leased users";
        let group = members.needed("group", help)?.to_owned();
        let database = match members.text("database") {
            Some(database) => database.to_owned(),
            None => Address::parse(&at.url)
                .map(|address| address.database)
                .map_err(|error| BadMember::new(error.to_string(), ""))?,
        };
        Ok(Self {
            group,
            connections: members.counted("connections", 2, MAX_CONNECTIONS)?,
            database,
        })
    }
}

/// Refuses an address that this kind cannot use.
pub(super) fn check(at: &ServerAt) -> Result<(), BadServer> {
    Address::parse(&at.url).map(drop)
}

impl MariaDb {
    /// A backend that opens `values` to log in. Nothing is connected yet.
    pub fn new(
        at: &ServerAt,
        members: BTreeMap<CredentialName, MemberOf>,
        values: &Arc<StaticSecret>,
    ) -> Result<Self, BadServer> {
        let address = Address::parse(&at.url)?;
        let access = [
            ("scheme", "mariadb".to_owned()),
            ("host", address.host.clone()),
            ("port", address.port.to_string()),
        ];
        Ok(Self {
            door: Door::new(address, at, Arc::clone(values))?,
            members,
            access: access
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        })
    }

    async fn make(&self, order: &Order) -> Result<Made, BackendError> {
        let member = self.members.get(&order.credential).ok_or_else(|| {
            BackendError::Permanent(format!(
                "no role is configured for credential {}",
                order.credential
            ))
        })?;
        let (user, role) = (account(order.name.as_str()), identifier(&member.group));
        let hash = bailiwick_crypto::hash::mysql_native_password(order.secret.expose().as_bytes());
        self.door
            .tell(&[
                format!(
                    "CREATE USER {user} IDENTIFIED VIA mysql_native_password USING '{hash}' WITH MAX_USER_CONNECTIONS {}",
                    member.connections
                ),
                format!("GRANT {role} TO {user}"),
                format!("SET DEFAULT ROLE {role} FOR {user}"),
            ])
            .await?;
        let mut access = self.access.clone();
        access.insert("database".to_owned(), member.database.clone());
        access.insert("username".to_owned(), order.name.to_string());
        Ok(Made {
            secret: Secret::new(order.secret.expose().clone()),
            access,
            serial: None,
        })
    }

    /// Names that begin as those of a deployment.
    async fn names(&self, ours: &Deployment) -> Result<Vec<String>, BackendError> {
        let like = literal(&format!("{}%", ours.prefix()));
        let rows = self.door.ask::<(String,)>(format!("{USERS}{like}")).await?;
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }

    async fn found(&self, ours: &Deployment) -> Result<Vec<Object>, BackendError> {
        let object = |name: String| {
            Some(Object {
                lease: ours.lease(&name)?,
                name,
                serial: None,
            })
        };
        Ok(self
            .names(ours)
            .await?
            .into_iter()
            .filter_map(object)
            .collect())
    }

    async fn stands(&self, ours: &Deployment) -> Result<Probe, BackendError> {
        let text = "SELECT VERSION(), CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)";
        let rows = self.door.ask::<(String, i64)>(text.to_owned()).await?;
        let odd = || BackendError::Permanent("its answer is not understood".to_owned());
        let (version, micros) = rows.into_iter().next().ok_or_else(odd)?;
        let names = self.names(ours).await?;
        Ok(Probe {
            version,
            clock: Timestamp::from_micros(micros),
            generation: names.iter().filter_map(|name| ours.generation(name)).max(),
        })
    }

    async fn lock(&self, slice: &[Target]) -> Result<(), BackendError> {
        self.of_all(slice, |users| {
            format!("ALTER USER IF EXISTS {users} ACCOUNT LOCK")
        })
        .await
    }

    async fn end_sessions(&self, slice: &[Target]) -> Result<u64, BackendError> {
        let Some(names) = listed(slice) else {
            return Ok(0);
        };
        let text =
            format!("SELECT ID FROM information_schema.PROCESSLIST WHERE BINARY USER IN ({names})");
        let open: Vec<(u64,)> = self.door.ask(text).await?;
        for (id,) in &open {
            // One that ended meanwhile is no error; one that did not is seen by the next look.
            let _ = self.door.tell(&[format!("KILL CONNECTION {id}")]).await;
        }
        Ok(u64::try_from(open.len()).unwrap_or(u64::MAX))
    }

    async fn delete(&self, slice: &[Target]) -> Result<(), BackendError> {
        self.of_all(slice, |users| format!("DROP USER IF EXISTS {users}"))
            .await
    }

    async fn look(&self, slice: &[Target]) -> Result<Vec<Left>, BackendError> {
        let Some(names) = listed(slice) else {
            return Ok(Vec::new());
        };
        let there = format!(
            "SELECT CONVERT(User USING utf8mb4) FROM mysql.global_priv WHERE Host = '%' AND BINARY User IN ({names})"
        );
        let there: Vec<(String,)> = self.door.ask(there).await?;
        let there: BTreeSet<String> = there.into_iter().map(|(name,)| name).collect();
        let open = format!(
            "SELECT CONVERT(USER USING utf8mb4), COUNT(*) FROM information_schema.PROCESSLIST \
             WHERE BINARY USER IN ({names}) GROUP BY USER"
        );
        let open: Vec<(String, u64)> = self.door.ask(open).await?;
        let open: HashMap<String, u64> = open.into_iter().collect();
        let left = |target: &Target| Left {
            absent: !there.contains(&target.name),
            sessions: open.get(&target.name).copied().unwrap_or(0),
        };
        Ok(slice.iter().map(left).collect())
    }

    async fn left_over(&self, ours: &Deployment) -> Result<Vec<Stray>, BackendError> {
        let like = literal(&format!("{}%", ours.prefix()));
        let text = format!(
            "SELECT DISTINCT CONVERT(p.USER USING utf8mb4) FROM information_schema.PROCESSLIST p \
             LEFT JOIN mysql.global_priv g ON g.Host = '%' AND BINARY g.User = BINARY p.USER \
             WHERE p.USER LIKE {like} AND g.User IS NULL"
        );
        let open: Vec<(String,)> = self.door.ask(text).await?;
        let ours = open
            .into_iter()
            .map(|(name,)| name)
            .filter(|name| ours.lease(name).is_some());
        Ok(ours.map(Stray::Name).collect())
    }

    async fn leave_mark(&self, ours: &Deployment, generation: u64) -> Result<(), BackendError> {
        let new = ours.marker(generation);
        let mut all = vec![format!(
            "CREATE USER IF NOT EXISTS {} ACCOUNT LOCK",
            account(&new)
        )];
        let names = self.names(ours).await?.into_iter();
        let old = names.filter(|name| ours.generation(name).is_some() && *name != new);
        all.extend(old.map(|name| format!("DROP USER IF EXISTS {}", account(&name))));
        self.door.tell(&all).await
    }

    /// One statement about all of them; each by itself if that fails, so that one keeps no other.
    async fn of_all(
        &self,
        slice: &[Target],
        statement: impl Fn(&str) -> String,
    ) -> Result<(), BackendError> {
        let users: Vec<String> = slice.iter().map(|target| account(&target.name)).collect();
        if users.is_empty()
            || self
                .door
                .tell(&[statement(&users.join(", "))])
                .await
                .is_ok()
        {
            return Ok(());
        }
        let mut failed = None;
        for user in users {
            if let Err(error) = self.door.tell(&[statement(&user)]).await {
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

impl Backend for MariaDb {
    fn describe(&self) -> Description {
        Description {
            kind: BackendKind::MariaDb,
            class: LeaseClass::R1,
            native_end: BackendKind::MariaDb.native_end(),
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

    fn strays<'a>(&'a self, ours: &'a Deployment) -> Answer<'a, Vec<Stray>> {
        Box::pin(self.left_over(ours))
    }

    fn disable<'a>(&'a self, slice: &'a mut [Target]) -> Answer<'a, ()> {
        Box::pin(self.lock(slice))
    }

    fn kill_sessions<'a>(&'a self, slice: &'a [Target]) -> Answer<'a, u64> {
        Box::pin(self.end_sessions(slice))
    }

    fn remove<'a>(&'a self, slice: &'a [Target]) -> Answer<'a, ()> {
        Box::pin(self.delete(slice))
    }

    fn verify<'a>(&'a self, slice: &'a [Target]) -> Answer<'a, Vec<Left>> {
        Box::pin(self.look(slice))
    }

    fn mark<'a>(&'a self, ours: &'a Deployment, generation: u64) -> Answer<'a, ()> {
        Box::pin(self.leave_mark(ours, generation))
    }
}

/// A name, quoted.
fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A user of ours, from wherever it logs in.
fn account(name: &str) -> String {
    format!("{}@`%`", identifier(name))
}

/// A text, as its bytes: whatever is in it, and however the server reads backslashes.
fn literal(text: &str) -> String {
    let digits: Vec<String> = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("x'{}'", digits.concat())
}

/// Their names as a list of texts; none if there is none.
fn listed(slice: &[Target]) -> Option<String> {
    let names: Vec<String> = slice.iter().map(|target| literal(&target.name)).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
