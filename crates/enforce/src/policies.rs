//! The compiled policy bundle, compiled anew when the policy, an agent, a server or a tool changed, and never for each decision.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use bailiwick_core::{Code, Digest, Fault, Problem};
use bailiwick_policy::{Bundle, BundleSource, starter};
use tokio::sync::Mutex;

use crate::ports::PolicySource;
use crate::replica::{Replica, State};

/// Compiles the active bundle on demand.
pub struct Policies {
    source: Arc<dyn PolicySource>,
    compiled: ArcSwapOption<Compiled>,
    /// Held while compiling, so that many callers wait for one compilation; keeps the text of the newest bundle.
    text: Mutex<Option<(Digest, BundleSource)>>,
    tried: Arc<Slot>,
}

/// The bundle that is tried beside the active one. It is compiled apart, so that no call waits for it.
#[derive(Default)]
struct Slot {
    compiled: ArcSwapOption<Compiled>,
    /// Whether a task compiles it now, or could not.
    busy: AtomicBool,
}

/// A bundle with what it was compiled from.
pub struct Compiled {
    /// Its version.
    pub version: Digest,
    /// Generation of the registry ([`crate::replica::State::policy`]).
    pub registry: u64,
    /// The bundle.
    pub bundle: Arc<Bundle>,
}

impl Policies {
    /// Nothing is compiled before it is asked for.
    pub fn new(source: Arc<dyn PolicySource>) -> Self {
        Self {
            source,
            compiled: ArcSwapOption::empty(),
            text: Mutex::new(None),
            tried: Arc::default(),
        }
    }

    /// The bundle that is tried, for this generation of the registry; none while it is compiled, which the first call that misses it sets
    /// off.
    pub fn tried(
        &self,
        replica: &Replica,
        version: Digest,
        registry: u64,
    ) -> Option<Arc<Compiled>> {
        let ready = self.tried.compiled.load_full();
        let ready = ready.filter(|ready| ready.version == version && ready.registry == registry);
        if ready.is_some() || self.tried.busy.swap(true, Ordering::AcqRel) {
            return ready;
        }
        let (slot, source) = (Arc::clone(&self.tried), Arc::clone(&self.source));
        let parts = replica.view(|state| (state.policy().1, state.registry()));
        tokio::spawn(async move {
            if let Ok((registry, parts)) = parts
                && let Ok(source) = source.tried(version).await
            {
                let compiled = tokio::task::spawn_blocking(move || {
                    Bundle::compile_lenient(&source, version, &parts)
                });
                if let Ok(Ok(bundle)) = compiled.await {
                    slot.compiled.store(Some(Arc::new(Compiled {
                        version,
                        registry,
                        bundle: Arc::new(bundle),
                    })));
                }
            }
            slot.busy.store(false, Ordering::Release);
        });
        None
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
            _ => self.source.active(now).await?,
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
            bundle: Arc::new(bundle),
        });
        self.compiled.store(Some(Arc::clone(&compiled)));
        Ok(compiled)
    }

    /// The bundle that decides what is no tool call, such as the opening of a task: the same; while nothing is published, one that
    /// permits no tool.
    pub async fn for_acts(&self, replica: &Replica) -> Result<Arc<Bundle>, Problem> {
        let view = replica.view(|state| (state.policy().0, state.registry()));
        let (published, registry) = view.map_err(|behind| behind.problem())?;
        if published.is_some() {
            return Ok(Arc::clone(&self.current(replica).await?.bundle));
        }
        let bundle = tokio::task::spawn_blocking(move || {
            Bundle::compile_lenient(&starter::none(), Digest([0; 32]), &registry)
        });
        match bundle.await {
            Ok(Ok(bundle)) => Ok(Arc::new(bundle)),
            Ok(Err(_)) | Err(_) => Err(Problem::new(
                Code::Internal,
                "compiling the policy failed",
                "",
            )),
        }
    }

    fn fitting(&self, version: Digest, registry: u64) -> Option<Arc<Compiled>> {
        self.compiled
            .load_full()
            .filter(|compiled| compiled.version == version && compiled.registry == registry)
    }
}
