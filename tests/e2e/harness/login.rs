//! The usual set with an OpenID provider beside it at which people sign in, and a client that asks for their consent.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};

use super::agent::NAME;
use super::browser::Page;
use super::{Browser, Process, Setup, World, deps};

/// A node at which people can sign in.
pub(crate) struct Login {
    // Dropped first.
    _provider: Process,
    /// The node, its tool server, the agent that the client acts as.
    pub(crate) world: World,
    /// The provider.
    pub(crate) issuer: String,
}

/// The client.
pub(crate) const CLIENT: &str = "ide";
/// Where its users come back to.
pub(crate) const REDIRECT: &str = "http://127.0.0.1:33418/callback";
/// The node's secret at the provider.
pub(crate) const SECRET: &str = "canary-login-secret-0123456789";

impl Login {
    /// A provider, a node that knows it, and a client.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// The same, with more keys of `[oauth]`.
    pub(crate) fn with(oauth: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(deps::node());
        command
            .arg(deps::root().join("tests/e2e/node/login/provider.mjs"))
            .arg(deps::login_module("oidc-provider/lib/index.js"));
        let mut provider = Process::start(
            "oidc-provider",
            &mut command,
            &home.path().join("provider.log"),
        );
        let issuer = provider.line();
        let secret = home.path().join("login-secret");
        std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
        std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
        let setup = Setup {
            oauth: format!(
                "login = {{ issuer = \"{issuer}\", client_id = \"bailiwick\", secret_file = \"login-secret\", name = \"corp\" }}\n{oauth}"
            ),
            ..Setup::default()
        };
        let world = World::at(home, &setup);
        let console = world.node.ready("console");
        let told = json!({ "client_id": "bailiwick", "client_secret": SECRET, "redirect_uri": format!("{console}/oauth/login") });
        provider.say(&told.to_string());
        assert_eq!(provider.line(), "ready", "{}", provider.log());
        let client =
            json!({ "id": CLIENT, "agent": NAME, "redirect_uris": ["http://127.0.0.1/callback"] });
        world.node.api("POST", "/v1/clients", Some(&client));
        Self {
            _provider: provider,
            world,
            issuer,
        }
    }

    /// URL of an authorization request: the usual parameters, with `changed` instead or, where the value is empty, without.
    pub(crate) fn request(&self, challenge: &str, changed: &[(&str, &str)]) -> String {
        let resource = self.world.agent.resource("workspace");
        let mut all = vec![
            ("response_type", "code"),
            ("client_id", CLIENT),
            ("redirect_uri", REDIRECT),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256"),
            ("resource", &resource),
            ("state", "a state & more"),
        ];
        all.retain(|(name, _)| !changed.iter().any(|(other, _)| other == name));
        all.extend(changed.iter().filter(|(_, value)| !value.is_empty()));
        let pairs: Vec<String> = all
            .iter()
            .map(|(name, value)| format!("{name}={}", super::agent::escape(value)))
            .collect();
        format!(
            "{}/oauth/authorize?{}",
            self.world.node.ready("console"),
            pairs.join("&")
        )
    }

    /// Signs `user` in at the provider, from the authorization URL to the page that asks for consent.
    pub(crate) fn sign_in(&self, browser: &mut Browser, url: &str, user: &str) -> Page {
        let page = self.at_provider(browser, url, user);
        let back = page.location.unwrap_or_else(|| panic!("{}", page.html));
        let page = browser.go(&back, REDIRECT);
        assert_eq!(page.status, 200, "{page:?}\n{}", self.world.node.log());
        page
    }

    /// As [`Self::sign_in`], and stops where the provider sends the browser back.
    pub(crate) fn at_provider(&self, browser: &mut Browser, url: &str, user: &str) -> Page {
        let back = format!("{}/oauth/login", self.world.node.ready("console"));
        let page = browser.go(url, &back);
        assert!(
            page.url.starts_with(&self.issuer),
            "{page:?}\n{}",
            self.world.node.log()
        );
        let fields = [("login", user), ("password", "any")];
        let page = browser.submit(&page, &fields, &back);
        // The provider asks its own users too.
        if page.location.is_some() {
            return page;
        }
        browser.submit(&page, &[], &back)
    }

    /// A code for the client, by the consent of `user`.
    pub(crate) fn code(&self, challenge: &str, changed: &[(&str, &str)], user: &str) -> String {
        let mut browser = Browser::default();
        let page = self.sign_in(&mut browser, &self.request(challenge, changed), user);
        let page = browser.submit(&page, &[("answer", "allow")], REDIRECT);
        page.parameter("code")
            .unwrap_or_else(|| panic!("{page:?}\n{}", self.world.node.log()))
    }

    /// Waits until an event of this type is on record: what refuses or narrows waits for no log.
    pub(crate) fn until(&self, kind: &str) {
        let path = format!("/v1/audit/tail?after=0&type={kind}");
        let response = self.world.node.request("GET", &path, None).expect(200);
        assert!(response.events().next().is_some(), "no {kind}");
    }

    /// Types of the events on record.
    pub(crate) fn types(&self) -> Vec<String> {
        let events = self.world.node.events();
        events
            .iter()
            .map(|event: &Value| event["type"].as_str().unwrap().to_owned())
            .collect()
    }
}
