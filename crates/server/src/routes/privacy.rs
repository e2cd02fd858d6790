//! What the record keeps sealed: opened for people who may see it, and erased. Both are on record before they are done.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_audit::erase::{Erasure, Selector};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::event::SealedClass;
use bailiwick_core::id::{EventId, TaskId};
use bailiwick_core::name::UserId;
use bailiwick_core::{Code, Fault};
use bailiwick_store::StoreError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::audit::{blocking, find};
use crate::app::App;
use crate::http::{Body, Refused, guarded};

/// Which event's values to open.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevealBody {
    /// The event.
    #[schema(value_type = String)]
    event: EventId,
    /// Why; it goes on record.
    reason: String,
}

/// Whose values to erase: exactly one of event, task and user.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ErasureBody {
    /// One event.
    #[schema(value_type = Option<String>)]
    event: Option<EventId>,
    /// A task and everything below it.
    #[schema(value_type = Option<String>)]
    task: Option<TaskId>,
    /// A user: `user:<issuer>:<subject>`, or the pseudonym that the record has, `usr_…`.
    user: Option<String>,
    /// The request or rule that it follows from; it goes on record.
    basis: String,
    /// Only say how many events are concerned.
    #[serde(default)]
    dry_run: bool,
}

/// One opened value. Salt, path and value together show others what the leaf commits to.
#[derive(Debug, Serialize)]
struct OpenedValue {
    path: String,
    class: SealedClass,
    salt: String,
    value: String,
}

/// What was opened.
#[derive(Debug, Serialize)]
struct RevealAnswer {
    event: EventId,
    values: Vec<OpenedValue>,
}

/// What was or would be erased.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ErasureAnswer {
    /// Events whose values are gone, or would be.
    count: usize,
    /// Place of the `log.erased` event; none for a dry run.
    index: Option<u64>,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::Reveal, routes!(reveal)))
        .merge(guarded(app, Operation::Erase, routes!(erase)))
}

/// Opens the kept values of one event. Who, which and why are on record first. Salt and value are base64.
#[utoipa::path(post, path = "/v1/audit/reveals", operation_id = "audit.reveal", tag = "audit",
    request_body = RevealBody,
    responses((status = 200, description = "{event, values: [{path, class, salt, value}]}", body = Object)))]
async fn reveal(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<RevealBody>,
) -> Result<Json<RevealAnswer>, Refused> {
    let reason = said("reason", &body.reason)?;
    let index = find(&app, body.event).await?.index;
    let revealed = app.log.reveal(index, &actor.on_record(), reason).await;
    let values = revealed.map_err(|error| Refused(error.problem()))?;
    let values = values
        .into_iter()
        .map(|value| OpenedValue {
            path: value.path,
            class: value.class,
            salt: STANDARD.encode(value.salt.expose()),
            value: STANDARD.encode(value.value.expose()),
        })
        .collect();
    Ok(Json(RevealAnswer {
        event: body.event,
        values,
    }))
}

/// Erases kept values and the keys of their commitments, for good. Leaves, tiles and proofs stay as they are.
#[utoipa::path(post, path = "/v1/audit/erasures", operation_id = "audit.erase", tag = "audit",
    request_body = ErasureBody,
    responses((status = 200, description = "what was erased, or for a dry run would be", body = ErasureAnswer)))]
async fn erase(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<ErasureBody>,
) -> Result<Json<ErasureAnswer>, Refused> {
    let basis = said("basis", &body.basis)?.to_owned();
    let selector = match (body.event, body.task, body.user) {
        (Some(event), None, None) => Selector::Event(event),
        (None, Some(task), None) => Selector::Task(task),
        (None, None, Some(user)) => Selector::User(pseudonym(&app, user).await?),
        _ => {
            return Err(Refused::new(
                Code::InvalidInput,
                "an erasure names exactly one of event, task and user",
                "",
            ));
        }
    };
    if body.dry_run {
        let log = Arc::clone(&app.log);
        let found = blocking(move || log.erasable(&selector)).await?;
        let found = found.map_err(|error| Refused(error.problem()))?;
        return Ok(Json(ErasureAnswer {
            count: found.len(),
            index: None,
        }));
    }
    let log = Arc::clone(&app.log);
    let erasure = Erasure {
        selector,
        basis,
        actor: actor.on_record(),
    };
    // In a task of its own: a client that goes away does not leave half of it waiting for a restart.
    let erased = tokio::spawn(async move { log.erase(erasure).await });
    let erased = erased
        .await
        .map_err(|error| Refused::new(Code::Internal, format!("erasing stopped: {error}"), ""))?
        .map_err(|error| Refused(error.problem()))?;
    Ok(Json(ErasureAnswer {
        count: erased.count,
        index: Some(erased.receipt.index),
    }))
}

/// The pseudonym of a user on record.
async fn pseudonym(app: &App, user: String) -> Result<String, Refused> {
    let Ok(id) = user.parse::<UserId>() else {
        return Ok(user);
    };
    let found = app.store.read(move |rows| rows.pseudonym(&id)).await;
    let found = found.map_err(|error: StoreError| Refused(error.problem()))?;
    found.ok_or_else(|| Refused::new(Code::NotFound, format!("{user} is not on record"), ""))
}

/// Words that go on record, which must not be missing.
pub(super) fn said<'a>(name: &str, words: &'a str) -> Result<&'a str, Refused> {
    let words = words.trim();
    if words.is_empty() {
        return Err(Refused::new(
            Code::InvalidInput,
            format!("`{name}` is empty, and it goes on record"),
            "",
        ));
    }
    Ok(words)
}
