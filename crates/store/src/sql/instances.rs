//! Instances in SQL.

use bailiwick_core::Timestamp;
use bailiwick_core::change::ChangeBody;
use bailiwick_core::id::InstanceId;
use bailiwick_core::instance::{Instance, InstanceState, Place};
use bailiwick_core::name::AgentName;

use super::view::{View, encode, refused, signed, unsigned};
use crate::{Instances, InstancesMut, StoreError};

const KIND: &str = "instance";

impl Instances for View<'_> {
    fn instance(&self, id: InstanceId) -> Result<Option<Instance>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM instance WHERE id = ?1",
            [id.to_string()],
        )
    }

    fn instance_of_process(&self, pid: u32, start: u64) -> Result<Option<Instance>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM instance WHERE node = ?1 AND pid = ?2 AND pid_start = ?3 AND state = 'live'",
            (self.node(), i64::from(pid), signed(KIND, start)?),
        )
    }

    fn live_instances(&self) -> Result<Vec<Instance>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM instance WHERE state = 'live' ORDER BY id",
            (),
        )
    }

    fn live_remote_instances(&self) -> Result<u64, StoreError> {
        let count = self.row(
            "SELECT count(*) FROM instance WHERE state = 'live' AND until IS NOT NULL",
            (),
            |row| row.get::<i64>(0),
        )?;
        Ok(count.map_or(0, unsigned))
    }

    fn instances_due(&self, now: Timestamp) -> Result<Vec<Instance>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM instance WHERE state = 'live' AND until <= ?1 ORDER BY until",
            [now.as_micros()],
        )
    }

    fn live_instances_of_agent(&self, agent: &AgentName) -> Result<Vec<Instance>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM instance WHERE agent = ?1 AND state = 'live' ORDER BY id",
            [agent.as_str()],
        )
    }
}

impl InstancesMut for View<'_> {
    fn put_instance(&mut self, instance: &Instance) -> Result<(), StoreError> {
        let id = instance.id.to_string();
        match self.instance(instance.id)? {
            None => self.may_begin(&id, instance)?,
            Some(stored) => may_change(&id, &stored, instance)?,
        }
        let process = instance.process();
        let until = match &instance.place {
            Place::Process { .. } => None,
            Place::Remote(remote) => Some(remote.until.as_micros()),
        };
        self.execute(
            KIND,
            &id,
            "INSERT INTO instance (id, agent, pid, pid_start, until, state, body, node)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (id) DO UPDATE SET until = excluded.until, state = excluded.state, body = excluded.body",
            (
                &id,
                instance.agent.as_str(),
                process.map(|(pid, _)| i64::from(pid)),
                process.map(|(_, start)| signed(KIND, start)).transpose()?,
                until,
                state(instance.state),
                encode(KIND, instance)?,
                self.node(),
            ),
        )?;
        self.append(&id, ChangeBody::Instance(instance.clone()))
    }
}

impl View<'_> {
    fn may_begin(&self, id: &str, instance: &Instance) -> Result<(), StoreError> {
        if instance.born_seq > self.head().saturating_add(1) {
            return Err(refused(
                KIND,
                id,
                "it is born after the next change, so a fence could miss it",
            ));
        }
        Ok(())
    }
}

fn may_change(id: &str, stored: &Instance, instance: &Instance) -> Result<(), StoreError> {
    if stored.state == InstanceState::Ended && instance.state == InstanceState::Live {
        return Err(refused(KIND, id, "it has ended"));
    }
    let same = stored.agent == instance.agent
        && stored.place.is_same(&instance.place)
        && stored.born_seq == instance.born_seq;
    if same {
        Ok(())
    } else {
        Err(refused(
            KIND,
            id,
            "its agent, process and birth never change",
        ))
    }
}

const fn state(state: InstanceState) -> &'static str {
    match state {
        InstanceState::Live => "live",
        InstanceState::Ended => "ended",
    }
}
