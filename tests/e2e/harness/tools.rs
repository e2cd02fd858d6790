//! The demo's tool server as a process of its own, and its journal: what truly ran.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Process;
use super::node::bailiwick;

/// A tool server over HTTP that insists on its bearer token.
pub(crate) struct Tools {
    process: Process,
    url: String,
    home: PathBuf,
}

/// The token the tool server insists on. It must never be seen anywhere but in its header.
pub(crate) const BEARER: &str = "canary-7Q1xT0vWzKf3mBearerOfTheWorkspace";
/// The secret in `secrets/prod.env`.
pub(crate) const SECRET: &str = "canary-Zp4SecretOfProduction81";

impl Tools {
    /// Starts it with its files below `home`.
    pub(crate) fn start(home: &Path) -> Self {
        let home = home.join("tools");
        std::fs::create_dir_all(&home).unwrap();
        let mut command = bailiwick(&["demo", "workspace", "--dir"]);
        command.arg(&home);
        let mut process = Process::start("the tool server", &mut command, &home.join("log"));
        // On its standard input, so that they are in no file, argument or variable.
        process.say(BEARER);
        process.say(SECRET);
        let line = process.line();
        let ready: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let url = ready["url"]
            .as_str()
            .unwrap_or_else(|| panic!("{line}"))
            .to_owned();
        Self { process, url, home }
    }

    /// URL of its MCP endpoint.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Lines of the journal.
    pub(crate) fn journal(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.home.join("journal.jsonl")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Arguments of the calls of a tool that ran, as they came.
    pub(crate) fn ran(&self, tool: &str) -> Vec<String> {
        let journal = self.journal();
        let started = journal
            .iter()
            .filter(|line| line["phase"] == "start" && line["tool"] == tool);
        started
            .map(|line| line["arguments"].as_str().unwrap().to_owned())
            .collect()
    }

    /// How many calls of any tool ran.
    pub(crate) fn calls(&self) -> usize {
        self.journal()
            .iter()
            .filter(|line| line["phase"] == "start")
            .count()
    }

    /// Stops it and waits, so that the journal is complete.
    pub(crate) fn stop(&mut self) {
        self.process.hang_up();
        self.process.wait();
    }
}
