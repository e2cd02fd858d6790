//! `prov`: one PROV-JSON document (W3C submission of 2013) of what led to what. An event is an activity; agents, users and accounts are
//! agents; tools and committed values are entities. Held in memory until its end, so it has a bound.

use std::io::Write;

use bailiwick_core::event::Event;
use serde_json::{Map, Value, json};

use super::{ExportError, Exporter, Recorded, percent_encoded, word};

/// Most events in one document.
pub const MAX_EVENTS: usize = 100_000;
/// Namespace of our names. An identifier, not a place to fetch from.
const NAMESPACE: &str = "urn:bailiwick:prov:1:";

/// Collects a document and writes it at the end.
#[derive(Debug)]
pub struct Prov<W> {
    out: W,
    taken: usize,
    relations: u64,
    document: Map<String, Value>,
}

impl<W: Write> Prov<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        let prefix = json!({"bw": NAMESPACE});
        Self {
            out,
            taken: 0,
            relations: 0,
            document: Map::from_iter([("prefix".to_owned(), prefix)]),
        }
    }

    fn put(&mut self, section: &str, id: String, value: Value) {
        let section = self
            .document
            .entry(section)
            .or_insert_with(|| Value::Object(Map::new()));
        if let Some(section) = section.as_object_mut() {
            section.insert(id, value);
        }
    }

    fn relate(&mut self, section: &str, members: Value) {
        self.relations += 1;
        let id = format!("_:r{}", self.relations);
        self.put(section, id, members);
    }

    /// Who did it, and for whom.
    fn agents(&mut self, event: &Event, activity: &str) {
        let user = event.user.as_ref().map(|user| named("user", user));
        let owner = event
            .owner
            .as_ref()
            .map(|owner| named("owner", owner.as_str()));
        let actor = event.actor.as_ref().map(|actor| named("account", actor));
        let agent = event
            .agent
            .as_ref()
            .map(|agent| named("agent", agent.id.as_str()));
        for person in [&user, &owner, &actor].into_iter().flatten() {
            let kind = json!({"prov:type": {"$": "prov:Person", "type": "prov:QUALIFIED_NAME"}});
            self.put("agent", person.clone(), kind);
        }
        if let Some(agent) = &agent {
            let kind =
                json!({"prov:type": {"$": "prov:SoftwareAgent", "type": "prov:QUALIFIED_NAME"}});
            self.put("agent", agent.clone(), kind);
            for responsible in [&user, &owner].into_iter().flatten() {
                let members = json!({"prov:delegate": agent, "prov:responsible": responsible, "prov:activity": activity});
                self.relate("actedOnBehalfOf", members);
            }
        }
        for doer in [&agent, &actor].into_iter().flatten() {
            let members = json!({"prov:activity": activity, "prov:agent": doer});
            self.relate("wasAssociatedWith", members);
        }
    }
}

impl<W: Write> Exporter for Prov<W> {
    fn take(&mut self, record: &Recorded<'_>) -> Result<(), ExportError> {
        if self.taken >= MAX_EVENTS {
            return Err(ExportError::TooLarge {
                shape: "prov",
                bound: MAX_EVENTS,
            });
        }
        self.taken += 1;
        let (leaf, event) = (record.leaf, &record.leaf.event);
        let activity = named("event", &event.id.to_string());
        let mut about = Map::from_iter([
            ("prov:startTime".to_owned(), json!(leaf.ts)),
            ("prov:endTime".to_owned(), json!(leaf.ts)),
            ("bw:type".to_owned(), json!(event.kind.as_str())),
            ("bw:origin".to_owned(), json!(record.origin)),
            ("bw:index".to_owned(), json!(record.index)),
            ("bw:leaf_hash".to_owned(), json!(record.leaf_hash)),
        ]);
        let more = [
            (
                "bw:task",
                event.task.as_ref().map(|task| task.id.to_string()),
            ),
            (
                "bw:operation",
                event.action.as_ref().map(|action| action.op.clone()),
            ),
            (
                "bw:decision",
                event
                    .decision
                    .as_ref()
                    .map(|one| one.effect.as_str().to_owned()),
            ),
            (
                "bw:outcome",
                event.outcome.as_ref().and_then(|one| word(one.status)),
            ),
            (
                "bw:code",
                event.outcome.as_ref().and_then(|one| one.code.clone()),
            ),
        ];
        for (name, value) in more {
            about.extend(value.map(|value| (name.to_owned(), Value::String(value))));
        }
        self.put("activity", activity.clone(), Value::Object(about));
        self.agents(event, &activity);
        if let Some((server, tool)) = event
            .action
            .as_ref()
            .and_then(|action| action.server.as_ref().zip(action.tool.as_ref()))
        {
            let entity = named("tool", &format!("{server}/{tool}"));
            self.put("entity", entity.clone(), json!({"bw:kind": "tool"}));
            let members = json!({"prov:activity": activity, "prov:entity": entity});
            self.relate("used", members);
        }
        for commitment in &leaf.sealed {
            let entity = named("value", &format!("{}{}", event.id, commitment.path));
            let about = json!({"bw:kind": "value", "bw:bytes": commitment.bytes, "bw:commit": commitment.commit});
            self.put("entity", entity.clone(), about);
            let members = json!({"prov:activity": activity, "prov:entity": entity});
            let made = commitment.path == "/result";
            self.relate(if made { "wasGeneratedBy" } else { "used" }, members);
        }
        let led_to = event
            .cause
            .into_iter()
            .chain(event.parents.iter().map(|parent| parent.id));
        let mut told = Vec::new();
        for id in led_to {
            if !told.contains(&id) {
                told.push(id);
                let informant = named("event", &id.to_string());
                let members = json!({"prov:informed": activity, "prov:informant": informant});
                self.relate("wasInformedBy", members);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        serde_json::to_writer(&mut self.out, &self.document)?;
        self.out.write_all(b"\n")?;
        Ok(self.out.flush()?)
    }
}

/// A qualified name. What could end a name in PROV-N is percent-encoded, so that names of different things stay different.
fn named(kind: &str, id: &str) -> String {
    format!("bw:{kind}/{}", percent_encoded(id, b"-_./"))
}
