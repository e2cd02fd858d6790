//! Whether the node is there, its metrics, and the document of its API. Public on loopback: they tell nothing about agents.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::telemetry::Metrics;

/// Health of a node.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Health {
    /// `ok`, or `degraded` while only what narrows authority is recorded.
    status: &'static str,
    /// Name of the node.
    node: String,
    /// Its trust domain.
    trust_domain: String,
    /// Its release.
    version: &'static str,
    /// Newest change of the store's feed.
    head: u64,
    /// Newest change that this enforcement point has applied.
    applied: u64,
    /// The record.
    log: LogHealth,
}

/// Health of the record.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LogHealth {
    /// Durable events.
    size: u64,
    /// Events under the newest published checkpoint.
    published: u64,
    /// Whether a file did not verify when all of them were last looked at.
    scrub_failed: bool,
    /// Whether the wall clock differs from the time that passed.
    clock_off: bool,
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(metrics))
}

pub(super) fn document(text: Arc<str>) -> Router<Arc<App>> {
    let answer = move || {
        let text = Arc::clone(&text);
        async move { ([(CONTENT_TYPE, "application/json")], text.to_string()) }
    };
    Router::new().route("/openapi.json", get(answer))
}

/// Health of the node.
#[utoipa::path(get, path = "/healthz", operation_id = "healthz", tag = "node",
    responses((status = 200, description = "the node is there", body = Health)))]
async fn health(State(app): State<Arc<App>>) -> Json<Health> {
    let degraded = app.log.is_degraded();
    Json(Health {
        status: if degraded { "degraded" } else { "ok" },
        node: app.node.to_string(),
        trust_domain: app.authority.trust_domain().to_string(),
        version: env!("CARGO_PKG_VERSION"),
        head: app.store.head(),
        applied: app.replica.applied(),
        log: LogHealth {
            size: app.log.size(),
            published: *app.log.published().borrow(),
            scrub_failed: app.log.is_damaged(),
            clock_off: app.log.is_clock_off(),
        },
    })
}

/// Metrics in OpenMetrics text.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "node",
    responses((status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text")))]
async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, Metrics::CONTENT_TYPE)],
        app.metrics.render(),
    )
}
