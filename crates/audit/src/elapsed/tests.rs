//! Clocks that are set, stand still or come back, over days that take no time.

use super::*;
use crate::fixtures::JumpingClock;

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;
const START: i64 = 1_700_000_000 * SECOND;

/// A log's time on a clock that the test moves.
struct Life {
    clock: JumpingClock,
    elapsed: Elapsed,
    said: Vec<String>,
}

impl Life {
    fn begin() -> Self {
        let clock = JumpingClock::frozen(START);
        let elapsed = Elapsed::resume(None, Hlc::default(), &clock);
        Self {
            clock,
            elapsed,
            said: Vec::new(),
        }
    }

    /// A look as the log's thread takes it.
    fn look(&mut self) -> Option<String> {
        let read = Reading::of(&self.clock);
        let anomaly = self.elapsed.look(read)?;
        self.elapsed.said(anomaly, read);
        self.said.push(anomaly.words());
        Some(anomaly.words())
    }

    /// Time passes, with a look each minute.
    fn live(&mut self, micros: i64) {
        for _ in 0..micros / (60 * SECOND) {
            self.clock.pass(60 * SECOND);
            self.look();
        }
    }

    /// The process ends and starts again after `micros`.
    fn stop(&mut self, micros: i64) {
        let kept = self.elapsed.keep(Reading::of(&self.clock), true).unwrap();
        let last = u64::try_from(self.clock.wall().as_millis()).unwrap() << 16;
        self.clock.pass(micros);
        self.elapsed = Elapsed::resume(Some(&kept), Hlc(last), &self.clock);
    }

    /// How far the time to destroy by is from the start, in seconds.
    fn earliest(&self) -> i64 {
        let earliest = self.elapsed.earliest(Reading::of(&self.clock));
        (earliest.as_micros() - START) / SECOND
    }
}

#[test]
fn a_clock_that_keeps_pace_is_nothing_to_speak_of() {
    let mut life = Life::begin();
    life.clock.jump(59 * SECOND);
    life.live(2 * DAY);
    life.stop(30 * DAY);
    life.live(HOUR);
    assert_eq!(life.said, Vec::<String>::new());
    assert_eq!(life.earliest(), 32 * 86_400 + 3_600);
}

#[test]
fn small_steps_add_up() {
    let mut life = Life::begin();
    for _ in 0..10 {
        life.clock.jump(40 * SECOND);
        life.look();
    }
    assert_eq!(
        life.said[0],
        "the wall clock is 80 s ahead of the time that passed"
    );
    assert_eq!(life.earliest(), 0);
}

#[test]
fn a_clock_set_ahead_moves_nothing_and_is_believed_after_a_week_of_pace() {
    let mut life = Life::begin();
    life.clock.jump(730 * DAY);
    let said = life.look().unwrap();
    assert_eq!(
        said,
        "the wall clock is 63072000 s ahead of the time that passed"
    );
    life.live(3 * DAY);
    // A restart, even of the machine, is no way around it.
    life.clock.reboot();
    life.stop(HOUR);
    assert_eq!(life.look(), None, "it is on record");
    assert_eq!(life.earliest(), 3 * 86_400 + 3_600);
    life.live(3 * DAY);
    assert_eq!(life.said.len(), 1);
    life.live(2 * DAY);
    assert!(life.said[1].ends_with("and is believed"), "{:?}", life.said);
    assert!(life.earliest() > 730 * 86_400);
    assert_eq!(life.look(), None);
}

#[test]
fn a_clock_set_while_the_process_was_stopped_is_noticed() {
    for (jump, wanted) in [
        (HOUR, "3600 s ahead"),
        (-HOUR, "3600 s behind"),
        (-DAY, "86400 s behind"),
    ] {
        let mut life = Life::begin();
        life.live(2 * DAY);
        life.clock.jump(jump);
        life.stop(0);
        assert!(life.look().unwrap().contains(wanted), "{jump}");
        assert_eq!(life.earliest(), 2 * 86_400 + (jump / SECOND).min(0));
        life.clock.jump(-jump);
        assert_eq!(
            life.look().as_deref(),
            Some("the wall clock agrees again with the time that passed")
        );
        assert_eq!(life.earliest(), 2 * 86_400);
    }
}

#[test]
fn of_a_stop_that_ends_in_another_boot_a_day_is_believed() {
    let mut life = Life::begin();
    life.clock.reboot();
    life.stop(20 * HOUR);
    assert_eq!((life.look(), life.earliest()), (None, 20 * 3_600));
    life.clock.reboot();
    life.stop(10 * DAY);
    assert!(life.look().unwrap().contains("ahead"));
    assert_eq!(life.earliest(), (20 + 24) * 3_600);
    // Set back while it was off: the newest event is later than now.
    life.clock.reboot();
    life.clock.jump(-11 * DAY);
    life.stop(0);
    assert!(life.look().unwrap().contains("behind"));
}

#[test]
fn a_clock_that_stands_still_is_told_of_without_end_and_not_at_each_look() {
    let mut life = Life::begin();
    for _ in 0..24 * 60 {
        life.clock.stand_still(60 * SECOND);
        life.look();
    }
    assert!(life.said[0].contains("behind"));
    assert!((24..48).contains(&life.said.len()), "{}", life.said.len());
    assert_eq!(life.earliest(), 0);
}

#[test]
fn a_log_from_before_this_was_kept_goes_by_its_newest_event() {
    let hlc = |wall: i64| Hlc(u64::try_from(wall / 1_000).unwrap() << 16);
    let clock = JumpingClock::frozen(START);
    for (last, wanted) in [
        (-HOUR, None),
        (-30 * DAY, Some("ahead")),
        (HOUR, Some("behind")),
    ] {
        let elapsed = Elapsed::resume(None, hlc(START + last), &clock);
        let said = elapsed.look(Reading::of(&clock));
        match (said, wanted) {
            (None, None) => {}
            (Some(said), Some(wanted)) => assert!(said.words().contains(wanted)),
            other => panic!("{last}: {other:?}"),
        }
        assert!(elapsed.earliest(Reading::of(&clock)) <= clock.wall());
    }
}
