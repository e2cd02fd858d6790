//! The steps of the protocol by name. Between each two of them the node may be killed: tests do it, by a hook that no other build has.

/// A step; what it changes is not there before it, and there after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// INTENT is on record.
    Tx1,
    /// The backend has made it.
    Create,
    /// ACTIVE is on record.
    Tx2,
    /// Its holder has it.
    Deliver,
    /// REVOKING is on record.
    Fence,
    /// Nobody can log in with it.
    Disable,
    /// Its sessions are over.
    Kill,
    /// Its account is gone.
    Drop,
    /// The backend said so.
    Verify,
    /// TOMBSTONE is on record.
    Tx3,
}

/// Which side of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    After,
}

#[cfg(test)]
pub(crate) type Hook = std::sync::Arc<dyn Fn(Step, Side) + Send + Sync>;

#[cfg(test)]
impl Step {
    pub(crate) const ALL: [Self; 10] = [
        Self::Tx1,
        Self::Create,
        Self::Tx2,
        Self::Deliver,
        Self::Fence,
        Self::Disable,
        Self::Kill,
        Self::Drop,
        Self::Verify,
        Self::Tx3,
    ];
}
