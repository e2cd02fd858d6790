//! Erasing personal data in SQLite: members of JSON bodies are overwritten in place. `secure_delete` zeroes what they leave in the pages.

use bailiwick_core::name::UserId;

use super::view::{View, encode};
use crate::{Erasures, ErasuresMut, Spoken, StoreError, Words};

const KIND: &str = "erasure";

impl Erasures for View<'_> {
    fn spoken(&self, of: &Words) -> Result<Spoken, StoreError> {
        let (ended, open) = self.concerned(of)?;
        Ok(Spoken {
            ended: ended.len(),
            open: open.len(),
        })
    }
}

impl ErasuresMut for View<'_> {
    fn erase_words(&mut self, of: &Words) -> Result<Spoken, StoreError> {
        let (ended, open) = self.concerned(of)?;
        let spoken = Spoken {
            ended: ended.len(),
            open: open.len(),
        };
        let ids = encode(KIND, &ended)?;
        self.execute(
            KIND,
            "",
            "UPDATE task SET body = json_set(body, '$.request.text', '')
             WHERE id IN (SELECT value FROM json_each(?1))",
            [&ids],
        )?;
        self.execute(
            KIND,
            "",
            "UPDATE change SET body = json_set(body, '$.value.request.text', '')
             WHERE key IN (SELECT value FROM json_each(?1)) AND json_extract(body, '$.kind') = 'task'",
            [&ids],
        )?;
        self.execute(
            KIND,
            "",
            "UPDATE approval SET body = json_set(body, '$.arguments', '')
             WHERE task IN (SELECT value FROM json_each(?1))",
            [&ids],
        )?;
        if let Words::User { user, instead } = of {
            self.rename(&ids, instead)?;
            if open.is_empty() {
                self.execute(
                    KIND,
                    "",
                    "DELETE FROM pseudonym WHERE user = ?1",
                    [user.as_str()],
                )?;
            }
        }
        Ok(spoken)
    }
}

impl View<'_> {
    /// Ids of the ended and of the open tasks concerned.
    fn concerned(&self, of: &Words) -> Result<(Vec<String>, Vec<String>), StoreError> {
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?));
        let found = match of {
            Words::Task(id) => self.rows(
                "WITH RECURSIVE tree (id) AS (
                     SELECT ?1 UNION ALL SELECT task.id FROM task JOIN tree ON task.parent = tree.id)
                 SELECT id, state = 'open' FROM task JOIN tree USING (id)",
                [id.to_string()],
                row,
            )?,
            Words::User { user, .. } => self.rows(
                "SELECT id, state = 'open' FROM task WHERE user = ?1",
                [user.as_str()],
                row,
            )?,
        };
        let (open, ended): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, open)| *open);
        let ids = |rows: Vec<(String, bool)>| rows.into_iter().map(|(id, _)| id).collect();
        Ok((ids(ended), ids(open)))
    }

    /// Lets somebody else's name stand in the rows of tasks.
    fn rename(&self, ids: &str, instead: &UserId) -> Result<(), StoreError> {
        for sql in [
            "UPDATE task SET user = ?2, body = json_set(body, '$.user', ?2)
             WHERE id IN (SELECT value FROM json_each(?1))",
            "UPDATE change SET body = json_set(body, '$.value.user', ?2)
             WHERE key IN (SELECT value FROM json_each(?1)) AND json_extract(body, '$.kind') = 'task'",
            "UPDATE approval SET body = json_set(body, '$.user', ?2)
             WHERE task IN (SELECT value FROM json_each(?1))",
        ] {
            self.execute(KIND, "", sql, (ids, instead.as_str()))?;
        }
        Ok(())
    }
}
