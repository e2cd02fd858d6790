//! Certificates are told apart by their lengths, whatever they are.

use super::certificates;

#[test]
fn a_chain_is_split_at_its_elements() {
    let long = [&[0x30, 0x81, 0x80][..], &[7; 128]].concat();
    let chain = [&[0x30, 1, 9][..], &long, &[0x30, 0]].concat();
    assert_eq!(certificates(&chain), [&[0x30, 1, 9][..], &long, &[0x30, 0]]);
}

#[test]
fn what_is_cut_or_malformed_is_left_out() {
    for bad in [
        &[0x30][..],
        &[0x30, 5, 1],
        &[0x30, 0x80, 0, 0],
        &[0x30, 0x85, 1, 1, 1, 1, 1],
        &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
    ] {
        assert!(certificates(bad).is_empty(), "{bad:?}");
    }
    assert!(certificates(&[]).is_empty());
}
