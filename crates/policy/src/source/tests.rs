//! Which files a bundle has, and what its version is taken of.

use super::*;

fn source(files: &[(&str, &str)]) -> BundleSource {
    BundleSource::from_dir(
        files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned())),
    )
    .unwrap()
}

#[test]
fn moving_bytes_between_files_changes_the_canonical_form() {
    let one = source(&[("a.cedar", "xy"), ("b.cedar", "z")]);
    let two = source(&[("a.cedar", "x"), ("b.cedar", "yz")]);
    assert_ne!(one.canonical(), two.canonical());
    assert_eq!(
        one.canonical(),
        source(&[("b.cedar", "z"), ("a.cedar", "xy")]).canonical()
    );
}

#[test]
fn stray_files_are_refused() {
    for path in [
        "README.md",
        "tests/deep/x.toml",
        "../x.cedar",
        "/x.cedar",
        "a//b.cedar",
        "bundle.toml/x",
    ] {
        let errors = BundleSource::from_dir([(path.to_owned(), String::new())]).unwrap_err();
        assert_eq!(errors.flaws[0].file, path);
    }
}
