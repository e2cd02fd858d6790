//! Making a bundle the active one: a new text, which must be without flaw and pass its own tests, or an older version brought back.

use std::sync::Arc;

use bailiwick_core::event::{ChangeRef, Event, EventType};
use bailiwick_core::{Code, Digest, Fault, Problem};
use bailiwick_policy::{Bundle, BundleSource, Flaw, FlawCode, Report};
use bailiwick_store::{MAX_PAGE, PolicyVersion, StoreError};

use super::{Checked, VersionRef};
use crate::tools::Refusal;
use crate::{Actor, Control, Operation};

/// What is compared with the active version before publishing.
pub type Expected = Option<Option<Digest>>;

/// Why a bundle was not published.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PublishError {
    /// It has flaws, or its tests fail: all of them, each at its place.
    #[error("{problem}")]
    Flawed {
        /// The first of them.
        problem: Problem,
        /// All of them.
        flaws: Vec<Flaw>,
    },
    /// Anything else.
    #[error(transparent)]
    Refused(#[from] Problem),
}

impl Fault for PublishError {
    fn code(&self) -> Code {
        match self {
            Self::Flawed { problem, .. } | Self::Refused(problem) => problem.code,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Flawed { problem, .. } | Self::Refused(problem) => problem.help.clone(),
        }
    }
}

/// An older version that is active again.
#[derive(Debug, Clone)]
pub struct RolledBack {
    /// The publication.
    pub version: PolicyVersion,
    /// What no longer fits the registry as it is. Those permits do not count, and those forbids deny what they might reach.
    pub broken: Vec<Flaw>,
}

impl Control {
    /// Makes a bundle the active one.
    pub async fn publish_policy(
        &self,
        actor: &Actor,
        source: BundleSource,
        expected: Expected,
    ) -> Result<PolicyVersion, PublishError> {
        actor.may(Operation::WritePolicy)?;
        let text = stored(&source)?;
        let canonical = source.canonical();
        let checked = self.checked(source).await?;
        refuse_flawed(&checked)?;
        // Its text is there before the event that names it.
        let blobs = self.parts.blobs.clone();
        let kept = tokio::task::spawn_blocking(move || blobs.keep(&canonical));
        let kept = kept
            .await
            .map_err(|_| Problem::new(Code::Internal, "keeping the bundle stopped", ""))?;
        kept.map_err(|error| error.problem())?;
        let event = self.event(EventType::PolicyPublished, actor, "policy.publish");
        let published = self.activate(actor, event, (checked.digest, text), expected, None);
        Ok(published.await?)
    }

    /// Makes an older version the active one again: the given one, or the one before the active. It was without flaw when it was
    /// published; what of it does not fit the registry any more is said, and narrows. Its tests are not run again: they do not stand
    /// between an incident and the policy that was there before it.
    pub async fn roll_policy_back(
        &self,
        actor: &Actor,
        to: Option<VersionRef>,
        expected: Option<Digest>,
    ) -> Result<RolledBack, Problem> {
        actor.may(Operation::WritePolicy)?;
        let active = self.parts.store.read(|rows| rows.active_policy()).await;
        let active = active
            .map_err(|error: StoreError| error.problem())?
            .ok_or_else(|| nothing_before("no policy was published yet"))?;
        let target = match to {
            Some(version) => self.published(version).await?,
            None => self.before(&active).await?,
        };
        if target.digest == active.digest {
            let message = format!("the text of version {} is active already", target.number);
            return Err(Problem::new(
                Code::AlreadyExists,
                message,
                "bailiwick policy history",
            ));
        }
        let source = self.bundle_source(target.digest).await?;
        let (text, registry) = (stored(&source)?, self.registry().await?);
        let broken = tokio::task::spawn_blocking(move || {
            Bundle::compile_lenient(&source, target.digest, &registry)
                .map(|bundle| bundle.broken().to_vec())
                .map_err(|errors| errors.problem())
        });
        let broken = broken
            .await
            .map_err(|_| Problem::new(Code::Internal, "reading an older bundle stopped", ""))??;
        let event = self.event(EventType::PolicyRolledBack, actor, "policy.rollback");
        // What was looked at to find the older version is what must still be active.
        let expected = Some(Some(expected.unwrap_or(active.digest)));
        let bundle = (target.digest, text);
        let version = self
            .activate(actor, event, bundle, expected, Some(target.number))
            .await?;
        Ok(RolledBack { version, broken })
    }

    async fn activate(
        &self,
        actor: &Actor,
        event: Event,
        (digest, text): (Digest, String),
        expected: Expected,
        restores: Option<u64>,
    ) -> Result<PolicyVersion, Problem> {
        let (journal, now, by) = (
            Arc::clone(&self.parts.journal),
            self.now(),
            actor.name.clone(),
        );
        let publications = self.parts.publications.clone();
        let altered = publications.text(digest).await;
        let altered = altered.is_err_and(|problem| problem.code == Code::PolicyTampered);
        let version = self.parts.store.write(move |tx| {
            let active = tx.active_policy()?;
            let version = PolicyVersion {
                digest,
                number: active.as_ref().map_or(1, |active| active.number + 1),
                published_at: now,
                published_by: by.clone(),
                restores,
                signature: None,
            };
            let version = publications.signed(version)?;
            if altered {
                tx.mend_policy_source(digest, &text)?;
            }
            tx.publish_policy(&version, &text, expected)?;
            let mut event = event.clone();
            event.change = Some(ChangeRef {
                kind: "policy".to_owned(),
                id: version.number.to_string(),
                before: active.map(|active| active.digest.to_string()),
                after: Some(digest.to_string()),
            });
            journal.push(tx, &event)?;
            Ok::<_, Refusal>(version)
        });
        let version = version.await.map_err(|error| match error {
            Refusal::Store(StoreError::VersionConflict { .. }) => Problem::new(
                Code::PolicyConflict,
                "another bundle was published meanwhile",
                "look at it (`bailiwick policy show`), then publish again",
            ),
            error => error.problem(),
        })?;
        self.settled().await?;
        Ok(version)
    }

    /// The publication of a version; of a digest the newest.
    async fn published(&self, version: VersionRef) -> Result<PolicyVersion, Problem> {
        let row = self.parts.store.read(move |rows| {
            let row = match version {
                VersionRef::Active => rows.active_policy()?,
                VersionRef::Number(number) => rows.policy_version(number)?,
                VersionRef::Digest(digest) => rows
                    .policy_history(MAX_PAGE)?
                    .into_iter()
                    .find(|row| row.digest == digest),
            };
            Ok::<_, StoreError>(row)
        });
        row.await
            .map_err(|error| error.problem())?
            .ok_or_else(|| nothing_before(&format!("no version {version} was published")))
    }

    /// The version that was active before this one, seen as people do: what was brought back counts as what it was.
    async fn before(&self, active: &PolicyVersion) -> Result<PolicyVersion, Problem> {
        let (below, digest) = (active.restores.unwrap_or(active.number), active.digest);
        let row = self.parts.store.read(move |rows| {
            for number in (1..below).rev() {
                let row = rows.policy_version(number)?;
                if let Some(row) = row.filter(|row| row.digest != digest) {
                    return Ok(Some(row));
                }
            }
            Ok::<_, StoreError>(None)
        });
        row.await
            .map_err(|error| error.problem())?
            .ok_or_else(|| nothing_before("there is no version before the active one"))
    }
}

fn nothing_before(message: &str) -> Problem {
    Problem::new(
        Code::NotFound,
        message,
        "bailiwick policy history shows what there is",
    )
}

pub(super) fn stored(source: &BundleSource) -> Result<String, Problem> {
    serde_json::to_string(source).map_err(|error| {
        Problem::new(
            Code::Internal,
            format!("the bundle cannot be kept: {error}"),
            "",
        )
    })
}

pub(super) fn refuse_flawed(checked: &Checked) -> Result<(), PublishError> {
    if let Some(first) = checked.flaws.first() {
        let message = match checked.flaws.len() {
            1 => first.to_string(),
            many => format!("the bundle has {many} flaws; the first: {first}"),
        };
        return Err(PublishError::Flawed {
            problem: Problem::new(Code::PolicyInvalid, message, first.help.clone()),
            flaws: checked.flaws.clone(),
        });
    }
    let failures = checked.report.iter().flat_map(Report::failures);
    let failures: Vec<Flaw> = failures
        .map(|case| Flaw {
            code: FlawCode::Test,
            file: case.file.clone(),
            line: case.line,
            column: 1,
            span: 0..0,
            message: format!(
                "test `{}` failed: {}",
                case.name,
                case.failure.clone().unwrap_or_default()
            ),
            help: "mend the policy or its test".to_owned(),
        })
        .collect();
    let Some(first) = failures.first() else {
        return Ok(());
    };
    Err(PublishError::Flawed {
        problem: Problem::new(
            Code::PolicyTestFailed,
            first.to_string(),
            first.help.clone(),
        ),
        flaws: failures,
    })
}
