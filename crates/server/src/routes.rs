//! The API: one file per noun. Every operation is in the OpenAPI document, and behind a guard that names the roles it needs.

pub mod accounts;
pub mod agents;
pub mod approvals;
pub mod artefacts;
pub mod attest;
pub mod audit;
pub mod backends;
pub mod blast_radius;
pub mod clients;
pub mod delegations;
pub mod evidence;
pub mod exports;
pub mod feed;
pub mod findings;
pub mod health;
mod holder;
pub mod items;
pub mod join_tokens;
pub mod keys;
pub mod leases;
pub mod live;
pub mod metadata;
pub mod oauth;
pub mod points;
pub mod policy;
pub mod privacy;
pub mod revocations;
pub mod secrets;
pub mod servers;
pub mod sessions;
pub mod tasks;
pub mod tiles;
pub mod timeline;
pub mod tools;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use bailiwick_core::name::ServerName;
use serde::{Deserialize, Serialize};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::console;
use crate::http::outer;

/// Rows of a page if the query does not say.
pub const DEFAULT_LIMIT: usize = 50;
/// Most rows of a page.
pub const MAX_LIMIT: usize = 1_000;

/// A page of a list.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// What to send as `after` for the next page; null at the end.
    pub next: Option<String>,
}

/// Which page of a list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    /// Rows, 1 to 1000; 50 if not given.
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub after: Option<String>,
}

/// Which page of a list of what servers have.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct OfServer {
    /// Only those of this server.
    #[param(value_type = Option<String>)]
    pub server: Option<ServerName>,
    /// Rows, 1 to 1000; 50 if not given.
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub after: Option<String>,
}

impl OfServer {
    /// Of which server, and which page.
    pub fn parts(self) -> (Option<ServerName>, Paging) {
        let paging = Paging {
            limit: self.limit,
            after: self.after,
        };
        (self.server, paging)
    }
}

/// Rows of a page.
pub(crate) fn limit_of(limit: Option<usize>) -> usize {
    limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT)
}

impl<T> Page<T> {
    /// A whole list in one page.
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }

    /// One page of a list that is in the order of its keys.
    pub fn part(items: Vec<T>, paging: &Paging, key: impl Fn(&T) -> String) -> Self {
        let limit = limit_of(paging.limit);
        let behind = |item: &T| match &paging.after {
            Some(after) => key(item) != *after,
            None => false,
        };
        let mut items: Vec<T> = items.into_iter().skip_while(behind).collect();
        if paging.after.is_some() && !items.is_empty() {
            items.remove(0);
        }
        Self::cut(items, limit, key)
    }

    /// A page cut to `limit`; `items` holds one more if there is a next one.
    pub fn cut(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(cursor);
        Self { items, next }
    }
}

/// The router of the console listener and of the admin socket, and its document.
pub fn router(app: &Arc<App>) -> (Router, OpenApi) {
    let (router, mut document) = OpenApiRouter::new()
        .merge(agents::routes(app))
        .merge(join_tokens::routes(app))
        .merge(attest::routes())
        .merge(clients::routes(app))
        .merge(servers::routes(app))
        .merge(items::routes(app))
        .merge(tools::routes(app))
        .merge(tasks::routes(app))
        .merge(delegations::routes())
        .merge(approvals::routes(app))
        .merge(revocations::routes(app))
        .merge(points::routes(app))
        .merge(keys::routes(app))
        .merge(feed::routes())
        .merge(policy::routes(app))
        .merge(accounts::routes(app))
        .merge(sessions::routes(app))
        .merge(live::routes(app))
        .merge(secrets::routes(app))
        .merge(leases::routes(app))
        .merge(backends::routes(app))
        .merge(audit::routes(app))
        .merge(timeline::routes(app))
        .merge(exports::routes(app))
        .merge(blast_radius::routes(app))
        .merge(evidence::routes(app))
        .merge(findings::routes(app))
        .merge(artefacts::routes(app))
        .merge(privacy::routes(app))
        .merge(tiles::routes(app))
        .merge(health::routes())
        .merge(oauth::routes())
        .merge(metadata::routes())
        .split_for_parts();
    describe(&mut document);
    let text = Arc::from(document.to_pretty_json().unwrap_or_default().as_str());
    let router = router
        .merge(health::document(text))
        .merge(console::routes())
        .fallback(outer::not_found)
        .method_not_allowed_fallback(outer::method_not_allowed)
        .layer(from_fn_with_state(Arc::clone(app), outer::layer))
        .with_state(Arc::clone(app));
    (router, document)
}

/// The router of the listener whose clients show their X.509-SVID: what an agent asks for itself, and nothing else.
pub fn for_svids(app: &Arc<App>) -> Router {
    let (router, _) = oauth::for_svids().split_for_parts();
    router
        .fallback(outer::not_found)
        .method_not_allowed_fallback(outer::method_not_allowed)
        .layer(from_fn_with_state(Arc::clone(app), outer::layer))
        .with_state(Arc::clone(app))
}

fn describe(document: &mut OpenApi) {
    "Bailiwick".clone_into(&mut document.info.title);
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    document.info.description = Some(
        "The API of a node. Over TCP with an account's token as bearer, over the admin socket as the peer's user. Refusals are problem \
         documents: code, message, help, request_id."
            .to_owned(),
    );
    document.info.license = None;
}

#[cfg(test)]
mod tests;
