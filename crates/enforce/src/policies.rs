//! The compiled policy bundle, compiled anew when the policy, an agent, a server or a tool changed, and never for each decision.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bailiwick_core::{Code, Digest, Fault, Problem};
use bailiwick_policy::{Bundle, BundleSource};
use tokio::sync::Mutex;

use crate::ports::PolicySource;
use crate::replica::{Replica, State};

/// Compiles the active bundle on demand.
pub struct Policies {
    source: Arc<dyn PolicySource>,
    compiled: ArcSwapOption<Compiled>,
    /// Held while compiling, so that many callers wait for one compilation; keeps the text of the newest bundle.
    text: Mutex<Option<(Digest, BundleSource)>>,
}

/// A bundle with what it was compiled from.
pub struct Compiled {
    /// Its version.
    pub version: Digest,
    /// Generation of the registry ([`crate::replica::State::policy`]).
    pub registry: u64,
    /// The bundle.
    pub bundle: Bundle,
}

impl Policies {
    /// Nothing is compiled before it is asked for.
    pub fn new(source: Arc<dyn PolicySource>) -> Self {
        Self {
            source,
            compiled: ArcSwapOption::empty(),
            text: Mutex::new(None),
        }
    }

    /// The bundle for the replica as it is now.
    pub async fn current(&self, replica: &Replica) -> Result<Arc<Compiled>, Problem> {
        let (version, registry) = replica
            .view(State::policy)
            .map_err(|behind| behind.problem())?;
        let version = version.ok_or_else(|| {
            Problem::new(
                Code::NoPermit,
                "no policy is published, so nothing is permitted",
                "publish one: bailiwick policy publish DIR",
            )
        })?;
        if let Some(compiled) = self.fitting(version, registry) {
            return Ok(compiled);
        }
        let mut text = self.text.lock().await;
        // Somebody else may have compiled it, and the registry may have moved on, while this waited.
        let (now, registry, parts) = replica
            .view(|state| {
                let (newest, generation) = state.policy();
                (newest.unwrap_or(version), generation, state.registry())
            })
            .map_err(|behind| behind.problem())?;
        if let Some(compiled) = self.fitting(now, registry) {
            return Ok(compiled);
        }
        let source = match text.take() {
            Some((known, source)) if known == now => source,
            _ => self.source.bundle(now).await?,
        };
        let (source, bundle) = tokio::task::spawn_blocking(move || {
            let bundle = Bundle::compile_lenient(&source, now, &parts);
            (source, bundle)
        })
        .await
        .map_err(|_| Problem::new(Code::Internal, "compiling the policy failed", ""))?;
        *text = Some((now, source));
        let bundle = bundle.map_err(|errors| {
            tracing::error!(%errors, "the published policy cannot be used; nothing is permitted");
            Problem::new(
                Code::PolicyError,
                "the published policy cannot be used",
                "bailiwick policy check says why",
            )
        })?;
        // Permits among these do not count, and forbids deny what they might reach.
        for flaw in bundle.broken() {
            tracing::warn!(?flaw, "a policy does not fit the registry as it is");
        }
        let compiled = Arc::new(Compiled {
            version: now,
            registry,
            bundle,
        });
        self.compiled.store(Some(Arc::clone(&compiled)));
        Ok(compiled)
    }

    fn fitting(&self, version: Digest, registry: u64) -> Option<Arc<Compiled>> {
        self.compiled
            .load_full()
            .filter(|compiled| compiled.version == version && compiled.registry == registry)
    }
}
