//! Where random bytes come from. The system source is `bailiwick_crypto::system::SystemRng`.

/// A source of cryptographically secure random bytes.
pub trait Rng: Send + Sync {
    /// Fills `buffer` with random bytes.
    fn fill(&self, buffer: &mut [u8]);
}
