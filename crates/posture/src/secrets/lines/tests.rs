//! Texts are cut into units with key and place.

use super::{Syntax, value_of};

/// The value of the name that stands between `«` and `»`.
fn value(text: &str, syntax: Syntax) -> Option<String> {
    let start = text.find('«').unwrap();
    let end = text.find('»').unwrap() - '«'.len_utf8();
    let plain = text.replace(['«', '»'], "");
    let found = value_of(plain.as_bytes(), &(start..end), syntax)?;
    Some(plain[found.range].to_owned())
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(
        value(text, Syntax::Text).as_deref(),
        Some(expected),
        "{text}"
    );
}

#[test]
fn every_notation_leads_to_the_value() {
    check("«PASSWORD»=v;a,l(u)e", "v;a,l(u)e");
    check("export «PASSWORD»=value # comment", "value");
    check("export «PASSWORD»='value'", "value");
    check("\"«password»\": \"value\"", "value");
    check("{\"a\":1,\"«password»\":\"value\"}", "value");
    check("  «password»: value", "value");
    check("'«password»' => 'value',", "value");
    check("«password» := \"value\"", "value");
    check("let «password»: String = String::from(\"value\");", "value");
    check("«password»: &str = \"value\";", "value");
    check("<«password»>value</password>", "value");
    check("<add key=\"«Password»\" value=\"value\"/>", "value");
    check("- name: «PASSWORD»\n  value: value\n", "value");
    check("{\"name\":\"«PASSWORD»\",\"value\":\"value\"}", "value");
    check("define('«DB_PASSWORD»', 'value');", "value");
    check("os.environ[\"«PASSWORD»\"] = \"value\"", "value");
    check("client.«password»(\"value\")", "value");
    check("cmd «--password» value --next", "value");
    check("cmd «--password»=value --next", "value");
    check("Server=db;«Password»=value;Encrypt=true", "value");
    check("https://a.example/?«token»=value&x=1", "value");
    check("\"{\\\"«password»\\\":\\\"value\\\"}\"", "value");
    check("CREATE ROLE a «PASSWORD» 'value'", "value");
    check("«password» = r#\"value\"#", "value");
    check("«password» =\n    \"value\"", "value");
}

#[test]
fn comparisons_and_paths_of_a_language_have_none() {
    for text in [
        "«password» == \"value\"",
        "«password»::new(\"x\")",
        "«password»->value",
        "«password»",
        "«password»\n",
    ] {
        assert_eq!(value(text, Syntax::Code), None, "{text}");
    }
}

#[test]
fn endings_tell_what_unquoted_text_means() {
    assert_eq!(Syntax::of("src/a.rs"), Syntax::Code);
    assert_eq!(Syntax::of("deploy/.env.production"), Syntax::Settings);
    assert_eq!(Syntax::of("a/b.YAML"), Syntax::Settings);
    assert_eq!(Syntax::of("README"), Syntax::Text);
}

#[test]
fn directives_have_a_value_after_a_blank() {
    check("«requirepass» value", "value");
    assert_eq!(value("the «password» must be long", Syntax::Text), None);
}
