//! A bundle that is not live yet beside one that was published: what agents gain and lose by it.

use bailiwick_core::{Code, Digest, Fault, Problem};
use bailiwick_crypto::hash::sha256;
use bailiwick_policy::{Bundle, BundleSource, Diff, Flaw, Registry, diff};

use super::{PublishError, VersionRef};
use crate::{Actor, Control, Operation};

/// One of the bundles that are compared.
#[derive(Debug, Clone)]
pub enum BundleRef {
    /// One that was published. What of it no longer fits the registry is treated as it is where it is enforced.
    Version(VersionRef),
    /// A proposed text. It must be without flaw.
    Source(BundleSource),
}

/// What changes between two bundles.
#[derive(Debug, Clone)]
pub struct Compared {
    /// Digest of the one.
    pub from: Digest,
    /// Digest of the other.
    pub to: Digest,
    /// The permissions that differ.
    pub diff: Diff,
    /// What of published versions no longer fits the registry.
    pub broken: Vec<Flaw>,
}

impl Control {
    /// Which permissions agents would gain and lose if `to` took the place of `from`, on the registry as it is.
    pub async fn diff_policy(
        &self,
        actor: &Actor,
        from: BundleRef,
        to: BundleRef,
    ) -> Result<Compared, PublishError> {
        actor.may(Operation::WritePolicy)?;
        let registry = self.registry().await?;
        let (from, to) = (self.source_of(from).await?, self.source_of(to).await?);
        let compared = tokio::task::spawn_blocking(move || {
            let old = from.compile(&registry)?;
            let new = to.compile(&registry)?;
            let broken = old.broken().iter().chain(new.broken());
            Ok(Compared {
                from: old.version(),
                to: new.version(),
                broken: broken.cloned().collect(),
                diff: diff(&old, &new),
            })
        });
        compared
            .await
            .map_err(|_| stopped("comparing two bundles"))?
    }

    pub(super) async fn source_of(&self, bundle: BundleRef) -> Result<Source, Problem> {
        match bundle {
            BundleRef::Version(version) => {
                let digest = self.digest_of(version).await?;
                let source = self.bundle_source(digest).await?;
                Ok(Source {
                    digest,
                    source,
                    strict: false,
                })
            }
            BundleRef::Source(source) => {
                Ok(Source::proposed(sha256(&[&source.canonical()]), source))
            }
        }
    }
}

/// A bundle's text, to be compiled where blocking is allowed.
pub(super) struct Source {
    pub(super) digest: Digest,
    source: BundleSource,
    strict: bool,
}

impl Source {
    /// A text that has to be without flaw.
    pub(super) fn proposed(digest: Digest, source: BundleSource) -> Self {
        Self {
            digest,
            source,
            strict: true,
        }
    }

    pub(super) fn compile(&self, registry: &Registry) -> Result<Bundle, PublishError> {
        let compiled = if self.strict {
            Bundle::compile(&self.source, self.digest, registry)
        } else {
            Bundle::compile_lenient(&self.source, self.digest, registry)
        };
        compiled.map_err(|errors| PublishError::Flawed {
            problem: errors.problem(),
            flaws: errors.flaws,
        })
    }
}

pub(super) fn stopped(what: &str) -> Problem {
    Problem::new(Code::Internal, format!("{what} stopped"), "")
}
