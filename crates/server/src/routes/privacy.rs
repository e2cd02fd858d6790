//! What the record keeps sealed: opened for people who may see it, and erased. Both are on record before they are done.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_audit::erase::{EraseError, Erasure, Selector};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::account::Role;
use bailiwick_core::event::SealedClass;
use bailiwick_core::id::{EventId, TaskId};
use bailiwick_core::name::UserId;
use bailiwick_core::{Code, Fault};
use bailiwick_store::{Spoken, Store, StoreError, Words};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::audit::{blocking, find};
use crate::app::App;
use crate::erasures::Asked;
use crate::http::{At, Body, Refused, guarded};

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

/// What was or would be erased, or who it waits for.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub struct ErasureAnswer {
    /// Events whose values are gone, or would be.
    count: usize,
    /// Ended tasks whose words are gone from the store, or would be.
    tasks: usize,
    /// Tasks that are still open and keep their words.
    open_tasks: usize,
    /// Place of the `log.erased` event; none if nothing was erased yet.
    index: Option<u64>,
    /// Set where a second admin has to confirm: the id to confirm.
    waits: Option<String>,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::Reveal, routes!(reveal)))
        .merge(guarded(app, Operation::Erase, routes!(erase)))
        .merge(guarded(app, Operation::Erase, routes!(confirm)))
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

/// Erases kept values and the keys of their commitments, and the words of ended tasks in the store, for good. Leaves, tiles and proofs stay
/// as they are. Where two or more enabled accounts are admins, this only asks: another of them confirms.
#[utoipa::path(post, path = "/v1/audit/erasures", operation_id = "audit.erase", tag = "audit",
    request_body = ErasureBody,
    responses((status = 200, description = "what was erased, would be, or waits for a second admin", body = ErasureAnswer)))]
async fn erase(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<ErasureBody>,
) -> Result<Json<ErasureAnswer>, Refused> {
    let dry_run = body.dry_run;
    let asked = understand(&app, body, &actor).await?;
    if !dry_run && !takes_two(&app).await? {
        return carry_out(app, asked, actor.on_record(), None).await;
    }
    let spoken = spoken(&app, asked.words.clone()).await?;
    let (log, selector) = (Arc::clone(&app.log), asked.selector.clone());
    let found = blocking(move || log.erasable(&selector)).await?;
    let count = found.map_err(|error| Refused(error.problem()))?.len();
    if count + spoken.ended == 0 {
        return Err(Refused(EraseError::Nothing.problem()));
    }
    let waits = (!dry_run).then(|| app.erasures.put(asked, app.clock.wall(), &*app.rng));
    Ok(Json(ErasureAnswer {
        count,
        tasks: spoken.ended,
        open_tasks: spoken.open,
        index: None,
        waits,
    }))
}

/// Confirms an erasure that another admin asked for within the last day, and carries it out. Takes an account: who has the node's admin
/// socket is no second person.
#[utoipa::path(post, path = "/v1/audit/erasures/{id}/confirm", operation_id = "audit.confirm_erasure", tag = "audit",
    params(("id" = String, Path)),
    responses((status = 200, description = "what was erased", body = ErasureAnswer)))]
async fn confirm(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(id): At<String>,
) -> Result<Json<ErasureAnswer>, Refused> {
    let none = || {
        Refused::new(
            Code::NotFound,
            "no such erasure waits",
            "it waits for a day, and not past a restart",
        )
    };
    let asked = app.erasures.find(&id, app.clock.wall()).ok_or_else(none)?;
    if actor.account.is_none() || actor.on_record() == asked.by {
        return Err(Refused::new(
            Code::NotPermitted,
            "an erasure is confirmed by another admin's account than the one that asked for it",
            "",
        ));
    }
    if !app.erasures.take(&id) {
        return Err(none());
    }
    let by = asked.by.clone();
    carry_out(app, asked, actor.on_record(), Some(by)).await
}

/// What a body asks for.
async fn understand(app: &App, body: ErasureBody, actor: &Actor) -> Result<Asked, Refused> {
    let basis = said("basis", &body.basis)?.to_owned();
    let (selector, words) = match (body.event, body.task, body.user) {
        (Some(event), None, None) => (Selector::Event(event), None),
        (None, Some(task), None) => (Selector::Task(task), Some(Words::Task(task))),
        (None, None, Some(user)) => {
            let (pseudonym, user) = person(app, user).await?;
            let instead = format!("user:erased:{pseudonym}").parse::<UserId>().ok();
            let words = user.zip(instead);
            let words = words.map(|(user, instead)| Words::User { user, instead });
            (Selector::User(pseudonym), words)
        }
        _ => {
            return Err(Refused::new(
                Code::InvalidInput,
                "an erasure names exactly one of event, task and user",
                "",
            ));
        }
    };
    Ok(Asked {
        selector,
        words,
        basis,
        by: actor.on_record(),
    })
}

/// Whether there are two admins who could look at it.
async fn takes_two(app: &App) -> Result<bool, Refused> {
    let accounts = app.store.read(|rows| rows.accounts()).await;
    let accounts = accounts.map_err(|error: StoreError| Refused(error.problem()))?;
    let admins = accounts
        .iter()
        .filter(|account| account.enabled && account.roles.contains(&Role::Admin));
    Ok(admins.count() >= 2)
}

async fn spoken(app: &App, words: Option<Words>) -> Result<Spoken, Refused> {
    let Some(words) = words else {
        return Ok(Spoken::default());
    };
    let found = app.store.read(move |rows| rows.spoken(&words)).await;
    found.map_err(|error: StoreError| Refused(error.problem()))
}

/// First the record with its event, then the store, then what both left in the database's own log.
async fn carry_out(
    app: Arc<App>,
    asked: Asked,
    actor: String,
    asked_by: Option<String>,
) -> Result<Json<ErasureAnswer>, Refused> {
    let spoken = spoken(&app, asked.words.clone()).await?;
    let erasure = Erasure {
        selector: asked.selector,
        basis: asked.basis,
        actor,
        asked_by,
        besides: spoken.ended,
    };
    // In a task of its own: a client that goes away does not leave half of it waiting for a restart.
    let work = tokio::spawn(async move {
        let erased = app.log.erase(erasure).await;
        let erased = erased.map_err(|error| Refused(error.problem()))?;
        if let Some(words) = asked.words {
            let gone = app.store.write(move |tx| tx.erase_words(&words)).await;
            gone.map_err(|error: StoreError| Refused(error.problem()))?;
            fold(&app.store).await?;
        }
        // Whoever hears that it is done can rely on the index too. If this fails, the indexer tries again by itself.
        let index = Arc::clone(&app.index);
        let swept = blocking(move || index.sweep()).await?;
        swept.map_err(|error| Refused(error.problem()))?;
        Ok::<_, Refused>(erased)
    });
    let erased = work
        .await
        .map_err(|error| Refused::new(Code::Internal, format!("erasing stopped: {error}"), ""))??;
    Ok(Json(ErasureAnswer {
        count: erased.count,
        tasks: spoken.ended,
        open_tasks: spoken.open,
        index: Some(erased.receipt.index),
        waits: None,
    }))
}

/// Tries to have the database's write-ahead log forget what is erased; where others keep it busy, its next use overwrites it.
async fn fold(store: &Store) -> Result<(), Refused> {
    for _ in 0..FOLDS {
        let store = store.clone();
        let folded = blocking(move || store.fold()).await?;
        if folded.map_err(|error| Refused(error.problem()))? {
            return Ok(());
        }
    }
    tracing::warn!(
        "what was erased stays in the store's write-ahead log until that is folded: the store is busy"
    );
    Ok(())
}

/// How often that is tried; each waits up to some seconds.
const FOLDS: usize = 3;

/// The pseudonym of a user on record, and the user if known.
async fn person(app: &App, user: String) -> Result<(String, Option<UserId>), Refused> {
    let Ok(id) = user.parse::<UserId>() else {
        let pseudonym = user.clone();
        let found = app
            .store
            .read(move |rows| rows.user_of_pseudonym(&pseudonym))
            .await;
        let found = found.map_err(|error: StoreError| Refused(error.problem()))?;
        return Ok((user, found));
    };
    let named = id.clone();
    let found = app.store.read(move |rows| rows.pseudonym(&named)).await;
    let found = found.map_err(|error: StoreError| Refused(error.problem()))?;
    let found = found
        .ok_or_else(|| Refused::new(Code::NotFound, format!("{user} is not on record"), ""))?;
    Ok((found, Some(id)))
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
