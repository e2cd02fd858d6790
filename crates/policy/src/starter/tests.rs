//! The bundles that ship pass their own tests.

use super::*;
use crate::{Bundle, Registry, fixtures};

fn check(source: &BundleSource) {
    let registry = fixtures(source).unwrap();
    Bundle::compile(source, bailiwick_core::Digest([0; 32]), &registry).unwrap();
    let report = Bundle::run_tests(source, &Registry::default()).unwrap();
    let failures: Vec<_> = report.failures().collect();
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(report.untested.is_empty(), "{:?}", report.untested);
}

#[test]
fn base_keeps_its_promises() {
    check(&base());
}

#[test]
fn demo_keeps_its_promises() {
    check(&demo());
}

#[test]
fn base_fits_an_empty_registry() {
    Bundle::compile(
        &base(),
        bailiwick_core::Digest([0; 32]),
        &Registry::default(),
    )
    .unwrap();
}

/// Each pack passes its own tests without a warning, and each of its own policies is in one of them.
#[test]
fn packs_keep_their_promises() {
    for name in PACKS {
        let source = pack(name).unwrap();
        let registry = fixtures(&source).unwrap();
        let version = bailiwick_core::Digest([0; 32]);
        let bundle = Bundle::compile(&source, version, &registry)
            .unwrap_or_else(|errors| panic!("{name}: {errors:#?}"));
        // A pack may leave a rule of `base` nothing to decide.
        let warnings = bundle.warnings().iter();
        let own: Vec<_> = warnings.filter(|flaw| flaw.file != "base.cedar").collect();
        assert!(own.is_empty(), "{name}: {own:#?}");
        assert_eq!(bundle.name(), name);
        assert!(bundle.broken().is_empty(), "{name}");
        let report = Bundle::run_tests(&source, &Registry::default()).unwrap();
        let failures: Vec<_> = report.failures().collect();
        assert!(failures.is_empty(), "{name}: {failures:#?}");
        let own = report
            .untested
            .iter()
            .filter(|id| name == "base" || !id.starts_with("base/"));
        assert_eq!(own.collect::<Vec<_>>(), Vec::<&String>::new(), "{name}");
        // A new node has nothing registered yet.
        Bundle::compile(&source, version, &Registry::default()).unwrap();
    }
    assert_eq!(pack("nothing"), None);
}

/// No pack lets anything through that `base` does not, but what its page says: writes of a task that executes a code change.
#[test]
fn packs_are_no_wider_than_base() {
    for name in PACKS {
        let source = pack(name).unwrap();
        let registry = fixtures(&source).unwrap();
        let compile = |source: &BundleSource| {
            Bundle::compile_lenient(source, bailiwick_core::Digest([0; 32]), &registry).unwrap()
        };
        let diff = crate::diff(&compile(&base()), &compile(&source));
        assert!(diff.complete);
        for permission in &diff.permissions {
            let expected = match name {
                "coding-agent" => [crate::Change::Narrower, crate::Change::Other],
                _ => [crate::Change::Narrower, crate::Change::Lost],
            };
            assert!(
                expected.contains(&permission.change),
                "{name}: {permission:#?}"
            );
        }
    }
}
