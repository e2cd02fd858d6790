//! Clients that nobody registered: what they are stands in a document at the URL that is their `client_id`
//! (draft-ietf-oauth-client-id-metadata-document-02), and the attacks on that.

use serde_json::json;

use crate::authorization::{proof_key, redeem, refresh_as};
use crate::harness::agent::NAME;
use crate::harness::login::REDIRECT;
use crate::harness::publisher::Publisher;
use crate::harness::{Agent, Browser, Login, Mcp};

const REGISTERED: &str = "http://127.0.0.1/callback";

/// A node that lets clients of this publisher in.
fn letting_in(publisher: &Publisher) -> Login {
    let place = &publisher.place;
    Login::with(&format!(
        "client_hosts = {{ \"{place}\" = \"{NAME}\" }}\nprivate_hosts = [\"{place}\"]"
    ))
}

#[test]
fn a_client_that_publishes_itself_goes_the_whole_way() {
    let publisher = Publisher::start(REGISTERED);
    publisher.publish(&[
        ("redirect_uris", json!([REGISTERED])),
        ("client_name", json!("<b>Example</b> IDE")),
    ]);
    let login = letting_in(&publisher);
    let node = &login.world.node;
    let metadata = node.api("GET", "/.well-known/oauth-authorization-server", None);
    assert_eq!(metadata["client_id_metadata_document_supported"], true);

    let id = publisher.id();
    let (verifier, challenge) = proof_key();
    let mut browser = Browser::default();
    let url = login.request(&challenge, &[("client_id", &id)]);
    let page = login.sign_in(&mut browser, &url, "alice");
    for shown in [
        format!("<strong>http://{}</strong>", publisher.place),
        id.clone(),
        "&lt;b&gt;Example&lt;/b&gt; IDE".to_owned(),
        "Nobody here has looked at it".to_owned(),
        "any other program could pretend to be it".to_owned(),
        "user:corp:alice".to_owned(),
    ] {
        assert!(page.html.contains(&shown), "{shown}: {}", page.html);
    }
    let page = browser.submit(&page, &[("answer", "allow")], REDIRECT);
    let code = page.parameter("code").unwrap_or_else(|| panic!("{page:?}"));
    let client = Agent::of(node);
    let mine = [("client_id", id.as_str())];
    let token = redeem(&client, &code, &verifier, &mine).unwrap();
    let access = token["access_token"].as_str().unwrap().to_owned();
    assert_eq!(crate::bad_tokens::payload(&access)["client_id"], json!(id));
    assert!(
        !Mcp::with_token(&client, "workspace", access)
            .tools()
            .is_empty()
    );

    // What was consented to stays as it was, whatever the document says now; and ends with the client.
    publisher.publish(&[("redirect_uris", json!(["https://evil.example/cb"]))]);
    let token = refresh_as(&client, &id, &token).unwrap();
    let listed = node.items("/v1/clients");
    let row = listed.iter().find(|row| row["id"] == json!(id)).unwrap();
    assert_eq!(row["redirect_uris"], json!([REGISTERED]));
    assert!(node.run(&["client", "remove", &id]).code == Some(0));
    let (_, refused) = refresh_as(&client, &id, &token).unwrap_err();
    assert_eq!(refused["error"], "invalid_grant", "{refused}");
    let types = login.types();
    assert!(types.contains(&"consent.granted".to_owned()), "{types:?}");
}

#[test]
fn a_document_that_changes_or_leads_astray_gets_nothing() {
    let (publisher, other) = (Publisher::start(REGISTERED), Publisher::start(REGISTERED));
    let login = letting_in(&publisher);
    let (_, challenge) = proof_key();
    let id = publisher.id();
    let mut browser = Browser::default();
    // Somebody else's redirect URI, a host that is not let in, an address that only the node reaches.
    for (name, value) in [
        ("redirect_uri", "https://evil.example/callback"),
        ("redirect_uri", "http://127.0.0.1:33418/other"),
        ("client_id", &other.id()),
        ("client_id", &other.id().replacen("http://", "https://", 1)),
        ("client_id", "https://169.254.169.254/latest/meta-data/"),
        ("client_id", &id.replacen("http://", "https://", 1)),
        ("client_id", &format!("{id}#x")),
    ] {
        let changed = match name {
            "client_id" => vec![(name, value)],
            _ => vec![("client_id", id.as_str()), (name, value)],
        };
        let page = browser.send("GET", &login.request(&challenge, &changed), &[], None);
        assert!(
            page.location.is_none() && page.status >= 400,
            "{value}: {page:?}"
        );
    }
    assert_eq!(other.asked(), 0);

    // What it says changes while its user looks at the page, or while they sign in.
    let url = login.request(&challenge, &[("client_id", &id)]);
    for changed in [
        (
            "redirect_uris",
            json!([REGISTERED, "https://evil.example/cb"]),
        ),
        ("client_name", json!("Your Bank")),
        ("client_id", json!("https://app.example/client.json")),
    ] {
        publisher.publish(&[("redirect_uris", json!([REGISTERED]))]);
        let mut browser = Browser::default();
        let page = login.sign_in(&mut browser, &url, "alice");
        publisher.publish(&[("redirect_uris", json!([REGISTERED])), changed.clone()]);
        let page = browser.submit(&page, &[("answer", "allow")], REDIRECT);
        assert!(
            page.location.is_none() && page.status >= 400,
            "{changed:?}: {page:?}"
        );

        publisher.publish(&[("redirect_uris", json!([REGISTERED]))]);
        let mut browser = Browser::default();
        let back = login
            .at_provider(&mut browser, &url, "alice")
            .location
            .unwrap();
        publisher.publish(&[("redirect_uris", json!([REGISTERED])), changed.clone()]);
        let page = browser.send("GET", &back, &[], None);
        assert!(
            page.location.is_none() && page.status >= 400,
            "{changed:?}: {page:?}"
        );
    }
    let types = login.types();
    assert!(!types.contains(&"consent.granted".to_owned()), "{types:?}");
}

#[test]
fn clients_that_publish_themselves_are_let_in_by_hosts_alone() {
    let login = Login::start();
    let node = &login.world.node;
    let metadata = node.api("GET", "/.well-known/oauth-authorization-server", None);
    assert_eq!(metadata["client_id_metadata_document_supported"], false);
    let publisher = Publisher::start(REGISTERED);
    let (_, challenge) = proof_key();
    let url = login.request(&challenge, &[("client_id", &publisher.id())]);
    let page = Browser::default().send("GET", &url, &[], None);
    assert_eq!((page.status, &page.location), (400, &None), "{page:?}");
    assert_eq!(publisher.asked(), 0);
    // Nor is one registered as what it could say of itself.
    let new = json!({ "id": publisher.id(), "agent": NAME, "redirect_uris": [REGISTERED] });
    let (status, refused) = node.try_api("POST", "/v1/clients", Some(&new));
    assert_eq!((status, &refused["code"]), (400, &json!("invalid_input")));
}
