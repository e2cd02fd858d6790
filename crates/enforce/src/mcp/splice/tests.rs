//! Splices keep every byte that they do not name (04 §1).

use bailiwick_core::json::{Limits, Text, check};

use super::{Splices, on_one_line, without_members};

fn kept(list: &str, keep: &[bool]) -> String {
    let text = check(list.as_bytes(), &Limits::ENVELOPE).unwrap();
    let ranges: Vec<_> = text.elements().unwrap().iter().map(Text::range).collect();
    let mut splices = Splices::default();
    splices.retain(&ranges, |index| keep[index]);
    String::from_utf8(splices.apply(list.as_bytes())).unwrap()
}

#[test]
fn removing_elements_keeps_bytes_order_and_commas() {
    let list = "[ {\"a\":1.0} ,\n 2e0,\"\\u0041\" , [] ]";
    for bits in 0..16_u8 {
        let keep: Vec<bool> = (0..4).map(|index| bits & 1 << index != 0).collect();
        let out = kept(list, &keep);
        let text = check(out.as_bytes(), &Limits::ENVELOPE).unwrap();
        let left: Vec<&str> = text.elements().unwrap().iter().map(Text::as_str).collect();
        let all = ["{\"a\":1.0}", "2e0", "\"\\u0041\"", "[]"];
        let expected: Vec<&str> = all
            .iter()
            .zip(&keep)
            .filter(|(_, keep)| **keep)
            .map(|(part, _)| *part)
            .collect();
        assert_eq!(left, expected, "{out}");
    }
    assert_eq!(kept(list, &[true; 4]), list);
}

#[test]
fn members_go_by_their_unescaped_name_and_others_stay_as_they_are() {
    let object = br#"{"\u0069cons":[1], "b" : 12345678901234567890 ,"_meta":{}}"#;
    let text = check(object, &Limits::ENVELOPE).unwrap();
    let bare = without_members(&text, |name| name == "icons" || name == "_meta");
    assert_eq!(
        std::str::from_utf8(&bare).unwrap(),
        r#"{"b" : 12345678901234567890}"#
    );
}

#[test]
fn appending_a_member_fits_empty_and_full_objects() {
    for (object, expected) in [
        ("{}", "{\"x\":1}"),
        ("{ \"a\":{} }", "{ \"a\":{} ,\"x\":1}"),
    ] {
        let text = check(object.as_bytes(), &Limits::ENVELOPE).unwrap();
        let mut splices = Splices::default();
        splices.append_member(&text, "\"x\":1");
        let out = splices.apply(object.as_bytes());
        assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
    }
}

#[test]
fn a_message_on_one_line_says_the_same() {
    let pretty = b"{\r\n \"a\" : \"x\\ny\"\n}";
    let line = on_one_line(pretty);
    assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
    let value = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
    assert_eq!(value(pretty), value(&line));
}
