//! A typed scope is what the API takes, or nothing.

use bailiwick_core::scope::Draft;

use super::{ScopeArgs, grant};

#[test]
fn grants_are_read() {
    let args = ScopeArgs {
        allow: vec![
            grant("files/read_*:read").unwrap(),
            grant("mail/send:write,escalate").unwrap(),
        ],
        scope: None,
    };
    let draft = args.draft().unwrap().unwrap();
    let read = Draft::from_json(draft.to_string().as_bytes()).unwrap();
    assert_eq!(read.grants.len(), 2);
    assert!(read.grants[0].server.matches("files") && read.grants[0].tool.matches("read_x"));
    assert!(
        !read.grants[1]
            .effects
            .contains(&bailiwick_core::Effect::Read)
    );
    for bad in [
        "",
        "files",
        "files:read",
        "files/x",
        "files/x:delete",
        "files/x:",
        "a*b/x:read",
    ] {
        assert!(grant(bad).is_err(), "{bad}");
    }
}

#[test]
fn nothing_said_is_no_scope_and_a_file_is_a_scope() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(
        ScopeArgs {
            allow: Vec::new(),
            scope: None
        }
        .draft()
        .unwrap(),
        None
    );
    let path = dir.path().join("scope.toml");
    std::fs::write(
        &path,
        "[[grant]]\nserver = [\"files\"]\ntool = [\"*\"]\neffects = [\"read\"]\n",
    )
    .unwrap();
    let args = ScopeArgs {
        allow: Vec::new(),
        scope: Some(path),
    };
    assert_eq!(
        args.draft().unwrap().unwrap()["grants"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}
