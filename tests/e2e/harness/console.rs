//! The web console in headless Chromium, driven by `tests/e2e/node/console/driver.mjs`. Each person has a browser of their own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Node, Process, deps};

/// Browsers start slowly where much else runs.
const PATIENCE: Duration = Duration::from_secs(90);

/// Chromium, and the node whose console it shows.
pub(crate) struct Console {
    driver: Mutex<Process>,
    url: String,
}

/// One person's page.
pub(crate) struct Page<'c> {
    console: &'c Console,
    who: String,
}

/// Where pictures of pages go: to be looked at after a run.
pub(crate) fn pictures() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("console")
}

impl Console {
    /// Starts the browser.
    pub(crate) fn of(node: &Node) -> Self {
        let mut command = Command::new(deps::node());
        command
            .arg(deps::root().join("tests/e2e/node/console/driver.mjs"))
            .arg(deps::console_module("playwright-core/index.mjs"))
            .arg(deps::console_module("axe-core/axe.min.js"))
            .arg(deps::chromium())
            .arg(pictures());
        let driver = Process::start(
            "the browser",
            &mut command,
            &node.home().join("browser.log"),
        );
        let console = Self {
            driver: Mutex::new(driver),
            url: node.ready("console").to_owned(),
        };
        console.answer();
        console
    }

    /// A page of somebody who is not signed in.
    pub(crate) fn stranger(&self, who: &str) -> Page<'_> {
        self.tell(&json!({ "do": "open", "who": who }));
        Page {
            console: self,
            who: who.to_owned(),
        }
    }

    /// A new account with these roles, signed in by a link, at the first view.
    pub(crate) fn person(&self, node: &Node, who: &str, roles: &[&str]) -> Page<'_> {
        let account = json!({ "name": who, "roles": roles });
        node.api("POST", "/v1/accounts", Some(&account));
        let page = self.stranger(who);
        page.open(&link(node, who));
        page.wait("view-now");
        page
    }

    /// Ends a test: nothing was on the browser's console, and no page broke the policy.
    pub(crate) fn done(self) {
        let faults = self.tell(&json!({ "do": "faults" }));
        assert_eq!(faults, json!([]), "on the browser's console");
        let mut driver = self.driver.into_inner().unwrap();
        driver.hang_up();
        driver.wait();
    }

    fn tell(&self, what: &Value) -> Value {
        self.driver.lock().unwrap().say(&what.to_string());
        let mut answer = self.answer();
        if let Some(error) = answer["error"].as_str() {
            panic!("{what}\n{error}");
        }
        answer["ok"].take()
    }

    fn answer(&self) -> Value {
        let line = self.driver.lock().unwrap().line_within(PATIENCE);
        let line = line.unwrap_or_else(|error| panic!("the browser says nothing: {error}"));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }
}

/// A link that signs in as an account.
pub(crate) fn link(node: &Node, who: &str) -> String {
    let answer = node.api("POST", &format!("/v1/accounts/{who}/link"), None);
    answer["url"].as_str().unwrap().to_owned()
}

impl Page<'_> {
    fn tell(&self, mut what: Value) -> Value {
        what["who"] = json!(self.who);
        self.console.tell(&what)
    }

    /// Goes to an address of the console, or of anywhere.
    pub(crate) fn open(&self, path: &str) {
        let url = if path.starts_with('/') {
            format!("{}{path}", self.console.url)
        } else {
            path.to_owned()
        };
        self.tell(json!({ "do": "goto", "url": url }));
    }

    /// Presses a part.
    pub(crate) fn click(&self, part: &str) {
        self.tell(json!({ "do": "click", "part": part }));
    }

    /// Writes into a part.
    pub(crate) fn fill(&self, part: &str, text: &str) {
        self.tell(json!({ "do": "fill", "part": part, "text": text }));
    }

    /// Presses a key.
    pub(crate) fn press(&self, key: &str) {
        self.tell(json!({ "do": "press", "key": key }));
    }

    /// Waits until a part is to be seen.
    pub(crate) fn wait(&self, part: &str) {
        self.tell(json!({ "do": "wait", "part": part }));
    }

    /// Waits until a part with this text is to be seen.
    pub(crate) fn wait_for(&self, part: &str, text: &str) {
        self.tell(json!({ "do": "wait", "part": part, "text": text }));
    }

    /// Waits until a part is not to be seen any more.
    pub(crate) fn wait_gone(&self, part: &str) {
        self.tell(json!({ "do": "wait", "part": part, "gone": true }));
    }

    /// The text of a part as it is shown.
    pub(crate) fn text(&self, part: &str) -> String {
        let text = self.tell(json!({ "do": "text", "part": part }));
        text.as_str().unwrap().to_owned()
    }

    /// How many there are of a part.
    pub(crate) fn count(&self, part: &str) -> u64 {
        let count = self.tell(json!({ "do": "count", "part": part }));
        count.as_u64().unwrap()
    }

    /// Whether a part can be pressed.
    pub(crate) fn is_enabled(&self, part: &str) -> bool {
        self.tell(json!({ "do": "enabled", "part": part })) == json!(true)
    }

    /// What an expression is worth in the page.
    pub(crate) fn run(&self, code: &str) -> Value {
        self.tell(json!({ "do": "run", "code": code }))
    }

    /// A picture of what is seen now.
    pub(crate) fn shot(&self, name: &str) {
        self.tell(json!({ "do": "shot", "name": name }));
    }

    /// Pictures of this view in both themes and sizes, once these parts are there. Nothing is wider than its window, and axe finds nothing.
    pub(crate) fn look(&self, name: &str, until: &[&str]) {
        let found = self.tell(json!({ "do": "look", "name": name, "until": until }));
        let found = serde_json::to_string_pretty(&found).unwrap();
        assert_eq!(found, "[]", "{name}");
    }
}
