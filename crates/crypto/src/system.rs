//! The machine's clock and randomness. The one place where they come in; everything else takes a `Clock` and an `Rng`.

use std::time::Duration;

use bailiwick_core::{Clock, Rng, Timestamp};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// `CLOCK_REALTIME` and `CLOCK_BOOTTIME`. The latter counts suspend: a lease runs out while the machine sleeps.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Realtime);
        Timestamp::from_micros(
            tv_sec
                .saturating_mul(1_000_000)
                .saturating_add(tv_nsec / 1_000),
        )
    }

    fn monotonic(&self) -> Duration {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Boottime);
        // Time since boot is never negative and tv_nsec is below 10⁹.
        Duration::new(
            u64::try_from(tv_sec).unwrap_or(0),
            u32::try_from(tv_nsec).unwrap_or(0),
        )
    }

    /// The kernel's random id of this boot (`random(4)`).
    fn boot(&self) -> Option<String> {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().to_owned())
    }
}

/// The generator of aws-lc, seeded by the kernel.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    fn fill(&self, buffer: &mut [u8]) {
        #[expect(
            clippy::expect_used,
            reason = "aws-lc aborts rather than return an error; without randomness nothing may go on"
        )]
        aws_lc_rs::rand::fill(buffer).expect("the system's random generator works");
    }
}

/// `N` random bytes.
pub fn random<const N: usize>(rng: &dyn Rng) -> [u8; N] {
    let mut bytes = [0_u8; N];
    rng.fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests;
