//! Secrets that leases are made from: written here, never readable.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use bailiwick_control::{Actor, Operation};
use bailiwick_core::name::CredentialName;
use bailiwick_core::{Secret, Timestamp};
use bailiwick_store::SecretName;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Page, Paging};
use crate::app::App;
use crate::http::input::read;
use crate::http::{At, MAX_BODY, Query, Refused, guarded};

/// What may be shown of a secret.
#[derive(Debug, Serialize)]
struct SecretAnswer {
    name: CredentialName,
    version: u64,
    updated_at: Timestamp,
}

impl From<SecretName> for SecretAnswer {
    fn from(secret: SecretName) -> Self {
        Self {
            name: secret.name,
            version: secret.version,
            updated_at: secret.updated_at,
        }
    }
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::Read, routes!(list)))
        .merge(guarded(app, Operation::WriteSecrets, routes!(set)))
        .merge(guarded(app, Operation::WriteSecrets, routes!(remove)))
}

/// Names of the secrets there are.
#[utoipa::path(get, path = "/v1/secrets", operation_id = "secrets.list", tag = "secrets", params(Paging),
    responses((status = 200, description = "{items: [{name, version, updated_at}], next}", body = Object)))]
async fn list(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<SecretAnswer>>, Refused> {
    let secrets = app.control.secrets(&actor).await?;
    let items = secrets.into_iter().map(SecretAnswer::from).collect();
    let page = Page::part(items, &paging, |secret: &SecretAnswer| {
        secret.name.to_string()
    });
    Ok(Json(page))
}

/// Sets or replaces a secret: the body is the value. Leases made from the value before end.
#[utoipa::path(put, path = "/v1/secrets/{name}", operation_id = "secrets.set", tag = "secrets",
    params(("name" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, description = "{name, version, updated_at}", body = Object)))]
async fn set(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(name): At<CredentialName>,
    request: Request,
) -> Result<Json<SecretAnswer>, Refused> {
    let value = Secret::new(read(request, MAX_BODY).await?.to_vec());
    let set = app.control.set_secret(&actor, name, value).await?;
    Ok(Json(set.into()))
}

/// Removes a secret; leases made from it end.
#[utoipa::path(delete, path = "/v1/secrets/{name}", operation_id = "secrets.remove", tag = "secrets",
    params(("name" = String, Path)), responses((status = 204, description = "removed")))]
async fn remove(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(name): At<CredentialName>,
) -> Result<StatusCode, Refused> {
    app.control.remove_secret(&actor, name).await?;
    Ok(StatusCode::NO_CONTENT)
}
