//! Enforcement points in SQL.

use bailiwick_core::Digest;
use bailiwick_core::name::PointName;
use bailiwick_core::point::Registration;

use super::view::{View, damaged, decode, encode};
use crate::{Points, PointsMut, StoreError};

const KIND: &str = "point";

impl Points for View<'_> {
    fn points(&self) -> Result<Vec<(Registration, Digest)>, StoreError> {
        let rows: Vec<(String, String)> =
            self.rows("SELECT body, sha256 FROM point ORDER BY name", (), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        rows.into_iter()
            .map(|(body, sha256)| {
                let digest = sha256.parse().map_err(|error| damaged(KIND, &error))?;
                Ok((decode(KIND, &body)?, digest))
            })
            .collect()
    }
}

impl PointsMut for View<'_> {
    fn put_point(&mut self, point: &Registration, sha256: Digest) -> Result<(), StoreError> {
        self.execute(
            KIND,
            point.name.as_str(),
            "INSERT INTO point (name, sha256, body) VALUES (?1, ?2, ?3)",
            (
                point.name.as_str(),
                sha256.to_string(),
                encode(KIND, point)?,
            ),
        )?;
        Ok(())
    }

    fn remove_point(&mut self, name: &PointName) -> Result<(), StoreError> {
        self.remove(
            KIND,
            name.as_str(),
            "DELETE FROM point WHERE name = ?1",
            [name.as_str()],
        )
    }
}
