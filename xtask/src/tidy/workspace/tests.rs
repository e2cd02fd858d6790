//! What cargo prints is read as it is meant.

use super::paths;

#[test]
fn each_package_comes_with_the_way_to_it() {
    let tree = "0 bailiwick-cli v0.1.0 (crates/cli)\n1 reqwest v0.13.5\n2 rustls v0.23.46\n3 ring v0.17.14\n1 serde v1.0.1\n2 rustls v0.23.46 (*)\n";
    let paths = paths(tree);
    assert_eq!(
        paths.keys().collect::<Vec<_>>(),
        ["reqwest", "ring", "rustls", "serde"]
    );
    assert_eq!(paths["ring"], ["reqwest", "rustls", "ring"]);
    assert_eq!(paths["serde"], ["serde"]);
}
