//! What people and agents are called in a story: short, and never two alike.

use std::collections::BTreeMap;

use bailiwick_core::event::{Event, EventType};
use bailiwick_core::id::{InstanceId, TaskId};

use super::{People, Timeline};

/// Longer names of people get a short one, which the story's head explains.
const LONG: usize = 16;

/// The names of a story.
pub(super) struct Names<'a> {
    people: &'a People,
    /// By account or pseudonym.
    short: BTreeMap<String, String>,
    /// By task, the agent that acts in it.
    acting: BTreeMap<TaskId, String>,
    /// By process, the agent of the first task that it acts in.
    process: BTreeMap<InstanceId, String>,
}

impl<'a> Names<'a> {
    pub(super) fn of(timeline: &Timeline, people: &'a People) -> Self {
        let mut names = Self {
            people,
            short: BTreeMap::new(),
            acting: BTreeMap::new(),
            process: BTreeMap::new(),
        };
        let mut same: BTreeMap<String, usize> = BTreeMap::new();
        for placed in &timeline.events {
            let event = &placed.leaf.event;
            for person in event.actor.iter().chain(&event.user) {
                names.meet(person);
            }
            if event.kind == EventType::LogRevealed {
                continue;
            }
            if let (Some(task), Some(agent)) = (&event.task, &event.agent)
                && !names.acting.contains_key(&task.id)
            {
                let name = agent.id.to_string();
                let count = same.entry(name.clone()).or_default();
                *count += 1;
                let called = match *count {
                    1 => name,
                    count => format!("{name}/{count}"),
                };
                names.acting.insert(task.id, called);
            }
            if let (Some(task), Some(agent)) = (&event.task, &event.agent)
                && let (Some(instance), Some(called)) =
                    (agent.instance, names.acting.get(&task.id).cloned())
            {
                names.process.entry(instance).or_insert(called);
            }
        }
        names
    }

    fn meet(&mut self, person: &str) {
        if self.people.contains_key(person)
            || person.len() <= LONG
            || self.short.contains_key(person)
        {
            return;
        }
        let kind = if person.starts_with("usr_") {
            "user"
        } else {
            "person"
        };
        let alike = self.short.values().filter(|it| it.starts_with(kind));
        let called = match alike.count() {
            0 => kind.to_owned(),
            count => format!("{kind}-{}", count + 1),
        };
        self.short.insert(person.to_owned(), called);
    }

    /// A person by account, unix user or pseudonym.
    pub(super) fn person(&self, id: &str) -> String {
        let known = self.people.get(id).or_else(|| self.short.get(id));
        known.map_or_else(|| id.to_owned(), Clone::clone)
    }

    /// The agent of a task.
    pub(super) fn acting(&self, task: TaskId) -> Option<&str> {
        self.acting.get(&task).map(String::as_str)
    }

    /// Who did what an event tells of, as far as it says.
    pub(super) fn who(&self, event: &Event) -> String {
        let by_node = event.actor.as_deref() == Some("system");
        match (&event.actor, &event.task, &event.agent) {
            (Some(actor), _, _) if !by_node => self.person(actor),
            (_, Some(task), _) if !by_node => self.acting(task.id).unwrap_or_default().to_owned(),
            (None, None, Some(agent)) => {
                let called = agent.instance.and_then(|it| self.process.get(&it));
                called.map_or_else(|| agent.id.to_string(), Clone::clone)
            }
            _ => "node".to_owned(),
        }
    }

    /// Short names with what they stand for.
    pub(super) fn legend(&self) -> impl Iterator<Item = (&str, &str)> {
        self.short
            .iter()
            .map(|(id, called)| (called.as_str(), id.as_str()))
    }
}
