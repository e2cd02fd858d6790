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
