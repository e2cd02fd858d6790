//! Selectors: facts about a process that attestation finds, and that a registration asks for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Digest;

/// One fact about a process on this machine, as the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// Numeric user id, `unix:uid=1000`.
    Uid(u32),
    /// Numeric group id, `unix:gid=1000`.
    Gid(u32),
    /// Absolute path of the executable in the node's mount namespace, `unix:path=/usr/bin/agent`.
    Path(String),
    /// SHA-256 of the executable, `unix:sha256=<64 hex>`.
    Sha256(Digest),
}

/// Text that is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a selector; write unix:uid=N, unix:gid=N, unix:path=/ABSOLUTE or unix:sha256=HEX"
)]
pub struct BadSelector(String);

impl FromStr for Selector {
    type Err = BadSelector;

    fn from_str(text: &str) -> Result<Self, BadSelector> {
        let bad = || BadSelector(text.chars().take(128).collect());
        let (key, value) = text
            .strip_prefix("unix:")
            .and_then(|rest| rest.split_once('='))
            .ok_or_else(bad)?;
        match key {
            "uid" => value.parse().map(Self::Uid).map_err(|_| bad()),
            "gid" => value.parse().map(Self::Gid).map_err(|_| bad()),
            "path" if value.starts_with('/') && !value.contains('\0') => {
                Ok(Self::Path(value.to_owned()))
            }
            "sha256" => value.parse().map(Self::Sha256).map_err(|_| bad()),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid(uid) => write!(f, "unix:uid={uid}"),
            Self::Gid(gid) => write!(f, "unix:gid={gid}"),
            Self::Path(path) => write!(f, "unix:path={path}"),
            Self::Sha256(digest) => write!(f, "unix:sha256={}", digest.to_hex()),
        }
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
