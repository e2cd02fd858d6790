//! What is wrapped is opened, within its bounds.

use std::io::Write as _;

use super::{gunzip, percent, unescape, unwrap, utf16};

fn unwrapped(text: &[u8]) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    unwrap(text, &mut |found| {
        all.push((found.how, String::from_utf8_lossy(&found.text).into_owned()));
    });
    all
}

#[test]
fn base64_and_hex_that_hold_text_are_unwrapped() {
    assert_eq!(
        unwrapped(b"a: cGFzc3dvcmQ9Ymx1ZTQyaG9yc2U= b"),
        [("base64", "password=blue42horse".to_owned())]
    );
    assert_eq!(
        unwrapped(b"70617373776f72643d626c75653432686f727365"),
        [("hex", "password=blue42horse".to_owned())]
    );
    assert_eq!(
        unwrapped(b"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
        []
    );
    assert_eq!(
        unwrapped(b"this/is/a/path/of/some/length/and-no-base64"),
        []
    );
}

#[test]
fn gzip_is_unwrapped_and_a_bomb_is_cut() {
    let pack = |bytes: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    };
    let packed = pack(b"password=blue42horse");
    assert_eq!(
        gunzip(&packed, packed.len()).unwrap().as_slice(),
        b"password=blue42horse"
    );
    let bomb = pack(&vec![0; 10 * 1024 * 1024]);
    assert!(gunzip(&bomb, bomb.len()).unwrap().len() <= 8 * 1024 * 1024);
    assert!(gunzip(&[0x1f, 0x8b, 8, 0, 0xff], 5).is_none());
}

#[test]
fn escapes_are_decoded_and_broken_ones_kept() {
    assert_eq!(percent(b"a%2Fb%zz%4").unwrap().as_slice(), b"a/b%zz%4");
    assert!(percent(b"plain").is_none());
    assert_eq!(
        unescape(br#"a\/b\u002bc\"d\ud800\"#).unwrap().as_slice(),
        b"a/b+c\"dud800"
    );
    assert!(unescape(b"plain").is_none());
}

#[test]
fn utf16_is_read_in_both_orders() {
    let little: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain("key".bytes().flat_map(|byte| [byte, 0]))
        .collect();
    let big: Vec<u8> = [0xfe, 0xff]
        .into_iter()
        .chain("key".bytes().flat_map(|byte| [0, byte]))
        .collect();
    assert_eq!(utf16(&little).unwrap().as_slice(), b"key");
    assert_eq!(utf16(&big).unwrap().as_slice(), b"key");
}
