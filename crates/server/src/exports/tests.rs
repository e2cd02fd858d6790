//! Where an export stands, and how long it waits.

use std::time::Duration;

use super::{Cursor, LONGEST_WAIT, wait_after};

#[test]
fn a_cursor_starts_at_the_beginning_and_keeps_its_place() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("exports/otlp.cursor");
    let cursor = Cursor::new(file.clone());
    assert_eq!(cursor.read().unwrap(), 0);
    cursor.write(17).unwrap();
    assert_eq!(cursor.read().unwrap(), 17);
    // One that cannot be read is no beginning: what was handed over already would be handed over again, all of it.
    std::fs::write(file, "x").unwrap();
    assert!(cursor.read().is_err());
}

#[test]
fn waits_grow_and_end() {
    assert_eq!(wait_after(1), Duration::from_secs(1));
    assert_eq!(wait_after(3), Duration::from_secs(4));
    assert_eq!(wait_after(40), LONGEST_WAIT);
}
