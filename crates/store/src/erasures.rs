//! Personal data that the store holds in the clear: what people asked for, what they approved, and who is behind a pseudonym. It goes when
//! the record's kept values do.

use bailiwick_core::id::TaskId;
use bailiwick_core::name::UserId;

use crate::StoreError;

/// Whose words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Words {
    /// Those of a task and everything below it.
    Task(TaskId),
    /// Those of everything done for a user. The user's name goes too: `instead` takes its place.
    User {
        /// The user.
        user: UserId,
        /// Who stands in the rows from then on.
        instead: UserId,
    },
}

/// How many tasks an erasure concerns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spoken {
    /// Tasks that have ended.
    pub ended: usize,
    /// Tasks still open; those keep their words, because they are worked on.
    pub open: usize,
}

/// Reads of what would go.
pub trait Erasures {
    /// The tasks concerned.
    fn spoken(&self, of: &Words) -> Result<Spoken, StoreError>;
}

/// Writes of what goes.
pub trait ErasuresMut {
    /// Takes request texts of ended tasks and the arguments of their approvals out of their rows and out of the feed; of a user also the
    /// name, and the pseudonym's row once no task is open. Appends nothing to the feed: for enforcement points nothing changes. What was
    /// there stays in the database's write-ahead log until [`crate::Store::fold`].
    fn erase_words(&mut self, of: &Words) -> Result<Spoken, StoreError>;
}
