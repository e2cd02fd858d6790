//! The kinds of backends that are elsewhere: what each reads of a configuration, and how it is opened. A new kind is a file beside this one
//! and a line in each `match`.

use std::collections::BTreeMap;
use std::sync::Arc;

use bailiwick_core::lease::BackendKind;
use bailiwick_core::name::CredentialName;

use super::{
    Backend, BadMember, BadServer, MariaDb, MemberOf, Members, OpenBao, Postgres, Redis, RoleOf,
    ServerAt, StaticSecret, TokenOf, UserOf, mariadb, openbao, postgres, redis,
};

/// A backend, as an operator names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendAt {
    /// What it is.
    pub kind: BackendKind,
    /// Where it is.
    pub server: ServerAt,
}

/// What is made of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountOf {
    /// A role of PostgreSQL.
    Postgres(RoleOf),
    /// A user of MariaDB.
    MariaDb(MemberOf),
    /// A user of Redis.
    Redis(UserOf),
    /// A token of OpenBao.
    OpenBao(TokenOf),
}

impl BackendAt {
    /// Kinds that a configuration may name.
    pub const KINDS: &[BackendKind] = &[
        BackendKind::Postgres,
        BackendKind::MariaDb,
        BackendKind::Redis,
        BackendKind::OpenBao,
    ];

    /// How an address of a kind is written.
    pub const fn form(kind: BackendKind) -> &'static str {
        match kind {
            BackendKind::Static => "",
            BackendKind::Postgres => "postgresql://user@host:5432/database",
            BackendKind::MariaDb => "mariadb://user@host:3306/database",
            BackendKind::Redis => "rediss://user@host:6379, one or more with a space between them",
            BackendKind::OpenBao => openbao::FORM,
        }
    }

    /// Members of a credential that only some kinds have.
    pub const fn members(kind: BackendKind) -> &'static [&'static str] {
        match kind {
            BackendKind::Static => &[],
            BackendKind::Postgres => postgres::MEMBERS,
            BackendKind::MariaDb => mariadb::MEMBERS,
            BackendKind::Redis => redis::MEMBERS,
            BackendKind::OpenBao => openbao::MEMBERS,
        }
    }

    /// Refuses an address that cannot be used. Nothing is connected.
    pub fn check(&self) -> Result<(), BadServer> {
        match self.kind {
            BackendKind::Static => Ok(()),
            BackendKind::Postgres => postgres::check(&self.server),
            BackendKind::MariaDb => mariadb::check(&self.server),
            BackendKind::Redis => redis::check(&self.server),
            BackendKind::OpenBao => openbao::check(&self.server),
        }
    }

    /// What a credential is at this backend.
    pub fn account(&self, members: Members<'_>) -> Result<AccountOf, BadMember> {
        match self.kind {
            BackendKind::Static => Err(BadMember::new("sealed values have no backend", "")),
            BackendKind::Postgres => RoleOf::read(&self.server, members).map(AccountOf::Postgres),
            BackendKind::MariaDb => MemberOf::read(&self.server, members).map(AccountOf::MariaDb),
            BackendKind::Redis => UserOf::read(members).map(AccountOf::Redis),
            BackendKind::OpenBao => TokenOf::read(members).map(AccountOf::OpenBao),
        }
    }

    /// The backend, that opens `values` to log in, and the credentials that it makes; others' are left out. Nothing is connected yet.
    pub fn open(
        &self,
        accounts: &BTreeMap<CredentialName, AccountOf>,
        values: &Arc<StaticSecret>,
    ) -> Result<Arc<dyn Backend>, BadServer> {
        let at = &self.server;
        Ok(match self.kind {
            BackendKind::Static => Arc::clone(values) as _,
            BackendKind::Postgres => {
                let roles = of(accounts, |account| match account {
                    AccountOf::Postgres(role) => Some(role),
                    _ => None,
                });
                Arc::new(Postgres::new(at, roles, values)?)
            }
            BackendKind::MariaDb => {
                let members = of(accounts, |account| match account {
                    AccountOf::MariaDb(member) => Some(member),
                    _ => None,
                });
                Arc::new(MariaDb::new(at, members, values)?)
            }
            BackendKind::Redis => {
                let users = of(accounts, |account| match account {
                    AccountOf::Redis(user) => Some(user),
                    _ => None,
                });
                Arc::new(Redis::new(at, users, values)?)
            }
            BackendKind::OpenBao => {
                let tokens = of(accounts, |account| match account {
                    AccountOf::OpenBao(token) => Some(token),
                    _ => None,
                });
                Arc::new(OpenBao::new(at, tokens, values)?)
            }
        })
    }
}

fn of<T: Clone>(
    accounts: &BTreeMap<CredentialName, AccountOf>,
    own: impl Fn(&AccountOf) -> Option<&T>,
) -> BTreeMap<CredentialName, T> {
    let own = accounts
        .iter()
        .filter_map(|(name, account)| Some((name.clone(), own(account)?.clone())));
    own.collect()
}
