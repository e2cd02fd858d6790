//! Items that have taken labels, and taking one off.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_control::labels::{Declassify, item_key};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::item::{Item, ItemKey};
use bailiwick_core::label::Label;
use bailiwick_core::name::{ItemKind, ServerName};
use bailiwick_core::{Code, Digest, Problem};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{OfServer, Page};
use crate::app::App;
use crate::http::{Body, Query, Refused, guarded};

/// Which item.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemBody {
    /// The server that keeps it.
    #[schema(value_type = String)]
    server: ServerName,
    /// What sort of thing it is, as bindings say; `server` for all of the server.
    #[schema(value_type = String)]
    kind: ItemKind,
    /// Its name: one part, or as many as its binding has; none for `server`.
    #[serde(default)]
    name: Vec<String>,
    /// Its id as lists show it, if its name is not known.
    #[schema(value_type = Option<String>)]
    id: Option<Digest>,
}

/// A label to take off.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeclassifyBody {
    /// The item.
    item: ItemBody,
    /// The label.
    #[schema(value_type = String)]
    label: Label,
    /// SHA-256 of what was looked at: `sha256:` and 64 hexadecimal digits.
    #[schema(value_type = String)]
    seen: Digest,
    /// Why; at most 1,024 bytes.
    reason: String,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::Read, routes!(list)))
        .merge(guarded(app, Operation::Declassify, routes!(find)))
        .merge(guarded(app, Operation::Declassify, routes!(declassify)))
}

/// Items that have taken labels, by key.
#[utoipa::path(get, path = "/v1/items", operation_id = "items.list", tag = "items", params(OfServer),
    responses((status = 200, description = "{items: [Item], next}", body = Object)))]
async fn list(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Query(of): Query<OfServer>,
) -> Result<Json<Page<Item>>, Refused> {
    let (server, paging) = of.parts();
    let items = app.control.items(&actor, server).await?;
    let page = Page::part(items, &paging, |item| item.key.to_string());
    Ok(Json(page))
}

/// One item, by its name. Names stand in no URL.
#[utoipa::path(post, path = "/v1/items/find", operation_id = "items.find", tag = "items", request_body = ItemBody,
    responses((status = 200, description = "Item", body = Object)))]
async fn find(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<ItemBody>,
) -> Result<Json<Item>, Refused> {
    Ok(Json(app.control.item(&actor, body.key()?).await?))
}

/// Takes a label off an item. What has read it keeps the label.
#[utoipa::path(post, path = "/v1/items/declassify", operation_id = "items.declassify", tag = "items",
    request_body = DeclassifyBody, responses((status = 200, description = "Item", body = Object)))]
async fn declassify(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<DeclassifyBody>,
) -> Result<Json<Item>, Refused> {
    let wish = Declassify {
        key: body.item.key()?,
        label: body.label,
        seen: body.seen,
        reason: body.reason,
    };
    Ok(Json(app.control.declassify(&actor, wish).await?))
}

impl ItemBody {
    fn key(self) -> Result<ItemKey, Problem> {
        match (self.id, self.name.is_empty()) {
            (Some(id), true) => Ok(ItemKey {
                server: self.server,
                kind: self.kind,
                id,
            }),
            (None, _) => Ok(item_key(self.server, self.kind, &self.name)),
            (Some(_), false) => Err(Problem::new(
                Code::InvalidInput,
                "an item is named or told by its id, not both",
                "",
            )),
        }
    }
}
