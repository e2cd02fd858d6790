//! Who asks, decided before anything else of a request is looked at: a bearer token over TCP, the peer's user over the admin socket.
//! Each route names the operation that the caller's roles have to include.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use bailiwick_audit::{Class, Recorder};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::account::Role;
use bailiwick_core::event::{Action, Event, EventType, Evidence, Outcome, Status};
use bailiwick_core::id::EventId;
use bailiwick_core::instance::Instance;
use bailiwick_core::session::Session;
use bailiwick_core::{Code, Fault, Secret};
use bailiwick_enforce::accept::Connection;
use bailiwick_identity::attest::{lineage, still_there};
use bailiwick_identity::peer::Peer;
use bailiwick_store::StoreError;
use serde_json::json;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::{Refused, session};
use crate::app::App;

/// How a request came in.
#[derive(Debug, Clone)]
pub enum Via {
    /// Over TCP.
    Tcp(Connection),
    /// Over the admin socket, from this process.
    Admin(Peer),
}

/// The session in which a request came, if it came in one. Handlers get it as `Extension<SignedIn>`.
#[derive(Debug, Clone)]
pub struct SignedIn(pub Option<Session>);

/// The member of an operation in the API's document that names the roles of which its caller needs one.
pub const ROLES: &str = "x-roles";

/// A route that only callers with the operation's roles reach. The handler gets `Extension<Actor>`.
pub fn guarded(
    app: &Arc<App>,
    operation: Operation,
    mut route: UtoipaMethodRouter<Arc<App>>,
) -> OpenApiRouter<Arc<App>> {
    let roles: Vec<&str> = operation.roles().into_iter().map(Role::as_str).collect();
    for item in route.1.paths.values_mut() {
        let methods = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
        ];
        for described in methods.into_iter().flatten() {
            let extensions = described.extensions.get_or_insert_default();
            extensions.insert(ROLES.to_owned(), json!(roles));
        }
    }
    let guard = from_fn_with_state((Arc::clone(app), operation), check);
    OpenApiRouter::new().routes(route).route_layer(guard)
}

async fn check(
    State((app, operation)): State<(Arc<App>, Operation)>,
    Extension(via): Extension<Via>,
    mut request: Request,
    next: Next,
) -> Response {
    let (actor, session) = match who(&app, &via, request.method(), request.headers()).await {
        Ok(found) => found,
        Err(refused) => return refused.into_response(),
    };
    if let Err(problem) = actor.may(operation) {
        let op = request.method().as_str();
        record_refusal(&app, &actor, op, problem.code, Class::Narrow);
        return Refused(problem).into_response();
    }
    request.extensions_mut().insert(actor);
    request.extensions_mut().insert(SignedIn(session));
    next.run(request).await
}

/// Who asks, and in which session, if it is one: an account's token speaks for itself, whatever cookies came with it.
pub(crate) async fn who(
    app: &App,
    via: &Via,
    method: &Method,
    headers: &HeaderMap,
) -> Result<(Actor, Option<Session>), Refused> {
    if let Via::Admin(peer) = via {
        return Ok((admin(app, peer, method).await?, None));
    }
    if let Some(shown) = headers.get(AUTHORIZATION) {
        let actor = match bearer(headers) {
            Some(token) => app.control.authenticate(token.expose()).await?,
            None => None,
        };
        return match actor {
            Some(actor) => Ok((actor, None)),
            None => Err(stranger(app, shown, method).await),
        };
    }
    let found = session::actor(app, method, headers).await?;
    let (actor, session) = found.ok_or_else(not_signed_in)?;
    Ok((actor, Some(session)))
}

/// What anybody is told whose authorization is no account's. An agent that tries its own token is on record.
async fn stranger(app: &App, shown: &HeaderValue, method: &Method) -> Refused {
    let token = shown.to_str().ok().and_then(|shown| shown.split_once(' '));
    if let Some((_, token)) = token
        && let Ok(claims) = app.gateway.introspect(token).await
    {
        let (agent, op) = (Actor::agent(&claims.act.sub), method.as_str());
        // No agent gets at the room that is kept for what narrows.
        record_refusal(app, &agent, op, Code::PeerIsAgent, Class::Grant);
    }
    not_signed_in()
}

/// The peer's user, if it may use the admin socket and is no agent: an agent under the same user id must not get that user's rights.
async fn admin(app: &App, peer: &Peer, method: &Method) -> Result<Actor, Refused> {
    if !app.admin_uids.contains(&peer.uid) {
        return Err(Refused::new(
            Code::NotPermitted,
            format!("user {} may not use the admin socket", peer.uid),
            "list the user in [admin] uids and restart the node, or use an account's token over TCP",
        ));
    }
    let actor = Actor::unix(peer.uid);
    if let Err(refused) = not_an_agent(app, peer).await {
        let (op, code) = (method.as_str(), refused.0.code);
        record_refusal(app, &actor, op, code, Class::Grant);
        return Err(refused);
    }
    Ok(actor)
}

/// Refuses a peer that is an agent, descends from one, or is of a launch.
pub(crate) async fn not_an_agent(app: &App, peer: &Peer) -> Result<(), Refused> {
    let live = app.store.read(|rows| rows.live_instances());
    let live = live
        .await
        .map_err(|error: StoreError| Refused(error.problem()))?;
    let untold = || {
        Refused::new(
            Code::NotPermitted,
            format!("the ancestors of process {} cannot be told", peer.pid),
            "connect from a process that stays alive until it is answered",
        )
    };
    let ancestors = lineage(peer.pid).ok_or_else(untold)?;
    // Its id could have been reused while its ancestors were looked at.
    if !still_there(peer) {
        return Err(untold());
    }
    let of = |instance: &Instance| {
        let process = instance.process();
        process.is_some_and(|process| ancestors.contains(&process))
    };
    let own = live.iter().find(|instance| of(instance));
    let own = own.map(|instance| (instance.id, instance.agent.clone()));
    let launched = app.launches.holding(&ancestors);
    let launched = launched.map(|launch| (launch.instance, launch.agent));
    match own.or(launched) {
        None => Ok(()),
        Some((instance, agent)) => Err(Refused::new(
            Code::PeerIsAgent,
            format!(
                "process {} belongs to {instance} of agent {agent}",
                peer.pid
            ),
            "an agent has no admin rights, whatever user it runs as; ask a person",
        )),
    }
}

/// The one bearer token of a request (RFC 6750 §2.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<Secret<String>> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let value = all.next()?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let alone = all.next().is_none() && scheme.eq_ignore_ascii_case("bearer");
    (alone && !token.is_empty()).then(|| Secret::new(token.to_owned()))
}

fn not_signed_in() -> Refused {
    Refused::new(
        Code::NotSignedIn,
        "this operation needs an account's token, or a session of the console",
        "an admin mints them: `bailiwick account token NAME`, sent as Authorization: Bearer bwa_…, or `bailiwick account link NAME`",
    )
}

fn record_refusal(app: &App, actor: &Actor, op: &str, code: Code, class: Class) {
    let mut event = Event::new(
        EventId::new(&*app.clock, &*app.rng),
        EventType::AdminRefused,
    );
    event.actor = Some(actor.on_record());
    event.action = Some(Action::named(op));
    event.outcome = Some(Outcome {
        status: Status::Refused,
        code: Some(code.as_str().to_owned()),
        us: 0,
        bytes: 0,
        evidence: Evidence::Observed,
    });
    // Taken at once if there is room; a refusal has already taken effect and waits for nothing.
    drop(app.log.record(event, class));
}
