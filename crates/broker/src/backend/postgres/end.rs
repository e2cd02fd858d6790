//! Taking roles away: no login, no session, no role. `REASSIGN OWNED` comes before `DROP OWNED`, since the other order destroys what
//! the role has made.

use std::collections::{BTreeMap, HashMap, HashSet};

use bailiwick_core::name::CredentialName;

use super::RoleOf;
use super::door::Door;
use super::sql::{column, identifier, literal, literals, number, numbers, rows};
use crate::backend::{BackendError, Left, Stray, Target};

pub(super) async fn disable(door: &Door, slice: &mut [Target]) -> Result<(), BackendError> {
    let there = present(door, slice).await?;
    for target in &mut *slice {
        target.serial = target.serial.or_else(|| there.get(&target.name).copied());
    }
    let alter = |name: &String| {
        format!(
            "ALTER ROLE {} NOLOGIN PASSWORD NULL CONNECTION LIMIT 0",
            identifier(name)
        )
    };
    let all: Vec<String> = there.keys().map(alter).collect();
    if all.is_empty() || door.say(&all.join("; ")).await.is_ok() {
        return Ok(());
    }
    // One of them went away meanwhile, or another one is the trouble: it must not keep the rest.
    for (name, text) in there.keys().zip(&all) {
        if let Err(error) = door.say(text).await
            && !present(door, &[target(name)]).await?.is_empty()
        {
            return Err(error);
        }
    }
    Ok(())
}

pub(super) async fn kill_sessions(door: &Door, slice: &[Target]) -> Result<u64, BackendError> {
    let serials: Vec<u64> = slice.iter().filter_map(|target| target.serial).collect();
    if serials.is_empty() {
        return Ok(0);
    }
    let text = format!(
        "SELECT count(pg_catalog.pg_terminate_backend(pid))::text AS ended FROM pg_catalog.pg_stat_activity WHERE usesysid IN ({})",
        numbers(serials.into_iter())
    );
    let answer = door.say(&text).await?;
    Ok(rows(&answer)
        .next()
        .and_then(|row| number(row, "ended"))
        .unwrap_or(0))
}

pub(super) async fn remove(
    door: &Door,
    slice: &[Target],
    roles: &BTreeMap<CredentialName, RoleOf>,
) -> Result<(), BackendError> {
    let names: Vec<String> = slice
        .iter()
        .map(|target| identifier(&target.name))
        .collect();
    if names.is_empty() || door.say(&drop_roles(&names)).await.is_ok() {
        return Ok(());
    }
    // One that owns something keeps all the others: each by itself, and those that own something after what they own.
    let mut failed = None;
    for target in slice {
        if let Err(error) = remove_one(door, target, roles).await {
            failed = Some(error);
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn remove_one(
    door: &Door,
    target: &Target,
    roles: &BTreeMap<CredentialName, RoleOf>,
) -> Result<(), BackendError> {
    let name = identifier(&target.name);
    let Err(error) = door.say(&drop_roles(std::slice::from_ref(&name))).await else {
        return Ok(());
    };
    let places = places(door, &target.name).await?;
    if places.is_empty() {
        return Err(error);
    }
    let role = target.credential.as_ref().and_then(|name| roles.get(name));
    let heir = role.map(|role| role.owner.as_ref().unwrap_or(&role.group));
    let Some(heir) = heir else {
        let why = format!(
            "{} owns objects, and nothing says who is to have them: configure its credential again",
            target.name
        );
        return Err(BackendError::Permanent(why));
    };
    for place in places {
        door.say_in(&place, &hand_over(door, &name, heir).await?)
            .await?;
    }
    door.say(&drop_roles(&[name])).await.map(drop)
}

pub(super) async fn verify(door: &Door, slice: &[Target]) -> Result<Vec<Left>, BackendError> {
    let there = present(door, slice).await?;
    let text = format!(
        "SELECT usesysid::text AS oid, count(*)::text AS sessions FROM pg_catalog.pg_stat_activity \
         WHERE usesysid IN ({}) GROUP BY usesysid",
        numbers(slice.iter().filter_map(|target| target.serial))
    );
    let answer = door.say(&text).await?;
    let open: HashMap<u64, u64> = rows(&answer)
        .filter_map(|row| Some((number(row, "oid")?, number(row, "sessions")?)))
        .collect();
    let left = |target: &Target| Left {
        absent: !there.contains_key(&target.name),
        sessions: target
            .serial
            .and_then(|serial| open.get(&serial).copied())
            .unwrap_or(0),
    };
    Ok(slice.iter().map(left).collect())
}

/// OIDs of sessions whose role is gone.
pub(super) async fn strays(door: &Door) -> Result<Vec<Stray>, BackendError> {
    let text = "SELECT DISTINCT a.usesysid::text AS oid FROM pg_catalog.pg_stat_activity a \
                LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid \
                WHERE a.usesysid IS NOT NULL AND r.oid IS NULL";
    let answer = door.say(text).await?;
    let found: HashSet<u64> = rows(&answer).filter_map(|row| number(row, "oid")).collect();
    Ok(found.into_iter().map(Stray::Number).collect())
}

/// OIDs of those roles that are there, by name.
async fn present(door: &Door, slice: &[Target]) -> Result<BTreeMap<String, u64>, BackendError> {
    let text = format!(
        "SELECT rolname, oid::text AS oid FROM pg_catalog.pg_roles WHERE rolname IN ({})",
        literals(slice.iter().map(|target| target.name.as_str()))
    );
    let answer = door.say(&text).await?;
    let found = rows(&answer)
        .filter_map(|row| Some((column(row, "rolname")?.to_owned(), number(row, "oid")?)));
    Ok(found.collect())
}

/// Databases in which something depends on a role; what all databases share is seen from any of them.
async fn places(door: &Door, name: &str) -> Result<Vec<String>, BackendError> {
    let text = format!(
        "SELECT DISTINCT coalesce(d.datname, current_database()) AS place \
         FROM pg_catalog.pg_shdepend s JOIN pg_catalog.pg_roles r ON r.oid = s.refobjid \
         LEFT JOIN pg_catalog.pg_database d ON d.oid = s.dbid \
         WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND r.rolname = {}",
        literal(name)
    );
    let answer = door.say(&text).await?;
    let found = rows(&answer).filter_map(|row| Some(column(row, "place")?.to_owned()));
    Ok(found.collect())
}

/// What gives a role's things to its heir, and takes its rights away. Both need membership, which is given back.
async fn hand_over(door: &Door, name: &str, heir: &str) -> Result<String, BackendError> {
    let text = format!(
        "SELECT pg_catalog.pg_has_role(current_user, {}, 'MEMBER')::text AS member",
        literal(heir)
    );
    let answer = door.say(&text).await?;
    let member = rows(&answer).next().and_then(|row| column(row, "member")) == Some("true");
    let heir = identifier(heir);
    let (join, leave) = if member {
        (String::new(), String::new())
    } else {
        (
            format!("GRANT {heir} TO CURRENT_USER; "),
            format!("REVOKE {heir} FROM CURRENT_USER; "),
        )
    };
    Ok(format!(
        "BEGIN; GRANT {name} TO CURRENT_USER; {join}REASSIGN OWNED BY {name} TO {heir}; DROP OWNED BY {name}; {leave}COMMIT"
    ))
}

fn drop_roles(names: &[String]) -> String {
    format!("DROP ROLE IF EXISTS {}", names.join(", "))
}

fn target(name: &str) -> Target {
    Target {
        name: name.to_owned(),
        credential: None,
        serial: None,
    }
}
