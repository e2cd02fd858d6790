//! Serves what the conformance suite asks a server for, on crate `rmcp`. Everything it offers is data, `offers.json`, which the fixture on
//! PyPI's `mcp` serves too. An offer is a list of steps; this file knows how to take each kind of step.

#![expect(deprecated, reason = "the suite asks for what 2026-07-28 deprecates")]

mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::Rng;
use bailiwick_crypto::system::SystemRng;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult,
    ErrorData, GetPromptRequestParams, GetPromptResponse, GetPromptResult, InputRequiredResult,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult,
    ServerConfig, ServerNotification, ServerRequest, SetLevelRequestParams, SubscribeRequestParams,
    SubscriptionFilter, UnsubscribeRequestParams,
};
use rmcp::service::{RequestContext, RoleServer, SubscriptionContext};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::broadcast;

use values::{answered_by, filled, fits, merge, typed, whole};

const OFFERS: &str = include_str!("offers.json");
/// The revision whose servers ask by answering.
const ROUNDS: &str = "2026-07-28";

/// A running server; ends with the test.
pub(crate) struct Offered {
    address: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Offered {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let handler = Handler::new();
        let mut config = StreamableHttpServerConfig::default();
        config.allowed_origins = vec!["http://127.0.0.1:*".into(), "http://localhost:*".into()];
        let factory = move || Ok(handler.clone());
        let served =
            StreamableHttpService::new(factory, Arc::new(LocalSessionManager::default()), config);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(served.clone());
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        Self {
            address,
            runtime: Some(runtime),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }
}

impl Drop for Offered {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Clone)]
struct Handler {
    offers: Arc<Value>,
    /// What a state is for the client: this process's own word behind the one in the offers.
    sealed: Arc<str>,
    changes: broadcast::Sender<String>,
}

/// What a step says when it ends the request: the result of the request itself, or what has to be answered first.
enum Ending {
    Result(Value),
    Required(InputRequiredResult),
}

impl Handler {
    fn new() -> Self {
        let mut word = [0; 16];
        SystemRng.fill(&mut word);
        Self {
            offers: Arc::new(serde_json::from_str(OFFERS).unwrap()),
            sealed: u128::from_be_bytes(word).to_string().into(),
            changes: broadcast::channel(16).0,
        }
    }

    /// What is offered under a name or URI.
    fn find(&self, list: &str, kind: &str, key: &str, value: &str) -> Option<&Value> {
        let offers = self.offers[list].as_array().unwrap();
        offers.iter().find(|offer| offer[kind][key] == value)
    }

    fn all<T: DeserializeOwned>(&self, list: &str, kind: &str) -> Vec<T> {
        let offers = self.offers[list].as_array().unwrap();
        offers
            .iter()
            .map(|offer| typed(offer[kind].clone()))
            .collect()
    }

    async fn take(
        &self,
        offer: &Value,
        asked: Asked,
        context: &RequestContext<RoleServer>,
    ) -> Result<Ending, ErrorData> {
        let mut known = Value::Object(asked.arguments.clone().unwrap_or_default());
        for step in offer["steps"].as_array().unwrap() {
            let has = |name: &str| step.get(name);
            if let Some(answer) = has("answer") {
                return Ok(Ending::Result(filled(answer, &known)));
            } else if let Some(milliseconds) = has("pause") {
                tokio::time::sleep(Duration::from_millis(milliseconds.as_u64().unwrap())).await;
            } else if let Some(text) = has("log") {
                log(text, context).await?;
            } else if let Some(done) = has("progress") {
                progress(done, context).await?;
            } else if let Some(of) = has("tell") {
                let _ = self.changes.send(of.as_str().unwrap().to_owned());
            } else if let Some(capability) = has("needs") {
                let capability = capability.as_str().unwrap();
                if declared(context).get(capability).is_none() {
                    let needed = typed(json!({ capability: {} }));
                    return Err(ErrorData::missing_required_client_capability(needed));
                }
            } else if let Some(request) = has("ask") {
                let said = ask(&filled(request, &known), context).await?;
                merge(&mut known, said);
            } else if let Some(rounds) = has("rounds") {
                let only = step["only_declared"] == true;
                match self.round(rounds.as_array().unwrap(), &asked, only, context)? {
                    Some(required) => return Ok(Ending::Required(required)),
                    None => merge(&mut known, json!(asked.responses)),
                }
            } else {
                panic!("a step of an unknown kind: {step}");
            }
        }
        panic!("an offer without an answer: {offer}");
    }

    /// The next round of questions; none when all are answered.
    fn round(
        &self,
        rounds: &[Value],
        asked: &Asked,
        only_declared: bool,
        context: &RequestContext<RoleServer>,
    ) -> Result<Option<InputRequiredResult>, ErrorData> {
        let answers = asked.responses.clone().unwrap_or_default();
        let last = match &asked.state {
            Some(state) => {
                let of = |round: &&Value| self.state_of(round).as_ref() == Some(state);
                let found = rounds
                    .iter()
                    .find(of)
                    .and_then(|found| rounds.iter().position(|round| std::ptr::eq(round, found)));
                let help = "the state is not one that was given";
                Some(found.ok_or_else(|| ErrorData::invalid_params(help, None))?)
            }
            None if rounds[0].get("requestState").is_none() && !answers.is_empty() => Some(0),
            None => None,
        };
        let wanted = |round: &Value| {
            let has = declared(context);
            let mut requests = round["inputRequests"].as_object().unwrap().clone();
            requests.retain(|_, request| !only_declared || has.get(answered_by(request)).is_some());
            requests
        };
        let now = match last {
            None => 0,
            Some(last) => {
                let whole = wanted(&rounds[last])
                    .iter()
                    .all(|(key, request)| answers.get(key).is_some_and(|one| fits(request, one)));
                last + usize::from(whole)
            }
        };
        let Some(round) = rounds.get(now) else {
            return Ok(None);
        };
        let requests = typed(Value::Object(wanted(round)));
        Ok(Some(InputRequiredResult::new(
            Some(requests),
            self.state_of(round),
        )))
    }

    fn state_of(&self, round: &Value) -> Option<String> {
        let state = round.get("requestState")?.as_str()?;
        Some(format!("{state}.{}", self.sealed))
    }
}

/// What one request brings.
struct Asked {
    arguments: Option<Map<String, Value>>,
    responses: Option<BTreeMap<String, Value>>,
    state: Option<String>,
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let changes = json!({ "listChanged": true });
        typed(json!({
            "protocolVersion": "2025-11-25",
            "serverInfo": { "name": "offers", "version": "1" },
            "capabilities": {
                "tools": changes, "prompts": changes, "resources": { "subscribe": true },
                "logging": {}, "completions": {},
            },
        }))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.all("tools", "tool")))
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(
            self.all("prompts", "prompt"),
        ))
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(
            self.all("resources", "resource"),
        ))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let templates = self.all("templates", "template");
        Ok(ListResourceTemplatesResult::with_all_items(templates))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let unknown = || ErrorData::invalid_params("there is no such tool", None);
        let offer = self
            .find("tools", "tool", "name", &request.name)
            .ok_or_else(unknown)?;
        let asked = Asked {
            arguments: request.arguments,
            responses: request.input_responses,
            state: request.request_state,
        };
        Ok(match self.take(offer, asked, &context).await? {
            Ending::Result(result) => whole::<CallToolResult>(result).into(),
            Ending::Required(required) => required.into(),
        })
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let unknown = || ErrorData::invalid_params("there is no such prompt", None);
        let offer = self
            .find("prompts", "prompt", "name", &request.name)
            .ok_or_else(unknown)?;
        let asked = Asked {
            arguments: request.arguments,
            responses: request.input_responses,
            state: request.request_state,
        };
        Ok(match self.take(offer, asked, &context).await? {
            Ending::Result(result) => whole::<GetPromptResult>(result).into(),
            Ending::Required(required) => required.into(),
        })
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = &request.uri;
        let mut contents = json!({ "uri": uri });
        if let Some(offer) = self.find("resources", "resource", "uri", uri) {
            merge(
                &mut contents,
                json!({ "mimeType": offer["resource"]["mimeType"] }),
            );
            merge(&mut contents, offer["contents"].clone());
        } else {
            let offer = &self.offers["templates"][0];
            let template = offer["template"]["uriTemplate"].as_str().unwrap();
            let (before, after) = template.split_once("{id}").unwrap();
            let id = uri
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after));
            let data = json!({ "uri": uri });
            let id = id.ok_or_else(|| {
                ErrorData::resource_not_found("there is no such resource", Some(data))
            })?;
            let text = offer["text"].as_str().unwrap().replace("{id}", id);
            let mime = &offer["template"]["mimeType"];
            merge(&mut contents, json!({ "mimeType": mime, "text": text }));
        }
        Ok(whole::<ReadResourceResult>(json!({ "contents": [contents] })).into())
    }

    async fn subscribe(
        &self,
        _: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(
        &self,
        _: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn set_level(
        &self,
        _: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn complete(
        &self,
        _: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let completion = json!({ "values": ["paris", "park"], "total": 2, "hasMore": false });
        Ok(whole(json!({ "completion": completion })))
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.changes.subscribe();
        loop {
            let told = tokio::select! {
                () = context.cancelled() => return Ok(()),
                told = changes.recv() => told,
            };
            let accepted = context.accepted();
            let _ = match told.as_deref() {
                Ok("tools") if accepted.tools_list_changed == Some(true) => {
                    context.sink().notify_tool_list_changed().await
                }
                Ok("prompts") if accepted.prompts_list_changed == Some(true) => {
                    context.sink().notify_prompt_list_changed().await
                }
                _ => Ok(()),
            };
        }
    }
}

/// A log line, in the way of the request's revision: where logging is asked for request by request, only if it was.
async fn log(text: &Value, context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
    let by_request = context
        .protocol_version()
        .is_some_and(|version| version.as_str() >= ROUNDS);
    if by_request && context.meta.log_level().is_none() {
        return Ok(());
    }
    let params = json!({ "level": "info", "data": text });
    notify("notifications/message", &params, context).await
}

async fn progress(done: &Value, context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
    let Some(token) = context.meta.get_progress_token() else {
        return Ok(());
    };
    let params = json!({ "progressToken": token, "progress": done, "total": 100 });
    notify("notifications/progress", &params, context).await
}

async fn notify(
    method: &str,
    params: &Value,
    context: &RequestContext<RoleServer>,
) -> Result<(), ErrorData> {
    let notification: ServerNotification = typed(json!({ "method": method, "params": params }));
    let sent = context.peer.send_notification(notification).await;
    sent.map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

/// Asks while the request runs, as revisions with a way back to the client do.
async fn ask(request: &Value, context: &RequestContext<RoleServer>) -> Result<Value, ErrorData> {
    if declared(context).get(answered_by(request)).is_none() {
        return Err(ErrorData::invalid_params(
            "the client cannot be asked that",
            None,
        ));
    }
    let request: ServerRequest = typed(request.clone());
    let said = context.peer.send_request(request).await;
    let said = said.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    let mut said = serde_json::to_value(said).unwrap();
    let sampled = said["content"]["text"].clone();
    merge(&mut said, json!({ "sampled": sampled }));
    Ok(said)
}

fn declared(context: &RequestContext<RoleServer>) -> Value {
    serde_json::to_value(context.client_capabilities()).unwrap()
}
