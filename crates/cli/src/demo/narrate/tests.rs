//! The demo passes only if every step was played to its end and every check held.

use bailiwick_core::{Code, Problem};

use super::{Narrator, STEPS};
use crate::failure::Failure;
use crate::output::{Color, Format, Out};

fn told(steps: usize, play: impl Fn(usize, &mut Narrator) -> Result<(), Failure>) -> bool {
    let mut narrator = Narrator::new(Out::of_process(Format::Json, Color::Never, true));
    for number in 0..steps {
        narrator.step("step", "about", "command");
        let outcome = play(number, &mut narrator);
        narrator.close(outcome);
    }
    narrator.closing()
}

#[test]
fn all_steps_with_all_checks_pass() {
    assert!(told(STEPS, |_, narrator| {
        narrator.check(true, "seen");
        Ok(())
    }));
}

#[test]
fn each_way_to_fail_fails() {
    for broken in 0..STEPS {
        assert!(!told(STEPS, |number, narrator| {
            narrator.check(true, "seen");
            narrator.check(number != broken, "seen too");
            Ok(())
        }));
        assert!(!told(STEPS, |number, narrator| {
            if number != broken {
                narrator.check(true, "seen");
            }
            Ok(())
        }));
        assert!(!told(STEPS, |number, narrator| {
            narrator.check(true, "seen");
            if number == broken {
                Err(Problem::new(Code::TimedOut, "m", "").into())
            } else {
                Ok(())
            }
        }));
    }
    assert!(!told(STEPS - 1, |_, narrator| {
        narrator.check(true, "seen");
        Ok(())
    }));
}
