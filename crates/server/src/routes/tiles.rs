//! The log as static files, in the layout of C2SP tlog-tiles: the checkpoint for everybody, tiles and bundles for who may read the record.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bailiwick_control::Operation;
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

/// The newest published checkpoint, with the cosignatures there are.
#[utoipa::path(get, path = "/log/{node}/checkpoint", operation_id = "log.checkpoint", tag = "log", params(("node" = String, Path)),
    responses((status = 200, description = "a C2SP signed note", body = String, content_type = "text/plain")))]
async fn checkpoint(
    State(app): State<Arc<App>>,
    At(node): At<String>,
) -> Result<Response, Refused> {
    this_node(&app, &node)?;
    let directory = app.log.directory();
    let found = blocking(move || directory.checkpoint()).await?;
    let found = found.map_err(|error| Refused(error.problem()))?;
    let found = found.ok_or_else(nothing)?;
    let kind = (
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    Ok(([kind], app.witnesses.dressed(found)).into_response())
}

/// A tile or an entry bundle, full or partial.
#[utoipa::path(get, path = "/log/{node}/tile/{*path}", operation_id = "log.tile", tag = "log",
    params(("node" = String, Path), ("path" = String, Path)),
    responses((status = 200, description = "its bytes", body = String, content_type = "application/octet-stream")))]
async fn tile(
    State(app): State<Arc<App>>,
    At((node, path)): At<(String, String)>,
) -> Result<Response, Refused> {
    this_node(&app, &node)?;
    let name = PathBuf::from("tile").join(tile_name(&path).ok_or_else(nothing)?);
    let file = app.log.directory().path().join(name);
    let read = blocking(move || std::fs::read(file)).await?;
    match read {
        Ok(bytes) => {
            let kind = (
                CONTENT_TYPE,
                HeaderValue::from_static("application/octet-stream"),
            );
            // A tile never changes.
            let keep = (
                CACHE_CONTROL,
                HeaderValue::from_static("private, max-age=31536000, immutable"),
            );
            Ok(([kind, keep], bytes).into_response())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(nothing()),
        Err(error) => Err(Refused::new(
            Code::LogUnverifiable,
            format!("the tile cannot be read: {error}"),
            "",
        )),
    }
}

/// `<L>/<N>[.p/<W>]` as tlog-tiles writes it, and nothing that could name another file.
fn tile_name(path: &str) -> Option<&str> {
    let (level, rest) = path.split_once('/')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (number, width) = match rest.split_once(".p/") {
        Some((number, width)) => (number, Some(width)),
        None => (rest, None),
    };
    let mut groups = number.split('/').rev();
    let last = groups.next()?;
    let named = (level == "entries" || digits(level) && level.len() <= 2)
        && digits(last)
        && last.len() == 3
        && groups.all(|group| {
            group
                .strip_prefix('x')
                .is_some_and(|group| digits(group) && group.len() == 3)
        })
        && width.is_none_or(|width| digits(width) && width.len() <= 3);
    named.then_some(path)
}

fn this_node(app: &App, node: &str) -> Result<(), Refused> {
    if app.node.as_str() == node {
        Ok(())
    } else {
        Err(nothing())
    }
}

fn nothing() -> Refused {
    Refused::new(
        Code::NotFound,
        "there is no such file of this log",
        "tiles are named as in C2SP tlog-tiles, and `checkpoint` says the size",
    )
}

#[cfg(test)]
mod tests {
    use super::tile_name;

    #[test]
    fn tiles_are_named_and_nothing_else() {
        for good in [
            "0/000",
            "0/x001/x234/067",
            "entries/000.p/17",
            "1/x001/000.p/255",
        ] {
            assert_eq!(tile_name(good), Some(good));
        }
        for bad in [
            "",
            "0",
            "0/",
            "0/00",
            "0/0000",
            "../state.json",
            "0/../../state.json",
            "0/x001",
            "0//000",
            "entries/000.p/",
            "entries/000.p/1/2",
            "0/000/../../../keys/000",
            "0/000.p/../x",
            "x/000",
            "000/000",
            "0/%2e%2e/000",
        ] {
            assert_eq!(tile_name(bad), None, "{bad}");
        }
    }
}
