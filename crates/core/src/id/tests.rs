//! Ids round-trip, sort by time, and refuse what is not theirs.

use std::time::Duration;

use super::{ApprovalId, TaskId};
use crate::{Clock, Rng, Timestamp};

struct At(i64);

impl Clock for At {
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.0)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

struct Ones;

impl Rng for Ones {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0xff);
    }
}

#[test]
fn round_trips_and_keeps_the_millisecond() {
    let id = TaskId::new(&At(1_800_000_000_123_456), &Ones);
    let text = id.to_string();
    assert_eq!(text.len(), "task_".len() + 26);
    assert_eq!(text.parse::<TaskId>().unwrap(), id);
    assert_eq!(id.created_at().as_micros(), 1_800_000_000_123_000);
}

#[test]
fn is_a_version_7_variant_2_uuid() {
    let id = TaskId::new(&At(1_800_000_000_123_456), &Ones);
    assert_eq!(id.bits() >> 76 & 0xf, 7);
    assert_eq!(id.bits() >> 62 & 0b11, 0b10);
}

#[test]
fn matches_the_typeid_example() {
    // TypeID specification, valid.yml: uuidv7 `0188a5eb-794b-7000-8000-000000000000`-like vectors are built the same way;
    // this one is its "some uuid": 0188bac7-4afa-78aa-bc3b-bd1eef28d881 ↔ 01h2xcejqtf2nbrexx3vqjhp41.
    let id = TaskId::from_bits(0x0188_bac7_4afa_78aa_bc3b_bd1e_ef28_d881);
    assert_eq!(id.suffix(), "01h2xcejqtf2nbrexx3vqjhp41");
}

#[test]
fn refuses_other_kinds_and_bad_text() {
    let id = TaskId::new(&At(1), &Ones).to_string();
    assert!(id.parse::<ApprovalId>().is_err());
    assert!(id.to_uppercase().parse::<TaskId>().is_err());
    assert!(id.get(..30).unwrap().parse::<TaskId>().is_err());
    assert!(
        "task_8zzzzzzzzzzzzzzzzzzzzzzzzz".parse::<TaskId>().is_err(),
        "over 128 bits"
    );
    assert!(
        "task_7zzzzzzzzzzzzzzzzzzzzzzzzl".parse::<TaskId>().is_err(),
        "l is not in the alphabet"
    );
}
