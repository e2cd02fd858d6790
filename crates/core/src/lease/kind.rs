//! How surely a credential can be taken away, how it is handed over, and what makes it (05, model).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A word that names none of what is wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is none of {known}")]
pub struct UnknownWord {
    found: String,
    known: &'static str,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident $known:literal { $($(#[$about:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$about])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// As it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                let named = Self::ALL.iter().find(|known| known.as_str() == text);
                named.copied().ok_or_else(|| UnknownWord {
                    found: text.chars().take(64).collect(),
                    known: $known,
                })
            }
        }
    };
}

words! {
    /// How surely a credential can be taken away; less surely from top to bottom.
    LeaseClass "R0, R1, R2, R3, R4" {
        /// Proxied: cut at the next request.
        #[default]
        R0 "R0",
        /// Its account can be removed and its sessions ended.
        R1 "R1",
        /// A token that its source takes back.
        R2 "R2",
        /// Taken back only by the provider's policy.
        R3 "R3",
        /// Ends by its time alone.
        R4 "R4",
    }
}

words! {
    /// How a credential is handed over; who holds it then.
    Delivery "inject, stdio, env, file, api" {
        /// Put into calls by the enforcement point, which alone holds it.
        #[default]
        Inject "inject",
        /// Given to a tool server that the gateway started.
        Stdio "stdio",
        /// In the environment of a process that is started for it.
        Env "env",
        /// In a file of that process.
        File "file",
        /// Answered to the agent.
        Api "api",
    }
}

words! {
    /// What makes a credential.
    BackendKind "static, postgres, mariadb, redis, openbao" {
        /// A sealed value: nothing is made elsewhere.
        #[default]
        Static "static",
        /// A role of a PostgreSQL server.
        Postgres "postgres",
        /// A user of a MariaDB server.
        MariaDb "mariadb",
        /// A user of Redis servers.
        Redis "redis",
        /// A token of an OpenBao or Vault server.
        OpenBao "openbao",
    }
}

impl BackendKind {
    /// Whether what it makes ends there by itself, even if nobody ever comes to take it away.
    pub const fn native_end(self) -> bool {
        matches!(self, Self::Postgres | Self::OpenBao)
    }
}

impl LeaseClass {
    /// As policy compares it: 0 to 4.
    pub const fn as_long(self) -> u8 {
        match self {
            Self::R0 => 0,
            Self::R1 => 1,
            Self::R2 => 2,
            Self::R3 => 3,
            Self::R4 => 4,
        }
    }

    /// What is injected is cut at the enforcement point, however its source takes it back.
    #[must_use]
    pub const fn when(self, delivery: Delivery) -> Self {
        match delivery {
            Delivery::Inject => Self::R0,
            _ => self,
        }
    }
}
