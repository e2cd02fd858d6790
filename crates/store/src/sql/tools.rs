//! Tools in SQL.

use bailiwick_core::change::ChangeBody;
use bailiwick_core::definition::Tool;
use bailiwick_core::name::{ServerName, ToolRef};

use super::view::{View, encode, next_version, signed, unsigned};
use crate::{StoreError, Tools, ToolsMut};

const KIND: &str = "tool";

impl Tools for View<'_> {
    fn tool(&self, tool: &ToolRef) -> Result<Option<Tool>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM tool WHERE server = ?1 AND name = ?2",
            (tool.server.as_str(), tool.tool.as_str()),
        )
    }

    fn tools(&self, server: Option<&ServerName>) -> Result<Vec<Tool>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM tool WHERE server = ?1 OR ?1 IS NULL ORDER BY server, name",
            [server.map(ServerName::as_str)],
        )
    }
}

impl ToolsMut for View<'_> {
    fn put_tool(&mut self, tool: &Tool) -> Result<(), StoreError> {
        let key = tool.tool.to_string();
        let (server, name) = (tool.tool.server.as_str(), tool.tool.tool.as_str());
        let stored: Option<i64> = self.row(
            "SELECT version FROM tool WHERE server = ?1 AND name = ?2",
            (server, name),
            |row| row.get(0),
        )?;
        next_version(KIND, &key, stored.map_or(0, unsigned), tool.version)?;
        self.execute(
            KIND,
            &key,
            "INSERT INTO tool (server, name, version, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (server, name) DO UPDATE SET version = excluded.version, body = excluded.body",
            (server, name, signed(KIND, tool.version)?, encode(KIND, tool)?),
        )?;
        self.append(&key, ChangeBody::Tool(tool.clone()))
    }
}
