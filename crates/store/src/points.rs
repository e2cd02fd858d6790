//! Enforcement points in other processes (their tokens kept as SHA-256, never in the clear).

use bailiwick_core::Digest;
use bailiwick_core::name::PointName;
use bailiwick_core::point::Registration;

use crate::StoreError;

/// Reads of points.
pub trait Points {
    /// All points with the digest of each one's token, by name.
    fn points(&self) -> Result<Vec<(Registration, Digest)>, StoreError>;
}

/// Writes of points.
pub trait PointsMut {
    /// Stores a new point under the digest of its token; [`StoreError::AlreadyExists`] if there is one of its name.
    fn put_point(&mut self, point: &Registration, sha256: Digest) -> Result<(), StoreError>;

    /// Removes a point; [`StoreError::NotFound`] if there is none.
    fn remove_point(&mut self, name: &PointName) -> Result<(), StoreError>;
}
