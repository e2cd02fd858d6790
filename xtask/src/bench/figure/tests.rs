//! The line a figure makes, and what reaches its target.

use super::{Figure, Target};

fn line(value: f64, target: Target) -> String {
    Figure::new("decision_p50", value, "us", target)
        .expect("a figure")
        .to_string()
}

#[test]
fn the_line_has_eight_words() {
    assert_eq!(
        line(12.34, Target::AtMost(20.0)),
        "figure decision_p50 12.3 us target <=20.0 ok"
    );
    assert_eq!(
        line(20.01, Target::AtMost(20.0)),
        "figure decision_p50 20.0 us target <=20.0 short"
    );
    assert_eq!(
        line(45_678.9, Target::AtLeast(30_000.0)),
        "figure decision_p50 45679 us target >=30000 ok"
    );
    assert_eq!(
        line(0.5, Target::AtLeast(0.6)),
        "figure decision_p50 0.500 us target >=0.600 short"
    );
}

#[test]
fn the_border_is_reached() {
    assert!(line(20.0, Target::AtMost(20.0)).ends_with(" ok"));
    assert!(line(20.0, Target::AtLeast(20.0)).ends_with(" ok"));
}

#[test]
fn what_would_break_the_line_is_refused() {
    assert!(Figure::new("two words", 1.0, "us", Target::AtMost(1.0)).is_err());
    assert!(Figure::new("name", 1.0, "", Target::AtMost(1.0)).is_err());
    assert!(Figure::new("name", f64::NAN, "us", Target::AtMost(1.0)).is_err());
}
