//! A new key that wraps the keys of sealed values: everything on disk is wrapped anew, so that the old key can be destroyed, and with it
//! what older copies of the log's files still hold.

use bailiwick_core::event::{ChangeRef, EventType};
use bailiwick_core::{Code, Fault};
use tokio::sync::oneshot;

use super::Log;
use crate::housekeeping::{Order, Work};
use crate::record::{Class, RecordError, Recorder};
use crate::seal::Kek;

impl Log {
    /// Wraps with `newest` from now on, or goes on with a change that was interrupted, and wraps everything anew that another key of this
    /// log wraps. When this resolves the older keys open nothing of it any more, and whoever keeps them destroys them. Dropping the future
    /// stops nothing; asked again it starts over.
    pub async fn rotate_kek(&self, newest: Option<Kek>, actor: &str) -> Result<(), RotateError> {
        let _one = self.erasing.lock().await;
        let before = self.encoder.keks.newest().kek.id;
        if let Some(newest) = newest {
            self.encoder.keks.renew(newest);
        }
        let mut event = self.own_event(EventType::LogKeyRotated, actor);
        event.change = Some(ChangeRef {
            kind: "kek".into(),
            id: self.encoder.keks.newest().kek.id.to_string(),
            before: Some(before.to_string()),
            after: Some("what is sealed is wrapped anew".into()),
        });
        // What is wrapped by older keys ends up before the segment that begins now.
        self.roll.order();
        self.record(event, Class::Narrow).await?;
        let from = self.roll.at();
        let (done, waiting) = oneshot::channel();
        let work = Work::Rewrap { from, done: 0 };
        self.wake.order(Order {
            work,
            done: Some(done),
        });
        waiting.await.map_err(|_| RotateError::Interrupted)?;
        self.encoder.keks.forget_older();
        Ok(())
    }
}

/// Why the older keys are still needed.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The event could not be recorded.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The node stopped in the middle.
    #[error("the node stopped before everything was wrapped anew")]
    Interrupted,
}

impl Fault for RotateError {
    fn code(&self) -> Code {
        match self {
            Self::Record(error) => error.code(),
            Self::Interrupted => Code::AuditUnavailable,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Record(error) => error.help(),
            Self::Interrupted => "The node goes on with it at its next start.".into(),
        }
    }
}
