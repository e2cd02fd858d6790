//! Publishing policy: a bundle goes live only if it validates against the registry as it is and passes its own tests (03).

use std::sync::Arc;

use bailiwick_core::event::{ChangeRef, EventType};
use bailiwick_core::{Code, Digest, Fault, Problem};
use bailiwick_crypto::hash::sha256;
use bailiwick_policy::{Bundle, BundleSource, Flaw, Registry, Report, Workflow};
use bailiwick_store::{PolicyVersion, StoreError};

use crate::{Actor, Control, Operation};

/// How a bundle would fare if it were published now.
#[derive(Debug, Clone)]
pub struct Checked {
    /// SHA-256 of its canonical form.
    pub digest: Digest,
    /// What is wrong with it; empty if it may be published.
    pub flaws: Vec<Flaw>,
    /// Its tests, unless it does not compile.
    pub report: Option<Report>,
}

/// What is compared with the active version before publishing.
pub type Expected = Option<Option<Digest>>;

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
            let tested = compiled.and_then(|_| Bundle::run_tests(&source, &registry));
            match tested {
                Ok(report) => Checked {
                    digest,
                    flaws: Vec::new(),
                    report: Some(report),
                },
                Err(errors) => Checked {
                    digest,
                    flaws: errors.flaws,
                    report: None,
                },
            }
        });
        checked
            .await
            .map_err(|_| Problem::new(Code::Internal, "the check of a policy bundle stopped", ""))
    }

    /// Makes a bundle the active one.
    pub async fn publish_policy(
        &self,
        actor: &Actor,
        source: BundleSource,
        expected: Expected,
    ) -> Result<PolicyVersion, Problem> {
        actor.may(Operation::WritePolicy)?;
        let text = serde_json::to_string(&source).map_err(|error| {
            Problem::new(
                Code::Internal,
                format!("the bundle cannot be kept: {error}"),
                "",
            )
        })?;
        let checked = self.checked(source).await?;
        if let Some(first) = checked.flaws.first() {
            let message = format!(
                "the bundle has {} flaws; the first: {first}",
                checked.flaws.len()
            );
            return Err(Problem::new(
                Code::PolicyInvalid,
                message,
                first.help.clone(),
            ));
        }
        if let Some(case) = checked.report.iter().flat_map(Report::failures).next() {
            let failure = case.failure.clone().unwrap_or_default();
            let message = format!(
                "{}:{}: test `{}` failed: {failure}",
                case.file, case.line, case.name
            );
            return Err(Problem::new(
                Code::PolicyTestFailed,
                message,
                "mend the policy or its test",
            ));
        }
        let event = self.event(EventType::PolicyPublished, actor, "policy.publish");
        let (journal, now, by, digest) = (
            Arc::clone(&self.parts.journal),
            self.now(),
            actor.name.clone(),
            checked.digest,
        );
        let version = self
            .parts
            .store
            .write(move |tx| {
                let active = tx.active_policy()?;
                let version = PolicyVersion {
                    digest,
                    number: active.as_ref().map_or(1, |active| active.number + 1),
                    published_at: now,
                    published_by: by.clone(),
                };
                tx.publish_policy(&version, &text, expected)?;
                let mut event = event.clone();
                event.change = Some(ChangeRef {
                    kind: "policy".to_owned(),
                    id: version.number.to_string(),
                    before: active.map(|active| active.digest.to_string()),
                    after: Some(digest.to_string()),
                });
                journal.push(tx, &event)?;
                Ok::<_, StoreError>(version)
            })
            .await
            .map_err(|error| match error {
                StoreError::VersionConflict { .. } => Problem::new(
                    Code::PolicyConflict,
                    "another bundle was published meanwhile",
                    "look at it (`bailiwick policy show`), then publish again",
                ),
                error => error.problem(),
            })?;
        self.settled().await?;
        Ok(version)
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

    /// The text of a published bundle.
    pub async fn policy_source(
        &self,
        actor: &Actor,
        digest: Digest,
    ) -> Result<BundleSource, Problem> {
        actor.may(Operation::Read)?;
        self.bundle_source(digest).await
    }

    /// The text of a published bundle, for enforcement points.
    pub async fn bundle_source(&self, digest: Digest) -> Result<BundleSource, Problem> {
        let text = self
            .parts
            .store
            .read(move |rows| rows.policy_source(digest))
            .await;
        let text = text
            .map_err(|error: StoreError| error.problem())?
            .ok_or_else(|| {
                Problem::new(
                    Code::NotFound,
                    format!("no bundle {digest} was published"),
                    "`bailiwick policy history`",
                )
            })?;
        serde_json::from_str(&text).map_err(|error| {
            Problem::new(
                Code::Internal,
                format!("bundle {digest} cannot be read: {error}"),
                "",
            )
        })
    }

    /// Workflows of the active bundle; the default one alone while none is published.
    pub(crate) async fn workflows(&self) -> Result<Vec<Workflow>, Problem> {
        let active = self.parts.store.read(|rows| rows.active_policy()).await;
        let source = match active.map_err(|error: StoreError| error.problem())? {
            Some(active) => self.bundle_source(active.digest).await?,
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
                tools: rows.tools(None)?,
            })
        });
        registry.await.map_err(|error| error.problem())
    }
}
