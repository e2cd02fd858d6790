//! What `init` writes is private, can be read, and overwrites nothing.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bailiwick_core::{Code, Fault};

use super::init;
use crate::config::Config;

#[test]
fn what_init_writes_can_be_read_and_is_private() {
    let temp = tempfile::tempdir().unwrap();
    let made = init(&temp.path().join("node")).unwrap();
    let config = Config::load(&made.config, Path::new("/elsewhere")).unwrap();
    assert_eq!(config.node.data_dir, made.data_dir);
    for path in [&made.config, &made.seal, &made.data_dir] {
        let permissions = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(permissions & 0o077, 0, "{}", path.display());
    }
    assert!(made.next.contains("bailiwick serve --config"));
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("node");
    let made = init(&dir).unwrap();
    let before = std::fs::read(&made.seal).unwrap();
    let error = init(&dir).unwrap_err();
    assert_eq!(error.code(), Code::AlreadyExists);
    assert_eq!(std::fs::read(&made.seal).unwrap(), before);
}
