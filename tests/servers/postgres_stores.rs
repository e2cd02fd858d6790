//! What the tests of nodes whose state is in PostgreSQL have on their server. Included beside `postgres.rs`.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::postgres::Server;

impl Server {
    /// The password in a file that only this user reads, as nodes want it. All of the tests' roles have the same.
    pub(crate) fn private_password(&self, dir: &Path) -> PathBuf {
        let file = dir.join("postgres.password");
        std::fs::write(&file, self.password()).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        file
    }

    /// A role that nodes come as, with a database of its own.
    pub(crate) fn create_store(&self) {
        self.sql(&format!(
            "CREATE ROLE bailiwick LOGIN PASSWORD '{}'",
            self.password()
        ));
        self.sql("CREATE DATABASE bailiwick OWNER bailiwick");
    }
}
