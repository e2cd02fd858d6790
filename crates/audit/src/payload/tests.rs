//! Payload files are read as they were written, and anything else is refused.

use super::*;

#[test]
fn boxes_come_back_in_order() {
    let boxes = vec![b"one".to_vec(), Vec::new(), vec![7; 70_000]];
    assert_eq!(decode(&encode(&boxes)).unwrap(), boxes);
    assert_eq!(decode(&[]).unwrap(), Vec::<Vec<u8>>::new());
}

#[test]
fn what_is_cut_or_too_long_is_no_payload_file() {
    let bytes = encode(&[b"one".to_vec(), b"two".to_vec()]);
    for len in [1, 3, 5, 6, 8, 13] {
        assert!(decode(&bytes[..len]).is_none(), "{len}");
    }
    assert!(decode(&encode(&vec![Vec::new(); 257])).is_none());
}

#[test]
fn slots_have_places_of_their_own() {
    assert_eq!(slot_place(0), (PathBuf::from("keys/000"), 0));
    assert_eq!(
        slot_place(65_536 + 2),
        (PathBuf::from("keys/001"), 2 * SLOT as u64)
    );
    assert_eq!(path(1_234, 256), PathBuf::from("payload/x001/234"));
    assert_eq!(path(1, 7), PathBuf::from("payload/001.p/7"));
}
