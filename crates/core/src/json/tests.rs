//! The strict scanner, the canonical forms and the leaves, by tables and against serde_json.

use expect_test::expect;
use proptest::prelude::{
    Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_assume, prop_oneof, proptest,
};

use super::{Flaw, JsonError, Kind, Limits, Numbers, Scalar, check};

const SMALL: Limits = Limits {
    bytes: 64,
    depth: 3,
    members: 8,
    caseless: true,
};

fn flaw(text: impl AsRef<[u8]>) -> (Flaw, usize) {
    let JsonError { kind, offset } = check(text.as_ref(), &SMALL).unwrap_err();
    (kind, offset)
}

fn canonical(text: &str) -> String {
    let text = check(text.as_bytes(), &Limits::ENVELOPE).unwrap();
    String::from_utf8(text.canonical(Numbers::Ecmascript).unwrap()).unwrap()
}

#[test]
fn what_the_grammar_refuses() {
    for (text, expected) in [
        ("", (Flaw::End, 0)),
        (" \n", (Flaw::End, 2)),
        ("{", (Flaw::End, 1)),
        ("{\"a\"", (Flaw::End, 4)),
        ("{\"a\":", (Flaw::End, 5)),
        ("[1", (Flaw::End, 2)),
        ("[1,]", (Flaw::Unexpected, 3)),
        ("[1 2]", (Flaw::Unexpected, 3)),
        ("[1}", (Flaw::Unexpected, 2)),
        ("{\"a\":1,}", (Flaw::Unexpected, 7)),
        ("{a:1}", (Flaw::Unexpected, 1)),
        ("{1:1}", (Flaw::Unexpected, 1)),
        ("tru", (Flaw::End, 3)),
        ("nulL", (Flaw::Unexpected, 3)),
        ("NaN", (Flaw::Unexpected, 0)),
        ("01", (Flaw::Number, 1)),
        ("-", (Flaw::End, 1)),
        ("-a", (Flaw::Number, 1)),
        ("1.", (Flaw::End, 2)),
        ("[1.]", (Flaw::Number, 3)),
        ("1e+", (Flaw::End, 3)),
        (".5", (Flaw::Unexpected, 0)),
        ("+1", (Flaw::Unexpected, 0)),
        ("\"a", (Flaw::End, 2)),
        ("\"\\x\"", (Flaw::Escape, 1)),
        ("\"\\u12g4\"", (Flaw::Escape, 5)),
        ("\"\\u12", (Flaw::End, 5)),
        ("\"a\nb\"", (Flaw::Control, 2)),
        ("1 2", (Flaw::Trailing, 2)),
        ("{} //", (Flaw::Trailing, 3)),
        ("1\0", (Flaw::Trailing, 1)),
        ("'a'", (Flaw::Unexpected, 0)),
        ("\u{a0}1", (Flaw::Unexpected, 0)),
    ] {
        assert_eq!(flaw(text), expected, "{text:?}");
    }
}

#[test]
fn what_two_decoders_could_read_differently() {
    for (text, expected) in [
        (r#"{"a":1,"a":2}"#, (Flaw::DuplicateKey, 7)),
        (r#"{"a":1,"\u0061":2}"#, (Flaw::DuplicateKey, 7)),
        (r#"[{"b":{"a":1,"c":2,"a":3}}]"#, (Flaw::DuplicateKey, 19)),
        (r#"{"":1,"":2}"#, (Flaw::DuplicateKey, 6)),
        (r#"{"Name":1,"name":2}"#, (Flaw::CaseClash, 10)),
        (r#"{"\u212A":1,"k":2}"#, (Flaw::CaseClash, 12)),
        (r#"{"tools":1,"tool\u017f":2}"#, (Flaw::CaseClash, 11)),
        (r#""\ud800""#, (Flaw::Surrogate, 1)),
        (r#""\udc00""#, (Flaw::Surrogate, 1)),
        (r#""\ud800\ud800""#, (Flaw::Surrogate, 1)),
        (r#""\ud800A""#, (Flaw::Surrogate, 1)),
        (r#"{"\ud800":1}"#, (Flaw::Surrogate, 2)),
    ] {
        assert_eq!(flaw(text), expected, "{text}");
    }
    assert_eq!(flaw(b"\xef\xbb\xbf1"), (Flaw::ByteOrderMark, 0));
    assert_eq!(flaw(b"\"\xc0\xaf\""), (Flaw::Utf8, 1));
    assert_eq!(flaw(b"\"\xed\xa0\x80\""), (Flaw::Utf8, 1));
}

#[test]
fn equal_names_in_different_objects_are_fine() {
    for text in [
        r#"{"a":{"a":1},"b":{"a":1}}"#,
        r#"[{"a":1},{"a":1}]"#,
        r#"{"b":{"a":1},"a":1}"#,
    ] {
        assert!(check(text.as_bytes(), &SMALL).is_ok(), "{text}");
    }
    let clash = br#"{"Name":1,"name":2}"#;
    assert!(check(clash, &SMALL.case_sensitive()).is_ok());
}

#[test]
fn limits_are_exact() {
    assert!(check(b"[[[1]]]", &SMALL).is_ok());
    assert_eq!(flaw("[[[[]]]]"), (Flaw::TooDeep, 3));
    assert!(check(b"[1,2,3,4,5,6,7,8]", &SMALL).is_ok());
    assert_eq!(flaw("[1,2,3,4,5,6,7,8,9]"), (Flaw::TooMany, 17));
    assert_eq!(flaw(r#"[[1,2,3,4],[{"a":1,"b":2}]]"#), (Flaw::TooMany, 19));
    assert!(check(&[b'1'; 64], &SMALL).is_ok());
    assert_eq!(flaw([b'1'; 65]), (Flaw::TooLarge, 64));
    let deep = "[".repeat(1 << 20);
    let error = check(deep.as_bytes(), &Limits::ENVELOPE).unwrap_err();
    assert_eq!((error.kind, error.offset), (Flaw::TooDeep, 64));
}

#[test]
fn case_folding_joins_every_family_of_letters() {
    for letter in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
        let lower: String = letter.to_lowercase().collect();
        let upper: String = letter.to_uppercase().collect();
        if lower == upper {
            continue;
        }
        let own = super::strings::fold(&letter.to_string()).into_owned();
        assert_eq!(own, super::strings::fold(&lower), "{letter}");
        assert_eq!(own, super::strings::fold(&upper), "{letter}");
    }
}

#[test]
fn members_and_elements_say_where_they_stand() {
    let source = " { \"a\\u0062\" : [ 1, {\"x\":[]} ,\"s\\n\"] , \"c\":{} } ";
    let text = check(source.as_bytes(), &Limits::ENVELOPE).unwrap();
    assert_eq!(text.range(), 1..source.len() - 1);
    let members = text.members().unwrap();
    let shown: Vec<_> = members
        .iter()
        .map(|member| {
            (
                &*member.key,
                &source[member.key_range.clone()],
                &source[member.value.range()],
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("ab", "\"a\\u0062\"", "[ 1, {\"x\":[]} ,\"s\\n\"]"),
            ("c", "\"c\"", "{}")
        ]
    );
    let elements = members[0].value.elements().unwrap();
    let shown: Vec<_> = elements
        .iter()
        .map(|element| (element.kind(), &source[element.range()]))
        .collect();
    assert_eq!(
        shown,
        [
            (Kind::Number, "1"),
            (Kind::Object, "{\"x\":[]}"),
            (Kind::String, "\"s\\n\"")
        ]
    );
    assert_eq!(elements[2].string().unwrap(), "s\n");
    assert_eq!(elements[1].member("x").unwrap().elements().unwrap(), []);
    assert!(elements[0].members().is_none() && elements[0].string().is_none());
    assert!(text.elements().is_none() && members[0].value.members().is_none());
}

/// RFC 8785 Appendix B, and the cases around each change of notation.
#[test]
fn numbers_as_ecmascript_writes_them() {
    for (number, expected) in [
        ("0", "0"),
        ("-0", "0"),
        ("-0.0e5", "0"),
        ("1.0", "1"),
        ("5e-324", "5e-324"),
        ("-5e-324", "-5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("9007199254740992", "9007199254740992"),
        ("-9007199254740992", "-9007199254740992"),
        ("295147905179352830000", "295147905179352830000"),
        ("9.999999999999997e22", "9.999999999999997e+22"),
        ("1e23", "1e+23"),
        ("1.0000000000000001e23", "1.0000000000000001e+23"),
        ("999999999999999700000", "999999999999999700000"),
        ("999999999999999900000", "999999999999999900000"),
        ("1e21", "1e+21"),
        ("1e20", "100000000000000000000"),
        ("9.999999999999997e-7", "9.999999999999997e-7"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("333333333.3333332", "333333333.3333332"),
        ("333333333.33333325", "333333333.33333325"),
        ("333333333.3333334", "333333333.3333334"),
        ("-0.0000033333333333333333", "-0.0000033333333333333333"),
        ("1424953923781206.25", "1424953923781206.2"),
        ("-1424953923781206.25", "-1424953923781206.2"),
        ("1424953923781206.75", "1424953923781206.8"),
        ("12.5e1", "125"),
        ("1e-999", "0"),
    ] {
        assert_eq!(canonical(number), expected, "{number}");
    }
    let huge = check(b" [1e400]", &SMALL).unwrap();
    let error = huge.canonical(Numbers::Ecmascript).unwrap_err();
    assert_eq!(error.kind, Flaw::NumberRange);
    assert_eq!(huge.canonical(Numbers::AsWritten).unwrap(), b"[1e400]");
    let twenty = check(b"[12345678901234567890,1.0]", &SMALL).unwrap();
    assert_eq!(
        twenty.canonical(Numbers::AsWritten).unwrap(),
        b"[12345678901234567890,1.0]"
    );
}

/// RFC 8785 §3.2.2 and §3.2.3.
#[test]
fn canonical_examples_of_the_specification() {
    expect![[r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#]]
    .assert_eq(&canonical(
        r#"{ "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
             "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
             "literals": [null, true, false] }"#,
    ));
    assert_eq!(
        canonical(
            r#"{ "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
             "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control",
             "\u00f6": "Latin Small Letter O With Diaeresis" }"#,
        ),
        concat!(
            r#"{"\r":"Carriage Return","1":"One",""#,
            "\u{80}",
            r#"":"Control","ö":"Latin Small Letter O With Diaeresis","€":"Euro Sign","😀":"Emoji: Grinning Face",""#,
            "\u{fb33}",
            r#"":"Hebrew Letter Dalet With Dagesh"}"#
        )
    );
}

#[test]
fn leaves_share_paths() {
    let text = r#"{"a":[1,[2,{"b":"x"}],{}],"*":null,"a/b~":true,"e":[],"f":{"*":{"*":1.0}}}"#;
    let text = check(text.as_bytes(), &Limits::ENVELOPE).unwrap();
    let leaves = text.leaves().unwrap();
    let mut shown = Vec::new();
    leaves.each(|path, scalar| shown.push(format!("{path} {scalar:?}")));
    assert_eq!(
        shown,
        [
            "/~2 Null",
            "/a/* Number(\"1\")",
            "/a/* Empty",
            "/a/*/* Number(\"2\")",
            "/a/*/*/b String(\"x\")",
            "/a~1b~0 Bool(true)",
            "/e Empty",
            "/f/~2/~2 Number(\"1.0\")",
        ]
    );
    assert_eq!(leaves.count(), shown.len());
    assert_eq!(leaves.at("/a/*").unwrap().scalars().len(), 2);
    assert_eq!(
        leaves.at("/a~1b~0").unwrap().scalars(),
        [Scalar::Bool(true)]
    );
    assert_eq!(leaves.at("/a").unwrap().scalars(), []);
    assert!(leaves.at("/a/0").is_none() && leaves.at("a").is_none() && leaves.at("/*").is_none());
    for (text, expected) in [("{}", Scalar::Empty), ("7", Scalar::Number("7"))] {
        let text = check(text.as_bytes(), &SMALL).unwrap();
        assert_eq!(text.leaves().unwrap().at("").unwrap().scalars(), [expected]);
    }
}

/// A name of 1 MiB above 100,000 leaves would take 100 GB if each leaf carried its path.
#[test]
fn a_long_name_above_many_leaves_costs_no_more_than_the_text() {
    let elements = vec![r#"{"a":1}"#; 49_999].join(",");
    let source = format!(r#"{{"{}":[{elements}]}}"#, "n".repeat(1 << 20));
    let text = check(source.as_bytes(), &Limits::ENVELOPE).unwrap();
    let leaves = text.leaves().unwrap();
    let mut bytes = 0;
    leaves.each(|path, _| bytes = path.len());
    assert_eq!((leaves.count(), bytes), (49_999, (1 << 20) + 5));
}

fn document() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_filter_map("finite", |number| {
            serde_json::Number::from_f64(number).map(Into::into)
        }),
        ".{0,6}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map("[a-c*/~\u{e9}\"]{0,2}", inner, 0..6).prop_map(|members| {
                members
                    .into_iter()
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn valid_documents_pass_and_keep_their_meaning(value in document(), pretty: bool) {
        let source = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        // serde_json's own reading of the source: its floats do not all survive a round trip.
        let value: serde_json::Value = serde_json::from_str(&source).unwrap();
        let text = check(source.as_bytes(), &Limits::ENVELOPE).unwrap();
        let same: serde_json::Value = serde_json::from_slice(&text.canonical(Numbers::AsWritten).unwrap()).unwrap();
        prop_assert_eq!(&same, &value);
        let once = text.canonical(Numbers::Ecmascript).unwrap();
        let again = check(&once, &Limits::ENVELOPE).unwrap().canonical(Numbers::Ecmascript).unwrap();
        prop_assert_eq!(once, again);
    }

    #[test]
    fn members_and_leaves_agree_with_serde_json(value in document()) {
        let source = serde_json::to_string_pretty(&value).unwrap();
        let value: serde_json::Value = serde_json::from_str(&source).unwrap();
        let text = check(source.as_bytes(), &Limits::ENVELOPE).unwrap();
        if let Some(members) = text.members() {
            let read: serde_json::Map<_, _> = members.iter().map(|member| {
                let inner: serde_json::Value = serde_json::from_str(member.value.as_str()).unwrap();
                (member.key.clone().into_owned(), inner)
            }).collect();
            prop_assert_eq!(&serde_json::Value::Object(read), &value);
        }
        let mut leaves = 0;
        text.leaves().unwrap().each(|_, _| leaves += 1);
        prop_assert_eq!(leaves, count(&value));
    }

    /// Whatever passes here is read by serde_json too; what serde_json reads fails here for our own reasons only.
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(soup(), 0..40)) {
        let limits = Limits { depth: 6, ..SMALL };
        let theirs = serde_json::from_slice::<serde_json::Value>(&bytes);
        match check(&bytes, &limits) {
            Ok(text) => {
                prop_assert!(theirs.is_ok() || theirs.unwrap_err().to_string().contains("out of range"));
                text.leaves().unwrap();
                text.canonical(Numbers::AsWritten).unwrap();
            }
            Err(error) => prop_assert!(theirs.is_err() || matches!(
                error.kind,
                Flaw::DuplicateKey | Flaw::CaseClash | Flaw::TooDeep | Flaw::TooMany
            )),
        }
    }

    #[test]
    fn a_repeated_key_is_found_at_any_depth(value in document(), depth in 0..20_usize, key in "[a-z]{1,3}") {
        let inner = format!(r#"{{"{key}":{value},"other":1,"{key}":2}}"#);
        let source = format!("{}{inner}{}", r#"[{"k":"#.repeat(depth), "}]".repeat(depth));
        prop_assume!(key != "other");
        let error = check(source.as_bytes(), &Limits::ENVELOPE.case_sensitive()).unwrap_err();
        prop_assert_eq!(error.kind, Flaw::DuplicateKey);
    }
}

fn soup() -> impl Strategy<Value = u8> {
    prop_oneof![
        4 => prop::sample::select(br#"{}[]",:\u0123aef-+.E truefalsenull"#.to_vec()),
        1 => any::<u8>(),
    ]
}

fn count(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(elements) if !elements.is_empty() => {
            elements.iter().map(count).sum()
        }
        serde_json::Value::Object(members) if !members.is_empty() => {
            members.values().map(count).sum()
        }
        _ => 1,
    }
}
