//! Which redirect URIs there are, and which request means which.

use super::{BadClient, ClientId, RedirectUri, origin_of};

#[test]
fn a_redirect_uri_is_https_loopback_or_a_private_scheme() {
    for good in [
        "https://app.example/callback",
        "https://app.example:8443/callback?x=1",
        "http://127.0.0.1/callback",
        "http://127.0.0.1:33418",
        "http://[::1]:8080/cb",
        "http://localhost:3000/callback",
        "com.example.app:/oauth",
    ] {
        assert!(good.parse::<RedirectUri>().is_ok(), "{good}");
    }
    for bad in [
        "",
        "/callback",
        "https://",
        "https:///callback",
        "https://user@app.example/",
        "https://app.example/#fragment",
        "https://app.example\\@evil.example/",
        "https://App.example/",
        "https://app.example:0/",
        "https://app.example:99999/",
        "https://app.example/a b",
        "https://app.example/\u{e9}",
        "http://app.example/callback",
        "http://127.0.0.2/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.1@evil.example/callback",
        "http://localhost.evil.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "app:/callback",
    ] {
        assert_eq!(
            bad.parse::<RedirectUri>(),
            Err(BadClient::Redirect),
            "{bad}"
        );
    }
    assert!(
        format!("https://a/{}", "x".repeat(600))
            .parse::<RedirectUri>()
            .is_err()
    );
}

#[test]
fn a_request_means_a_redirect_uri_byte_for_byte_but_for_the_port_of_loopback() {
    let uri = |text: &str| text.parse::<RedirectUri>().unwrap();
    let loopback = uri("http://127.0.0.1/callback");
    assert!(loopback.admits("http://127.0.0.1/callback"));
    assert!(loopback.admits("http://127.0.0.1:49152/callback"));
    assert!(uri("http://[::1]:1/cb").admits("http://[::1]:2/cb"));
    for other in [
        "http://127.0.0.1:49152/callback/",
        "http://127.0.0.1:49152/Callback",
        "http://127.0.0.1:49152/callback?next=x",
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:99999/callback",
        "http://127.0.0.1:1@evil.example/callback",
        "http://127.0.0.1:1#/callback",
        "http://[::1]:49152/callback",
        "http://localhost:49152/callback",
        "https://127.0.0.1:49152/callback",
    ] {
        assert!(!loopback.admits(other), "{other}");
    }
    let web = uri("https://app.example/callback");
    for other in [
        "https://app.example/callback?x",
        "https://app.example:443/callback",
        "https://app.example/callback/../evil",
        "https://APP.example/callback",
    ] {
        assert!(!web.admits(other), "{other}");
    }
    assert!(!uri("http://localhost:3000/cb").admits("http://localhost:3001/cb"));
}

#[test]
fn origins_are_what_a_page_names() {
    for (uri, origin) in [
        (
            "https://app.example:8443/cb?x=1",
            "https://app.example:8443",
        ),
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
        ("com.example.app:/oauth", "com.example.app:"),
    ] {
        assert_eq!(origin_of(uri), origin);
    }
}

#[test]
fn a_client_id_is_a_name() {
    assert!("vscode".parse::<ClientId>().is_ok());
    for bad in [
        "",
        "-a",
        "A",
        "a b",
        "http://a/b",
        "spiffe://td/agent/a/inst_1",
    ] {
        assert!(bad.parse::<ClientId>().is_err(), "{bad}");
    }
}

#[test]
fn a_client_id_is_a_name_or_the_url_of_a_document() {
    for good in [
        "https://app.example/client.json",
        "https://app.example:8443/oauth/client?v=2",
        "https://app.example/",
        "http://127.0.0.1:8080/client.json",
    ] {
        let id: ClientId = good.parse().unwrap();
        assert_eq!(id.url(), Some(good));
    }
    assert_eq!("ide".parse::<ClientId>().unwrap().url(), None);
    for bad in [
        "",
        "https://app.example",
        "https://app.example?client.json",
        "https:///client.json",
        "https://App.example/client.json",
        "https://user@app.example/client.json",
        "https://user:pw@app.example/client.json",
        "https://app.example/client.json#me",
        "https://app.example/./client.json",
        "https://app.example/a/../client.json",
        "https://app.example/a/%2E%2e/client.json",
        "https://app.example/%2e",
        "https://app.example/a b",
        "https://app.example\\@evil.example/",
        "https://app.example/\u{e9}",
        "https://[::1]/client.json",
        "http://app.example/client.json",
        "http://localhost.evil.example/client.json",
        "ftp://app.example/client.json",
        "urn:client",
    ] {
        assert_eq!(bad.parse::<ClientId>(), Err(BadClient::Id), "{bad}");
    }
    let long = format!("https://app.example/{}", "a".repeat(256));
    assert_eq!(long.parse::<ClientId>(), Err(BadClient::Id));
}
