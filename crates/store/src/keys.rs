//! Signing keys: the private part sealed, the public part in the clear (02, keys: one per class).

use bailiwick_core::Timestamp;

use crate::StoreError;

/// What a key signs; a key never serves two classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyClass {
    /// The CA of X.509-SVIDs.
    X509,
    /// JWT-SVIDs.
    JwtSvid,
    /// Task tokens.
    Task,
    /// Heads of the feed.
    Head,
    /// Revocation receipts.
    Receipt,
    /// Checkpoints of the audit log.
    Log,
    /// Statements over bundles of evidence.
    Evidence,
    /// Publications of policy.
    Policy,
}

impl KeyClass {
    /// All classes.
    pub const ALL: [Self; 8] = [
        Self::X509,
        Self::JwtSvid,
        Self::Task,
        Self::Head,
        Self::Receipt,
        Self::Log,
        Self::Evidence,
        Self::Policy,
    ];

    /// Lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X509 => "x509",
            Self::JwtSvid => "jwt_svid",
            Self::Task => "task",
            Self::Head => "head",
            Self::Receipt => "receipt",
            Self::Log => "log",
            Self::Evidence => "evidence",
            Self::Policy => "policy",
        }
    }
}

/// Where a key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// Published, does not sign yet.
    Prepared,
    /// Signs; at most one of its class.
    Active,
    /// Published until what it signed has expired; signs no more.
    Old,
    /// Taken back at once; nothing it signed is accepted.
    Tainted,
}

impl KeyState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Prepared, Self::Active, Self::Old, Self::Tainted];

    /// Lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Active => "active",
            Self::Old => "old",
            Self::Tainted => "tainted",
        }
    }
}

/// The public part of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPublic {
    /// A JWK, as JSON.
    Jwk(String),
    /// A certificate, DER.
    Certificate(Vec<u8>),
}

/// One key.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its id; unique among all classes.
    pub kid: String,
    /// What it signs.
    pub class: KeyClass,
    /// The private part, sealed.
    pub sealed_private: Vec<u8>,
    /// The public part.
    pub public: KeyPublic,
    /// Where it is in its life.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
}

impl std::fmt::Debug for KeyRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "KeyRow({} {} {})",
            self.class.as_str(),
            self.kid,
            self.state.as_str()
        )
    }
}

/// Reads of keys.
pub trait Keys {
    /// The keys of a class, newest first.
    fn keys(&self, class: KeyClass) -> Result<Vec<KeyRow>, StoreError>;
}

/// Writes of keys.
pub trait KeysMut {
    /// Stores a key, or its new state. A second active one of its class is [`StoreError::AlreadyExists`]: retire the other first.
    fn put_key(&mut self, key: &KeyRow) -> Result<(), StoreError>;

    /// Removes a key; [`StoreError::NotFound`] if there is none.
    fn remove_key(&mut self, kid: &str) -> Result<(), StoreError>;

    /// Tells enforcement points the task-token keys to accept from now on: appends the JWKS document to the feed.
    fn publish_token_keys(&mut self, jwks: &str) -> Result<(), StoreError>;
}
