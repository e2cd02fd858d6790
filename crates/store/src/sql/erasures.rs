//! Erasing personal data in SQL: members of bodies are overwritten. What that leaves in SQLite's pages, `secure_delete` zeroes.

use bailiwick_core::approval::Approval;
use bailiwick_core::change::ChangeBody;
use bailiwick_core::name::UserId;
use bailiwick_core::task::Task;

use super::view::{View, decode, encode};
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
        let instead = match of {
            Words::Task(_) => None,
            Words::User { instead, .. } => Some(instead),
        };
        self.erase_in_feed(of, instead)?;
        for id in &ended {
            self.erase_in_approvals(id, instead)?;
            // Last: it is by the user in the row that the others are found.
            self.erase_in_task(id, instead)?;
        }
        if let Words::User { user, .. } = of
            && open.is_empty()
        {
            self.execute(
                KIND,
                "",
                "DELETE FROM pseudonym WHERE user = ?1",
                [user.as_str()],
            )?;
        }
        Ok(Spoken {
            ended: ended.len(),
            open: open.len(),
        })
    }
}

impl View<'_> {
    /// Ids of the ended and of the open tasks concerned.
    fn concerned(&self, of: &Words) -> Result<(Vec<String>, Vec<String>), StoreError> {
        let sql = format!(
            "{} SELECT id, state = 'open' FROM task JOIN concerned USING (id)",
            concerned(of)
        );
        let found = self.rows(&sql, [subject(of)], |row| {
            Ok((row.get::<String>(0)?, row.get::<bool>(1)?))
        })?;
        let (open, ended): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, open)| *open);
        let ids = |rows: Vec<(String, bool)>| rows.into_iter().map(|(id, _)| id).collect();
        Ok((ids(ended), ids(open)))
    }

    fn erase_in_feed(&self, of: &Words, instead: Option<&UserId>) -> Result<(), StoreError> {
        let sql = format!(
            "{} SELECT seq FROM change WHERE key IN
                 (SELECT id FROM task JOIN concerned USING (id) WHERE state <> 'open')",
            concerned(of)
        );
        for seq in self.rows(&sql, [subject(of)], |row| row.get::<i64>(0))? {
            let body: Option<ChangeBody> =
                self.one("change", "SELECT body FROM change WHERE seq = ?1", [seq])?;
            let Some(ChangeBody::Task(task)) = body else {
                continue;
            };
            let body = ChangeBody::Task(without_words(task, instead));
            self.execute(
                KIND,
                "",
                "UPDATE change SET body = ?2 WHERE seq = ?1",
                (seq, encode("change", &body)?),
            )?;
        }
        Ok(())
    }

    fn erase_in_approvals(&self, task: &str, instead: Option<&UserId>) -> Result<(), StoreError> {
        let bodies = self.rows(
            "SELECT id, body FROM approval WHERE task = ?1",
            [task],
            |row| Ok((row.get::<String>(0)?, row.get::<String>(1)?)),
        )?;
        for (id, body) in bodies {
            let mut approval: Approval = decode("approval", &body)?;
            approval.arguments = String::new();
            if let Some(instead) = instead {
                approval.user = instead.clone();
            }
            self.execute(
                KIND,
                "",
                "UPDATE approval SET body = ?2 WHERE id = ?1",
                (id, encode("approval", &approval)?),
            )?;
        }
        Ok(())
    }

    fn erase_in_task(&self, id: &str, instead: Option<&UserId>) -> Result<(), StoreError> {
        let stored: Option<Task> = self.one("task", "SELECT body FROM task WHERE id = ?1", [id])?;
        let Some(task) = stored.map(|task| without_words(task, instead)) else {
            return Ok(());
        };
        self.execute(
            KIND,
            "",
            "UPDATE task SET user = ?2, body = ?3 WHERE id = ?1",
            (id, task.user.as_str(), encode("task", &task)?),
        )?;
        Ok(())
    }
}

/// The tasks that words are in, as a table that a query goes on from.
const fn concerned(of: &Words) -> &'static str {
    match of {
        Words::Task(_) => {
            "WITH RECURSIVE concerned (id) AS (
                 SELECT id FROM task WHERE id = ?1
                 UNION ALL SELECT task.id FROM task JOIN concerned ON task.parent = concerned.id)"
        }
        Words::User { .. } => "WITH concerned (id) AS (SELECT id FROM task WHERE user = ?1)",
    }
}

fn subject(of: &Words) -> String {
    match of {
        Words::Task(id) => id.to_string(),
        Words::User { user, .. } => user.as_str().to_owned(),
    }
}

fn without_words(mut task: Task, instead: Option<&UserId>) -> Task {
    task.request.text = String::new();
    if let Some(instead) = instead {
        task.user = instead.clone();
    }
    task
}
