//! Bindings as operators write them, and those that cannot hold.

use super::{BadBinding, Binding};

fn read(text: &str) -> Binding {
    toml::from_str(text).unwrap()
}

#[test]
fn a_binding_is_read_as_it_is_written() {
    let binding = read(
        r#"
        labels = ["internal"]
        paths = { "/users/*/email" = "pii" }
        items = [{ kind = "issue", in = ["/owner", "/repo", "/number"] }, { kind = "issue", out = "/found/*/id" }]
        sinks = { "/owner" = "object", "/body" = "content" }
        escalate = { "/path" = ["/etc/*"] }
        ask_above = { "/amount" = 500 }
        "#,
    );
    assert_eq!(binding.check(), Ok(()));
    let again: Binding = serde_json::from_str(&serde_json::to_string(&binding).unwrap()).unwrap();
    assert_eq!(again, binding);
    assert!(Binding::default().is_empty() && !binding.is_empty());
}

#[test]
fn what_cannot_hold_is_refused() {
    let nameless = read(r#"items = [{ kind = "file" }]"#).check();
    assert!(matches!(nameless, Err(BadBinding::Nameless(_))));
    let both = read(r#"items = [{ kind = "file", in = ["/a"], out = "/b" }]"#).check();
    assert!(matches!(both, Err(BadBinding::Nameless(_))));
    let taken = read(r#"items = [{ kind = "server", in = ["/a"] }]"#).check();
    assert_eq!(taken, Err(BadBinding::Taken));
    let pattern = read(r#"escalate = { "/a" = ["*/x"] }"#).check();
    assert_eq!(pattern, Err(BadBinding::Pattern("*/x".to_owned())));
    assert!(toml::from_str::<Binding>(r#"sinks = { "/a" = "where" }"#).is_err());
    assert!(toml::from_str::<Binding>("sink = {}").is_err());
}
