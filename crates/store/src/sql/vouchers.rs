//! Authorization codes and refresh tokens in SQL.

use bailiwick_core::{Digest, Timestamp};

use super::view::{View, encode, refused};
use crate::{StoreError, Voucher, VoucherForm, Vouchers, VouchersMut};

const KIND: &str = "voucher";

impl Vouchers for View<'_> {
    fn voucher(&self, sha256: Digest) -> Result<Option<Voucher>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM voucher WHERE sha256 = ?1",
            [sha256.to_hex()],
        )
    }

    fn abandoned_codes(&self, now: Timestamp) -> Result<Vec<Voucher>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM voucher WHERE unused_code = 1 AND expires_at <= ?1",
            [now.as_micros()],
        )
    }
}

impl VouchersMut for View<'_> {
    fn put_voucher(&mut self, voucher: &Voucher) -> Result<(), StoreError> {
        // Not its digest: that would put a credential's fingerprint into messages.
        let name = voucher.task.to_string();
        let stored = self.voucher(voucher.sha256)?;
        if stored.is_some_and(|stored| stored.used_at.is_some()) {
            return Err(refused(KIND, &name, "it was used"));
        }
        let is_code = matches!(voucher.form, VoucherForm::Code { .. });
        self.execute(
            KIND,
            &name,
            "INSERT INTO voucher (sha256, task, unused_code, expires_at, keep_until, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (sha256) DO UPDATE SET unused_code = excluded.unused_code, body = excluded.body",
            (
                voucher.sha256.to_hex(),
                &name,
                i64::from(is_code && voucher.used_at.is_none()),
                voucher.expires_at.as_micros(),
                voucher.keep_until.as_micros(),
                encode(KIND, voucher)?,
            ),
        )?;
        Ok(())
    }

    fn prune_vouchers(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let gone = self.execute(
            KIND,
            "expired",
            "DELETE FROM voucher WHERE keep_until <= ?1",
            [now.as_micros()],
        )?;
        Ok(gone)
    }
}
