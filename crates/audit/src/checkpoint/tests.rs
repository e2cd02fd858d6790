//! The text of a checkpoint, and what is no checkpoint.

use super::*;
use crate::fixtures::{ORIGIN, keys, signer};

fn checkpoint() -> Checkpoint {
    Checkpoint {
        origin: ORIGIN.into(),
        size: 20_852_163,
        root: Digest([0xab; 32]),
    }
}

#[test]
fn what_is_signed_is_read_back() {
    let note = checkpoint().sign(&signer()).unwrap();
    let expected = "example.org/node-1\n20852163\nq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\n\n— example.org/node-1 ";
    assert!(note.starts_with(expected), "{note}");
    assert_eq!(
        Checkpoint::verify(note.as_bytes(), &keys()),
        Ok(checkpoint())
    );
}

#[test]
fn texts_that_are_no_checkpoint_are_refused() {
    for text in [
        "",
        "origin\n",
        "origin\n1\n",
        "\n1\nq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\n",
        "origin\n01\nq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\n",
        "origin\n+1\nq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\n",
        "origin\n-1\nq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\n",
        "origin\n18446744073709551616\nq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\n",
        "origin\n1\nq6ur\n",
        "origin\n1\nnot base64\n",
    ] {
        assert!(
            matches!(Checkpoint::parse(text), Err(CheckpointError::Form(_))),
            "{text:?}"
        );
    }
}

#[test]
fn extension_lines_do_not_hide_the_tree_head() {
    let text = "origin\n1\nq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\nextension\n";
    assert_eq!(Checkpoint::parse(text).unwrap().size, 1);
}
