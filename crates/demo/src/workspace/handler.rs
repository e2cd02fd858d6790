//! The MCP side of the tools: what a `tools/call` names is journalled, run, and answered.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::Fault as _;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    JsonObject, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::catalogue;
use super::export::{self, Pace};
use super::failure::ToolFailure;
use super::files::Files;
use super::http::Presented;
use super::journal::{Journal, Outcome};
use super::orders::{Orders, Status};

/// The tools, shared by all connections.
#[derive(Debug, Clone)]
pub struct Tools {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    files: Files,
    orders: Orders,
    journal: Journal,
    pace: Pace,
    catalogue: Vec<Tool>,
    running: TaskTracker,
    stopping: CancellationToken,
}

impl Tools {
    pub(super) fn new(files: Files, orders: Orders, journal: Journal, pace: Pace) -> Self {
        let (catalogue, running, stopping) = (
            catalogue::tools(),
            TaskTracker::new(),
            CancellationToken::new(),
        );
        Self {
            inner: Arc::new(Inner {
                files,
                orders,
                journal,
                pace,
                catalogue,
                running,
                stopping,
            }),
        }
    }

    pub(super) fn journal(&self) -> Journal {
        self.inner.journal.clone()
    }

    /// Cuts the calls that run and waits for them, at most `limit`.
    pub(super) async fn stop(&self, limit: Duration) {
        self.inner.stopping.cancel();
        self.inner.running.close();
        if tokio::time::timeout(limit, self.inner.running.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                running = self.inner.running.len(),
                "calls were still running when the tool server stopped"
            );
        }
    }

    /// Journals one call, runs it, and journals how it ended.
    async fn call(
        &self,
        name: &str,
        arguments: JsonObject,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ToolFailure> {
        let presented = context
            .extensions
            .get::<http::request::Parts>()
            .and_then(|parts| parts.extensions.get::<Presented>());
        let bearer = presented.is_some();
        let verbatim = presented.and_then(|presented| presented.arguments.clone());
        let text = verbatim.unwrap_or_else(|| Value::Object(arguments.clone()).to_string());
        let entry = self
            .inner
            .journal
            .start(name, text, bearer)
            .map_err(ToolFailure::Journal)?;
        let result = self.act(name, arguments, context).await;
        entry.end(match &result {
            Ok(_) => Outcome::Done,
            Err(ToolFailure::Cancelled) => Outcome::Cancelled,
            Err(_) => Outcome::Failed,
        });
        result
    }

    async fn act(
        &self,
        name: &str,
        arguments: JsonObject,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ToolFailure> {
        let Inner {
            files,
            orders,
            pace,
            stopping,
            ..
        } = self.inner.as_ref();
        match name {
            "read_file" => {
                let PathOnly { path } = parse(arguments)?;
                files.read(path).await.map(text)
            }
            "list_files" => {
                let Nothing {} = parse(arguments)?;
                files
                    .list()
                    .await
                    .map(|paths| structured(json!({"files": paths})))
            }
            "write_file" => {
                let WriteFile { path, content } = parse(arguments)?;
                files
                    .write(path.clone(), content)
                    .await
                    .map(|()| text(format!("wrote {path}")))
            }
            "search_notes" => {
                let Search { query } = parse(arguments)?;
                files
                    .search_notes(query)
                    .await
                    .map(|matches| structured(json!({"matches": matches})))
            }
            "add_note" => {
                let Note { title, body } = parse(arguments)?;
                files
                    .add_note(title, body)
                    .await
                    .map(|path| structured(json!({"path": path})))
            }
            "get_order" => {
                let OrderOnly { id } = parse(arguments)?;
                orders
                    .order(id)
                    .await
                    .map(|order| structured(json!({"order": order})))
            }
            "update_order" => {
                let UpdateOrder { id, status } = parse(arguments)?;
                orders
                    .update(id, status)
                    .await
                    .map(|order| structured(json!({"order": order})))
            }
            // `call_tool` has looked the name up, so only `export_all` is left. It alone takes long enough to be cancelled.
            _ => {
                let Nothing {} = parse(arguments)?;
                let cancelled = async {
                    tokio::select! {
                        () = context.ct.cancelled() => {}
                        () = stopping.cancelled() => {}
                    }
                };
                let token = context.meta.get_progress_token();
                export::export_all(files, orders, *pace, &context.peer, token, cancelled)
                    .await
                    .map(structured)
            }
        }
    }
}

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new(
                "bailiwick-demo-workspace",
                env!("CARGO_PKG_VERSION"),
            ))
            .with_instructions("Files, notes and orders of a small workspace.")
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.inner
            .catalogue
            .iter()
            .find(|tool| tool.name == name)
            .cloned()
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(
            self.inner.catalogue.clone(),
        ))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if self.get_tool(&request.name).is_none() {
            return Err(ErrorData::invalid_params(
                format!("there is no tool `{}`", request.name),
                None,
            ));
        }
        let arguments = request.arguments.unwrap_or_default();
        let call = self.call(&request.name, arguments, &context);
        let result = self.inner.running.track_future(call).await;
        Ok(result
            .unwrap_or_else(|failure| {
                CallToolResult::error(vec![ContentBlock::text(failure.problem().message)])
            })
            .into())
    }
}

fn parse<T: DeserializeOwned>(arguments: JsonObject) -> Result<T, ToolFailure> {
    serde_json::from_value(Value::Object(arguments)).map_err(ToolFailure::Arguments)
}

fn text(text: String) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

fn structured(value: Value) -> CallToolResult {
    CallToolResult::structured(value)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PathOnly {
    path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteFile {
    path: String,
    content: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    query: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    title: String,
    body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderOnly {
    id: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdateOrder {
    id: i64,
    status: Status,
}
