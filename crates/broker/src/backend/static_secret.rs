//! Static secrets: a value sealed in the store and injected by the node, in class R0 (proxied: cut at the next request). Making one
//! opens the seal; there is nothing to remove elsewhere, so it is gone once the node injects it no more.

use std::collections::BTreeMap;
use std::sync::Arc;

use bailiwick_core::Secret;
use bailiwick_core::lease::{BackendKind, Deployment, LeaseClass};
use bailiwick_core::name::CredentialName;
use bailiwick_crypto::seal::Seal;
use bailiwick_store::{Store, StoreError};

use super::{
    Answer, Backend, BackendError, Description, Left, Made, Object, Order, Probe, Stray, Target,
    done,
};
use crate::secrets::place;

/// The backend of sealed values.
pub struct StaticSecret {
    store: Store,
    seal: Arc<Seal>,
}

impl StaticSecret {
    /// Reads from `store`, opens with `seal`.
    pub fn new(store: Store, seal: Arc<Seal>) -> Self {
        Self { store, seal }
    }

    /// The value of this name, as it can stand in a header.
    pub async fn value(&self, name: &CredentialName) -> Result<Secret<String>, BackendError> {
        let wanted = name.clone();
        let row = self
            .store
            .read(move |rows| rows.secret(&wanted))
            .await
            .map_err(|error: StoreError| BackendError::Transient(error.to_string()))?
            .ok_or_else(|| {
                BackendError::Permanent(format!("credential {name} has no sealed value"))
            })?;
        let opened = self
            .seal
            .unseal(place(&row.name, row.version), &row.sealed)
            .map_err(|error| BackendError::Permanent(error.to_string()))?;
        bearer(opened.expose())
    }
}

impl Backend for StaticSecret {
    fn describe(&self) -> Description {
        Description {
            kind: BackendKind::Static,
            class: LeaseClass::R0,
            native_end: false,
            remote: false,
        }
    }

    fn probe<'a>(&'a self, _ours: &'a Deployment) -> Answer<'a, Probe> {
        refused()
    }

    fn create<'a>(&'a self, order: &'a Order) -> Answer<'a, Made> {
        Box::pin(async move {
            Ok(Made {
                secret: self.value(&order.credential).await?,
                access: BTreeMap::new(),
                serial: None,
            })
        })
    }

    fn list<'a>(&'a self, _ours: &'a Deployment) -> Answer<'a, Vec<Object>> {
        done(Vec::new())
    }

    fn strays<'a>(&'a self, _ours: &'a Deployment) -> Answer<'a, Vec<Stray>> {
        done(Vec::new())
    }

    fn disable<'a>(&'a self, _slice: &'a mut [Target]) -> Answer<'a, ()> {
        done(())
    }

    fn kill_sessions<'a>(&'a self, _slice: &'a [Target]) -> Answer<'a, u64> {
        done(0)
    }

    fn remove<'a>(&'a self, _slice: &'a [Target]) -> Answer<'a, ()> {
        done(())
    }

    fn verify<'a>(&'a self, slice: &'a [Target]) -> Answer<'a, Vec<Left>> {
        let gone = Left {
            absent: true,
            sessions: 0,
        };
        done(vec![gone; slice.len()])
    }

    fn mark<'a>(&'a self, _ours: &'a Deployment, _generation: u64) -> Answer<'a, ()> {
        done(())
    }
}

fn refused<T: Send + 'static>() -> Answer<'static, T> {
    let why = "sealed values have no server that could be asked".to_owned();
    Box::pin(std::future::ready(Err(BackendError::Permanent(why))))
}

/// The value as it can stand in a header. One line break at its end is that of the file it came from, not part of it.
fn bearer(bytes: &[u8]) -> Result<Secret<String>, BackendError> {
    let unusable =
        || BackendError::Permanent("its value is not one line of visible ASCII".to_owned());
    let text = std::str::from_utf8(bytes).map_err(|_| unusable())?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unusable());
    }
    Ok(Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests;
