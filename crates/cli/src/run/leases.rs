//! Leased credentials as variables of the program.

use std::collections::BTreeMap;
use std::str::FromStr;

use bailiwick_core::name::CredentialName;
use bailiwick_core::{Code, Problem};
use bailiwick_server::sockets::launch::protocol::Handed;

use crate::failure::Failure;

/// `--lease CREDENTIAL[=VARIABLE]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeaseArg {
    /// Which.
    pub(super) credential: CredentialName,
    /// The variable that gets its URL; the client library's own ones, if none.
    variable: Option<String>,
}

impl FromStr for LeaseArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, variable) = match text.split_once('=') {
            Some((name, variable)) => (name, Some(variable)),
            None => (text, None),
        };
        let plain = |name: &str| {
            let mut bytes = name.bytes();
            let first = bytes
                .next()
                .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
            first && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if variable.is_some_and(|variable| !plain(variable)) {
            return Err(
                "a variable's name has letters, digits and _, and no digit first".to_owned(),
            );
        }
        Ok(Self {
            credential: name
                .parse()
                .map_err(|error| format!("`{name}` names no credential: {error}"))?,
            variable: variable.map(str::to_owned),
        })
    }
}

/// What clients of OpenBao and Vault read beside the token.
const OPENBAO: &str = "openbao";
/// What speaks PostgreSQL, whose clients look into variables of their own.
const POSTGRESQL: &str = "postgresql";
/// Where a client of PostgreSQL looks (libpq, Environment Variables), by what the node answers.
const LIBPQ: [(&str, &str); 4] = [
    ("PGHOST", "host"),
    ("PGPORT", "port"),
    ("PGUSER", "username"),
    ("PGDATABASE", "database"),
];

/// Refuses what would overwrite each other.
pub(super) fn check(leases: &[LeaseArg]) -> Result<(), Failure> {
    let mut seen = std::collections::BTreeSet::new();
    for lease in leases {
        if !seen.insert(lease.variable.as_deref()) {
            let which = lease.variable.as_deref().unwrap_or("PGHOST and the like");
            return Err(Problem::new(
                Code::InvalidInput,
                format!("two leases want {which}"),
                "give each a variable of its own: --lease CREDENTIAL=VARIABLE",
            )
            .into());
        }
    }
    Ok(())
}

/// The variables that hold what was leased, in the order in which it was asked for.
pub(super) fn variables(
    asked: &[LeaseArg],
    handed: &[Handed],
) -> Result<BTreeMap<String, String>, Failure> {
    let mut variables = BTreeMap::new();
    for (lease, handed) in asked.iter().zip(handed) {
        let part = |name: &str| {
            handed.access.get(name).cloned().ok_or_else(|| {
                Failure::internal(format!("the lease of {} has no {name}", lease.credential))
            })
        };
        let scheme = part("scheme")?;
        if scheme == OPENBAO {
            let address = part("address")?;
            match &lease.variable {
                Some(variable) => {
                    variables.insert(variable.clone(), handed.secret.clone());
                }
                None => {
                    for dialect in ["BAO", "VAULT"] {
                        variables.insert(format!("{dialect}_ADDR"), address.clone());
                        variables.insert(format!("{dialect}_TOKEN"), handed.secret.clone());
                    }
                }
            }
            continue;
        }
        if let Some(variable) = &lease.variable {
            let url = format!(
                "{scheme}://{}:{}@{}:{}/{}",
                escaped(&part("username")?),
                escaped(&handed.secret),
                escaped(&part("host")?),
                part("port")?,
                escaped(&part("database")?)
            );
            variables.insert(variable.clone(), url);
        } else if scheme == POSTGRESQL {
            for (variable, name) in LIBPQ {
                variables.insert(variable.to_owned(), part(name)?);
            }
            variables.insert("PGPASSWORD".to_owned(), handed.secret.clone());
        } else {
            return Err(Problem::new(
                Code::InvalidInput,
                format!("clients of {scheme} have no variables of their own that all of them read"),
                format!(
                    "name one for its URL: --lease {}=VARIABLE",
                    lease.credential
                ),
            )
            .into());
        }
    }
    Ok(variables)
}

/// Percent-encoding of all that is not unreserved (RFC 3986 §2.3); a host that is a directory, as libpq has it, too.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| match byte {
            byte if plain(byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests;
