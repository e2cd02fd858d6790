//! Tool servers in SQL.

use bailiwick_core::change::ChangeBody;
use bailiwick_core::name::ServerName;
use bailiwick_core::server::Server;

use super::view::{View, encode, signed};
use crate::{Servers, ServersMut, StoreError, Tools};

const KIND: &str = "server";

impl Servers for View<'_> {
    fn server(&self, name: &ServerName) -> Result<Option<Server>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM server WHERE name = ?1",
            [name.as_str()],
        )
    }

    fn servers(&self) -> Result<Vec<Server>, StoreError> {
        self.many(KIND, "SELECT body FROM server ORDER BY name", ())
    }
}

impl ServersMut for View<'_> {
    fn put_server(&mut self, server: &Server) -> Result<(), StoreError> {
        let name = server.name.as_str();
        self.next_version(
            KIND,
            name,
            "SELECT version FROM server WHERE name = ?1",
            server.version,
        )?;
        self.execute(
            KIND,
            name,
            "INSERT INTO server (name, version, body) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET version = excluded.version, body = excluded.body",
            (name, signed(KIND, server.version)?, encode(KIND, server)?),
        )?;
        self.append(name, ChangeBody::Server(server.clone()))
    }

    fn remove_server(&mut self, name: &ServerName) -> Result<(), StoreError> {
        for tool in self.tools(Some(name))? {
            let key = tool.tool.to_string();
            self.remove(
                "tool",
                &key,
                "DELETE FROM tool WHERE server = ?1 AND name = ?2",
                (name.as_str(), tool.tool.tool.as_str()),
            )?;
            self.append(&key, ChangeBody::ToolRemoved(tool.tool))?;
        }
        self.remove(
            KIND,
            name.as_str(),
            "DELETE FROM server WHERE name = ?1",
            [name.as_str()],
        )?;
        self.append(name.as_str(), ChangeBody::ServerRemoved(name.clone()))
    }
}
