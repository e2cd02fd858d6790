//! The keys that sign SVIDs, task tokens, receipts and heads of the feed.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use bailiwick_control::{Actor, Operation};
use bailiwick_core::{Code, Fault, Timestamp};
use bailiwick_identity::keyring::{CLASSES, How, Order, Standing};
use bailiwick_store::KeyClass;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Page, Paging};
use crate::app::App;
use crate::http::{At, Body, Query, Refused, guarded};

/// Which key to replace.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotationBody {
    /// `x509`, `jwt_svid`, `task`, `receipt` or `head`.
    class: String,
    /// Whether the new key signs at once, and not only when everybody could learn it.
    #[serde(default)]
    now: bool,
}

/// A key.
#[derive(Debug, Serialize)]
struct KeyAnswer {
    kid: String,
    class: &'static str,
    /// `prepared`, `active`, `old` or `tainted`.
    state: &'static str,
    made_at: Timestamp,
    /// When it signs, if it does not yet.
    signs_from: Option<Timestamp>,
    /// Until when others accept it, if that has an end.
    accepted_until: Option<Timestamp>,
}

impl From<Standing> for KeyAnswer {
    fn from(key: Standing) -> Self {
        Self {
            kid: key.kid,
            class: key.class.as_str(),
            state: key.state.as_str(),
            made_at: key.made_at,
            signs_from: key.signs_from,
            accepted_until: key.accepted_until,
        }
    }
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::Read, routes!(list)))
        .merge(guarded(app, Operation::RotateKeys, routes!(rotate)))
        .merge(guarded(app, Operation::RotateKeys, routes!(taint)))
}

/// The keys by class, newest first. Private parts are never shown.
#[utoipa::path(get, path = "/v1/keys", operation_id = "keys.list", tag = "keys", params(Paging),
    responses((status = 200, description = "{items: [{kid, class, state, made_at, signs_from, accepted_until}], next}", body = Object)))]
async fn list(
    State(app): State<Arc<App>>,
    Extension(_reader): Extension<Actor>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<KeyAnswer>>, Refused> {
    let keys = standings(&app).await?;
    Ok(Json(Page::part(keys, &paging, |key: &KeyAnswer| {
        key.kid.clone()
    })))
}

/// Has a key replaced: a new one is published, and signs when everybody could learn it, or at once.
#[utoipa::path(post, path = "/v1/keys", operation_id = "keys.rotate", tag = "keys", request_body = RotationBody,
    responses((status = 201, description = "the keys of the class, as by keys.list", body = Object)))]
async fn rotate(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<RotationBody>,
) -> Result<(StatusCode, Json<Page<KeyAnswer>>), Refused> {
    let class = class_of(&body.class)?;
    let how = if body.now {
        How::Now(class)
    } else {
        How::Prepare(class)
    };
    order(&app, how, &actor).await?;
    let mut keys = standings(&app).await?;
    keys.retain(|key| key.class == class.as_str());
    Ok((StatusCode::CREATED, Json(Page::whole(keys))))
}

/// Takes a key back: nothing that it signed is accepted any more. If it signs, another does at once.
#[utoipa::path(post, path = "/v1/keys/{id}/taint", operation_id = "keys.taint", tag = "keys",
    params(("id" = String, Path)), responses((status = 204, description = "in effect, and on record")))]
async fn taint(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(kid): At<String>,
) -> Result<StatusCode, Refused> {
    order(&app, How::Taint(kid), &actor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// In a task of its own: a client that goes away does not leave half of it waiting for the next look.
async fn order(app: &Arc<App>, how: How, actor: &Actor) -> Result<(), Refused> {
    let (authority, actor) = (Arc::clone(&app.authority), actor.on_record());
    let work = tokio::spawn(async move { authority.order_keys(Order { how, actor }).await });
    let done = work.await;
    let done =
        done.map_err(|error| Refused::new(Code::Internal, format!("it stopped: {error}"), ""))?;
    done.map_err(|error| Refused(error.problem()))
}

async fn standings(app: &App) -> Result<Vec<KeyAnswer>, Refused> {
    let keys = app.authority.key_standings().await;
    let keys = keys.map_err(|error| Refused(error.problem()))?;
    Ok(keys.into_iter().map(KeyAnswer::from).collect())
}

fn class_of(name: &str) -> Result<KeyClass, Refused> {
    let class = CLASSES.into_iter().find(|class| class.as_str() == name);
    class.ok_or_else(|| {
        let known: Vec<&str> = CLASSES.into_iter().map(KeyClass::as_str).collect();
        Refused::new(
            Code::InvalidInput,
            format!("there is no class of keys `{name}`"),
            format!(
                "one of {}; the key of the log is replaced with `bailiwick audit rotate-key`",
                known.join(", ")
            ),
        )
    })
}
