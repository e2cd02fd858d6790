//! L1: nothing that is not on the list is inherited, and of what is left out only names are told.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use super::Environment;

fn variables(list: &[(&str, &str)]) -> impl Iterator<Item = (OsString, OsString)> {
    let owned = |(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
    list.iter().map(owned).collect::<Vec<_>>().into_iter()
}

#[test]
fn env_list() {
    let secret = "vK9#mQ2xLp7wZr4t";
    let environment = Environment::split(
        variables(&[
            ("PATH", "/usr/bin"),
            ("HOME", "/var/lib/anna"),
            ("LC_ALL", "C.UTF-8"),
            ("LCALL", "no"),
            ("path", "no"),
            ("SSH_AUTH_SOCK", "/run/agent"),
            ("LD_PRELOAD", "/tmp/x.so"),
            ("VIRTUAL_ENV", "/venv"),
            ("DB_PASSWORD", secret),
        ]),
        &["VIRTUAL_ENV".to_owned()],
    )
    .unwrap();
    let kept: Vec<_> = environment.kept().keys().collect();
    assert_eq!(kept, ["HOME", "LC_ALL", "PATH", "VIRTUAL_ENV"]);
    let told = environment.told();
    assert_eq!(
        told[0],
        "removed 5 variables, 1 with a secret: DB_PASSWORD LCALL LD_PRELOAD SSH_AUTH_SOCK path"
    );
    assert!(told[1].starts_with("  DB_PASSWORD ("), "{told:?}");
    assert!(
        told[1].ends_with("bailiwick secret set db-password --from-env DB_PASSWORD"),
        "{told:?}"
    );
    assert!(!told.concat().contains(secret));
}

#[test]
fn names_are_shown_visibly_and_some_are_never_kept() {
    let hostile = OsString::from_vec(b"A\x1b[2J\xff".to_vec());
    let environment = Environment::split([(hostile, OsString::from("1"))].into_iter(), &[]);
    let told = environment.unwrap().told().concat();
    assert!(!told.contains('\u{1b}'), "{told}");
    for name in ["LD_PRELOAD", "BAILIWICK_TASK"] {
        let refused = Environment::split(variables(&[]), &[name.to_owned()]);
        assert!(refused.is_err(), "{name}");
    }
}
