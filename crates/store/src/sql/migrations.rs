//! The steps of the schema, one numbered file each. A released file never changes; a change is a new file. Engines run the same files:
//! they are in the words of SQLite, of which PostgreSQL's are made (`crate::postgres`, `dialect`). A step only adds to what nodes of
//! the release before read and write, since they may still run.

pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_remote_instances.sql"),
    include_str!("migrations/0003_clients.sql"),
    include_str!("migrations/0004_sessions.sql"),
    include_str!("migrations/0005_points.sql"),
    include_str!("migrations/0006_items.sql"),
    include_str!("migrations/0007_change_events.sql"),
    include_str!("migrations/0008_nodes.sql"),
    include_str!("migrations/0009_findings.sql"),
    include_str!("migrations/0010_artefacts.sql"),
];
