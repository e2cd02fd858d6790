//! The files of this node's log as C2SP tlog-tiles has them, so that monitors and verifiers of other people can read it. The checkpoint is
//! public; tiles hold the leaves and are for whoever may read the record.

use std::io::ErrorKind;
use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use bailiwick_audit::tile::Tile;
use bailiwick_control::{Actor, Operation};
use bailiwick_core::{Code, Fault};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::audit::blocking;
use crate::app::App;
use crate::http::{At, Refused, guarded};

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(checkpoint))
        .merge(guarded(app, Operation::Read, routes!(tile)))
}

/// The newest checkpoint, with the cosignatures there are: a C2SP signed note.
#[utoipa::path(get, path = "/log/{node}/checkpoint", operation_id = "log.checkpoint", tag = "audit",
    params(("node" = String, Path)),
    responses((status = 200, description = "the checkpoint", body = String, content_type = "text/plain")))]
async fn checkpoint(
    State(app): State<Arc<App>>,
    At(node): At<String>,
) -> Result<impl IntoResponse, Refused> {
    ours(&app, &node)?;
    let directory = app.log.directory();
    let signed = blocking(move || directory.checkpoint()).await?;
    let signed = signed.map_err(|error| Refused(error.problem()))?;
    let signed = signed.ok_or_else(|| Refused::new(Code::NotFound, "nothing is signed yet", ""))?;
    let kind = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((kind, app.witnesses.dressed(signed)))
}

/// A tile or entry bundle: `<level>/<N>`, `entries/<N>`, with `.p/<width>` where it is partial.
#[utoipa::path(get, path = "/log/{node}/tile/{*path}", operation_id = "log.tile", tag = "audit",
    params(("node" = String, Path), ("path" = String, Path)),
    responses((status = 200, description = "the tile", body = String, content_type = "application/octet-stream")))]
async fn tile(
    State(app): State<Arc<App>>,
    Extension(_reader): Extension<Actor>,
    At((node, path)): At<(String, String)>,
) -> Result<impl IntoResponse, Refused> {
    ours(&app, &node)?;
    let absent = || Refused::new(Code::NotFound, "the log has no such tile", "");
    // Only what a tile is called is looked up, under the name that we give it.
    let tile = Tile::parse(&format!("tile/{path}")).ok_or_else(absent)?;
    let file = app.log.directory().path().join(tile.path());
    let bytes = blocking(move || std::fs::read(file)).await?;
    match bytes {
        Ok(bytes) => Ok(([(CONTENT_TYPE, "application/octet-stream")], bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(absent()),
        Err(error) => Err(Refused::new(
            Code::LogUnverifiable,
            format!("the tile cannot be read: {error}"),
            "check the node's data disk",
        )),
    }
}

fn ours(app: &App, node: &str) -> Result<(), Refused> {
    if node == app.node.as_str() {
        return Ok(());
    }
    Err(Refused::new(
        Code::NotFound,
        "this node has no log of that node",
        "GET /v1/audit/logs lists what it has",
    ))
}
