//! Fences in SQL.

use bailiwick_core::change::ChangeBody;
use bailiwick_core::fence::{Fence, Subject};
use bailiwick_core::id::FenceId;

use super::view::{View, encode, refused, signed};
use crate::{Fences, FencesMut, StoreError};

const KIND: &str = "fence";

impl Fences for View<'_> {
    fn fence(&self, id: FenceId) -> Result<Option<Fence>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM fence WHERE id = ?1",
            [id.to_string()],
        )
    }

    fn fences(&self) -> Result<Vec<Fence>, StoreError> {
        self.many(KIND, "SELECT body FROM fence ORDER BY seq", ())
    }

    fn fences_of(&self, subject: &Subject) -> Result<Vec<Fence>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM fence WHERE subject = ?1 ORDER BY seq",
            [subject.to_string()],
        )
    }
}

impl FencesMut for View<'_> {
    fn put_fence(&mut self, fence: &Fence) -> Result<(), StoreError> {
        let id = fence.id.to_string();
        let next = self.head().saturating_add(1);
        match self.fence(fence.id)? {
            None if fence.seq != next || fence.lifted_seq.is_some() => {
                return Err(refused(
                    KIND,
                    &id,
                    "a new fence has the next sequence and is not lifted",
                ));
            }
            None => {}
            Some(stored) => may_lift(&id, &stored, fence, next)?,
        }
        self.execute(
            KIND,
            &id,
            "INSERT INTO fence (id, subject, seq, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (
                &id,
                fence.subject.to_string(),
                signed(KIND, fence.seq)?,
                encode(KIND, fence)?,
            ),
        )?;
        self.append(&id, ChangeBody::Fence(fence.clone()))
    }
}

fn may_lift(id: &str, stored: &Fence, fence: &Fence, next: u64) -> Result<(), StoreError> {
    if !stored.subject.lifts() {
        return Err(refused(
            KIND,
            id,
            "a fence on this kind of subject is final",
        ));
    }
    if stored.lifted_seq.is_some() {
        return Err(refused(KIND, id, "it was lifted before"));
    }
    let lifted = Fence {
        lifted_seq: Some(next),
        ..stored.clone()
    };
    if *fence == lifted {
        Ok(())
    } else {
        Err(refused(
            KIND,
            id,
            "a fence can only be lifted, with the next sequence",
        ))
    }
}
