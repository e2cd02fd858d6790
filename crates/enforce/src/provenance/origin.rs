//! What stands behind a value.

/// What is known of a whole value from answers and people: any of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Standing(u8);

impl Standing {
    /// It was in a call of this task that a person approved.
    pub(crate) const APPROVED: Self = Self(1);
    /// It was what a person refused.
    pub(crate) const REFUSED: Self = Self(1 << 1);
    /// Only trusted people write where it stood.
    pub(crate) const KNOWN: Self = Self(1 << 2);
    /// The server assigned it in the answer to an own write.
    pub(crate) const CREATED: Self = Self(1 << 3);
    /// The server assigned it.
    pub(crate) const FACT: Self = Self(1 << 4);

    /// Adds what `other` says.
    pub(super) fn join(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether all of `other` is known of it.
    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nothing is known of it.
    pub(super) fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// Every origin of a value that memory tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Origins {
    pub(crate) standing: Standing,
    /// It occurs in an untrusted answer, or might.
    pub(crate) text: bool,
}
