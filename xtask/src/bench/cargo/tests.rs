//! What a bench target writes becomes figures, and nothing else passes.

use std::fmt::Write as _;

use super::relay;

fn relayed(written: &str) -> anyhow::Result<String> {
    let mut lines = String::new();
    relay(written.as_bytes(), &mut |figure| {
        Ok(writeln!(lines, "{figure}")?)
    })?;
    Ok(lines)
}

#[test]
fn figures_get_their_verdict_here() {
    let written = "figure decide_p50 12.3456 us target <=20\nfigure rate 0.41 x target >=0.5\n";
    assert_eq!(
        relayed(written).expect("two figures"),
        "figure decide_p50 12.3 us target <=20.0 ok\nfigure rate 0.410 x target >=0.500 short\n"
    );
}

#[test]
fn a_bench_that_measures_nothing_has_failed() {
    let error = relayed("").expect_err("no figure");
    assert_eq!(error.to_string(), "it measured nothing");
}

#[test]
fn other_lines_are_an_error() {
    for line in [
        "running 0 tests",
        "figure decide_p50 12.3 us",
        "figure decide_p50 12.3 us target <20",
        "figure decide_p50 NaN us target <=20",
        "figure decide_p50 12.3 us target <=20 ok",
    ] {
        let error = relayed(line).expect_err(line);
        assert!(format!("{error:#}").contains(line), "{error:#}");
    }
}
