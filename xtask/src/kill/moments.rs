//! When the kills come: spread over the time a run may take, and the same for the same seed.

use std::time::Duration;

/// A linear congruential generator (Knuth's MMIX constants): only the spread matters here.
pub(crate) struct Moments(u64);

impl Moments {
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// Some time up to `latest`.
    pub(crate) fn next(&mut self, latest: Duration) -> Duration {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // The high bits are the random ones.
        latest * u32::try_from(self.0 >> 48).unwrap_or_default() / u32::from(u16::MAX)
    }
}
