//! Reports about the code that agents run, and what is known of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use bailiwick_control::artefacts::{Added, Artefact};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::Timestamp;
use bailiwick_core::artefact::ArtefactSubject;
use bailiwick_posture::artefact::MAX_DOCUMENT;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Page, Paging, limit_of};
use crate::app::App;
use crate::http::input::{parse, read};
use crate::http::{At, Query, Refused, guarded};

/// When the scan was.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Scanned {
    /// When the scan ended, RFC 3339, if the document does not say; not given: now.
    #[param(value_type = Option<String>)]
    scanned_at: Option<Timestamp>,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::Read, routes!(list)))
        .merge(guarded(app, Operation::Read, routes!(show)))
        .merge(guarded(app, Operation::WriteFindings, routes!(add)))
        .merge(guarded(app, Operation::WriteFindings, routes!(remove)))
}

/// Subjects that there are reports about, in order, with what is known of each.
#[utoipa::path(get, path = "/v1/artefacts", operation_id = "artefacts.list", tag = "posture", params(Paging),
    responses((status = 200, description = "{items: [{subject, evidence, reports, built}], next}", body = Object)))]
async fn list(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Artefact>>, Refused> {
    let limit = limit_of(paging.limit);
    let after = paging.after.as_deref();
    let after = after.map(|after| parse("after", after)).transpose()?;
    let items = app.control.artefacts(&actor, after, limit).await?;
    let last = items.last().filter(|_| items.len() == limit);
    let next = last.map(|last| last.subject.to_string());
    Ok(Json(Page { items, next }))
}

/// What is known of one subject: `sha256:` and the digest of an executable, or `git:` and a commit.
#[utoipa::path(get, path = "/v1/artefacts/{subject}", operation_id = "artefacts.show", tag = "posture", params(("subject" = String, Path)),
    responses((status = 200, description = "{subject, evidence: {provenance, scanned_at, open, sbom}, reports, built}", body = Object)))]
async fn show(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(subject): At<ArtefactSubject>,
) -> Result<Json<Artefact>, Refused> {
    Ok(Json(app.control.artefact(&actor, subject).await?))
}

/// Takes a report about a subject: SARIF 2.1.0, CycloneDX, SPDX, or an in-toto statement of one of them or of SLSA provenance, in a DSSE envelope or not.
/// The body is the document as its tool wrote it, at most 16 MiB. It replaces an older one of the same tool and signer; the document itself is not kept.
#[utoipa::path(put, path = "/v1/artefacts/{subject}", operation_id = "artefacts.add", tag = "posture",
    params(("subject" = String, Path), Scanned),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, description = "{subject, evidence, reports, built, unsigned}", body = Object)))]
async fn add(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(subject): At<ArtefactSubject>,
    Query(scanned): Query<Scanned>,
    request: Request,
) -> Result<Json<Added>, Refused> {
    let document = read(request, MAX_DOCUMENT).await?.to_vec();
    let added = app
        .control
        .add_artefact(&actor, subject, document, scanned.scanned_at);
    Ok(Json(added.await?))
}

/// Forgets all reports about a subject.
#[utoipa::path(delete, path = "/v1/artefacts/{subject}", operation_id = "artefacts.remove", tag = "posture", params(("subject" = String, Path)),
    responses((status = 204)))]
async fn remove(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(subject): At<ArtefactSubject>,
) -> Result<StatusCode, Refused> {
    app.control.remove_artefact(&actor, subject).await?;
    Ok(StatusCode::NO_CONTENT)
}
