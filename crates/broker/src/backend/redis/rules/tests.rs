//! Which rules an operator may write.

use super::{BadRule, Rules};

#[test]
fn rules_are_about_keys_channels_and_commands() {
    let rules: Rules = "~orders:*  %R~stock +@read -@dangerous &orders allchannels"
        .parse()
        .unwrap();
    let all: Vec<&str> = rules.all().collect();
    assert_eq!(
        all,
        [
            "~orders:*",
            "%R~stock",
            "+@read",
            "-@dangerous",
            "&orders",
            "allchannels",
            "-@admin"
        ]
    );
    for foreign in [
        "on",
        "off",
        "nopass",
        ">known",
        "#00",
        "reset",
        "(+@all ~*)",
        "allcommands",
        "+",
    ] {
        let refused = format!("~a {foreign}").parse::<Rules>().unwrap_err();
        assert!(matches!(refused, BadRule::Foreign(_)), "{foreign}");
    }
    assert_eq!("  ".parse::<Rules>(), Err(BadRule::Many));
    assert_eq!("~a ".repeat(65).parse::<Rules>(), Err(BadRule::Many));
}
