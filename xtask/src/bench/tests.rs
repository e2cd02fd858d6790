//! Benches are chosen by name, and their figures are written as they come. The tests of `timing` are here too: bench targets
//! compile that file, and would not find a module below it.

use std::time::Duration;

use anyhow::bail;

use super::figure::{Figure, Target};
use super::timing::percentile;
use super::{Bench, run_of};

const BENCHES: &[Bench] = &[
    Bench {
        name: "one",
        run: |figure| figure(Figure::new("one_p50", 1.0, "us", Target::AtMost(2.0))?),
    },
    Bench {
        name: "two",
        run: |figure| {
            figure(Figure::new(
                "two_rate",
                1.0,
                "calls/s",
                Target::AtLeast(2.0),
            )?)
        },
    },
];

fn written(name: Option<&str>) -> String {
    let mut out = Vec::new();
    run_of(BENCHES, name, &mut out).expect("these benches cannot fail");
    String::from_utf8(out).expect("figures are text")
}

#[test]
fn all_or_the_one_that_is_named() {
    assert_eq!(
        written(None),
        "figure one_p50 1.00 us target <=2.00 ok\nfigure two_rate 1.00 calls/s target >=2.00 short\n"
    );
    assert_eq!(
        written(Some("two")),
        "figure two_rate 1.00 calls/s target >=2.00 short\n"
    );
}

#[test]
fn an_unknown_name_lists_those_there_are() {
    let error =
        run_of(BENCHES, Some("three"), &mut Vec::new()).expect_err("there is no such bench");
    assert_eq!(
        error.to_string(),
        "there is no bench `three`; there is: one, two"
    );
}

#[test]
fn a_bench_that_cannot_measure_fails_the_run() {
    let broken = [Bench {
        name: "broken",
        run: |_| bail!("no disk"),
    }];
    let error = run_of(&broken, None, &mut Vec::new()).expect_err("it failed");
    assert_eq!(format!("{error:#}"), "bench broken: no disk");
}

#[test]
fn a_percentile_is_a_sample() {
    let mut samples: Vec<Duration> = (1..=100).rev().map(Duration::from_micros).collect();
    for (percent, expected) in [(1, 1), (50, 50), (99, 99), (100, 100)] {
        assert_eq!(
            percentile(&mut samples, percent),
            Some(Duration::from_micros(expected))
        );
    }
    let mut three = [3, 1, 2].map(Duration::from_secs);
    assert_eq!(percentile(&mut three, 50), Some(Duration::from_secs(2)));
    assert_eq!(percentile(&mut [], 50), None);
}
