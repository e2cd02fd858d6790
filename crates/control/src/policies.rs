//! Policy bundles: checked against the registry as it is, published, brought back, looked at (03).

mod compare;
mod explain;
mod past;
mod publish;
mod published;
mod replay;
mod rightsize;
mod rollout;
mod version;
mod walk;

use bailiwick_core::{Code, Digest, Fault, Problem};
use bailiwick_crypto::hash::sha256;
use bailiwick_policy::{Bundle, BundleSource, Flaw, Registry, Report, Workflow};
use bailiwick_store::{PolicyVersion, StoreError};

pub use compare::{BundleRef, Compared};
pub use explain::{Explained, Grounds};
pub use publish::{Expected, PublishError, RolledBack};
pub use published::Publications;
pub use replay::Replayed;
pub use rightsize::{GuardFile, Proof, RightSized, RightSizing};
pub use rollout::{Proven, Shown};
pub use version::VersionRef;
pub use walk::{MAX_DECISIONS, MAX_TIME, Window};

use crate::{Actor, Control, Operation};

/// How a bundle would fare if it were published now.
#[derive(Debug, Clone)]
pub struct Checked {
    /// SHA-256 of its canonical form.
    pub digest: Digest,
    /// What is wrong with it; empty if it may be published.
    pub flaws: Vec<Flaw>,
    /// What is doubtful about it; only if nothing is wrong.
    pub warnings: Vec<Flaw>,
    /// Its tests, unless it does not compile.
    pub report: Option<Report>,
}

impl Control {
    /// Validates a bundle against the registry and runs its tests. Publishes nothing.
    pub async fn check_policy(
        &self,
        actor: &Actor,
        source: BundleSource,
    ) -> Result<Checked, Problem> {
        actor.may(Operation::WritePolicy)?;
        self.checked(source).await
    }

    async fn checked(&self, source: BundleSource) -> Result<Checked, Problem> {
        let registry = self.registry().await?;
        let digest = sha256(&[&source.canonical()]);
        let checked = tokio::task::spawn_blocking(move || {
            let compiled = Bundle::compile(&source, digest, &registry);
            let warnings = compiled.map(|bundle| bundle.warnings().to_vec());
            let tested = warnings
                .and_then(|warnings| Ok((warnings, Bundle::run_tests(&source, &registry)?)));
            match tested {
                Ok((warnings, report)) => Checked {
                    digest,
                    flaws: Vec::new(),
                    warnings,
                    report: Some(report),
                },
                Err(errors) => Checked {
                    digest,
                    flaws: errors.flaws,
                    warnings: Vec::new(),
                    report: None,
                },
            }
        });
        checked
            .await
            .map_err(|_| Problem::new(Code::Internal, "the check of a policy bundle stopped", ""))
    }

    /// The active bundle's version; none while none is published, when everything is denied.
    pub async fn active_policy(&self, actor: &Actor) -> Result<Option<PolicyVersion>, Problem> {
        actor.may(Operation::Read)?;
        self.parts
            .store
            .read(|rows| rows.active_policy())
            .await
            .map_err(|error: StoreError| error.problem())
    }

    /// Published versions, newest first.
    pub async fn policy_history(
        &self,
        actor: &Actor,
        limit: usize,
    ) -> Result<Vec<PolicyVersion>, Problem> {
        actor.may(Operation::Read)?;
        let history = self
            .parts
            .store
            .read(move |rows| rows.policy_history(limit))
            .await;
        history.map_err(|error: StoreError| error.problem())
    }

    /// The schema that policies are validated against, with the groups of the active bundle.
    pub async fn policy_schema(&self, actor: &Actor) -> Result<serde_json::Value, Problem> {
        actor.may(Operation::Read)?;
        let source = match self.active_policy(actor).await? {
            Some(active) => self.parts.publications.active(active.digest).await?,
            None => BundleSource::default(),
        };
        Ok(Bundle::schema_json(&self.registry().await?, &source))
    }

    /// The text of a published bundle, and its digest.
    pub async fn policy_source(
        &self,
        actor: &Actor,
        version: VersionRef,
    ) -> Result<(Digest, BundleSource), Problem> {
        actor.may(Operation::Read)?;
        let digest = self.digest_of(version).await?;
        Ok((digest, self.bundle_source(digest).await?))
    }

    /// The text of a bundle that was published or tried, as its digest says.
    pub async fn bundle_source(&self, digest: Digest) -> Result<BundleSource, Problem> {
        self.parts.publications.text(digest).await
    }

    /// Workflows of the active bundle; the default one alone while none is published.
    pub(crate) async fn workflows(&self) -> Result<Vec<Workflow>, Problem> {
        let active = self.parts.store.read(|rows| rows.active_policy()).await;
        let source = match active.map_err(|error: StoreError| error.problem())? {
            Some(active) => self.parts.publications.active(active.digest).await?,
            None => BundleSource::default(),
        };
        bailiwick_policy::Workflows::read(&source)
            .map(|workflows| workflows.iter().cloned().collect())
            .map_err(|errors| errors.problem())
    }

    async fn registry(&self) -> Result<Registry, Problem> {
        let registry = self.parts.store.read(|rows| {
            Ok::<_, StoreError>(Registry {
                agents: rows.agents()?,
                servers: rows.servers()?,
                tools: {
                    let mut tools = rows.tools(None)?;
                    // What is a prompt, policy knows by the input of its action `prompt`.
                    tools.retain(|tool| !tool.tool.tool.is_prompt());
                    tools
                },
            })
        });
        registry.await.map_err(|error| error.problem())
    }
}
