//! What is put comes back; what is not a bundle is refused and never panics.

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq};
use proptest::proptest;

use super::*;

proptest! {
    #[test]
    fn leaves_come_back(stored in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..=WIDTH)) {
        let mut bytes = Vec::new();
        for leaf in &stored {
            put(&mut bytes, leaf);
        }
        prop_assert_eq!(leaves(&bytes).unwrap(), stored.iter().map(Vec::as_slice).collect::<Vec<_>>());
        if !bytes.is_empty() {
            let cut = leaves(&bytes[..bytes.len() - 1]);
            prop_assert!(cut.is_none_or(|cut| cut.len() < stored.len()));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        if let Some(found) = leaves(&bytes) {
            prop_assert_eq!(found.iter().map(|leaf| leaf.len() + 2).sum::<usize>(), bytes.len());
        }
    }
}

#[test]
fn a_bundle_of_257_leaves_is_none() {
    assert!(leaves(&[0; 2 * WIDTH]).is_some());
    assert!(leaves(&[0; 2 * WIDTH + 2]).is_none());
}
