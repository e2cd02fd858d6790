//! The authorization endpoint (RFC 6749 §3.1, §4.1; RFC 7636, 8707, 9207; MCP authorization 2026-07-28): checks what a client asks for and
//! sends its user to sign in. Nobody is sent to a URI that is not the client's own; such a request gets a page.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use bailiwick_control::consents::Wanted;
use bailiwick_core::client::{ClientId, OAuthClient};
use bailiwick_core::name::ServerName;
use bailiwick_core::scope::{Grant, from_oauth};
use bailiwick_core::{Code, Digest, Fault, Problem};
use bailiwick_crypto::jwk::Thumbprint;
use bailiwick_crypto::pkce;
use bailiwick_identity::exchange::TokenRefusal;
use reqwest::Url;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page::{failure, send_to};
use crate::app::App;
use crate::login::Started;
use crate::login::form_of;
use crate::sign_ins::{Asked, AtProvider, MAX_PAUSE, SignIns};

/// Longest `state` that is carried.
const MAX_STATE: usize = 1_024;
/// Longest query read.
const MAX_QUERY: usize = 8 << 10;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(authorize))
}

/// Asks a user to let a client in.
#[utoipa::path(get, path = "/oauth/authorize", operation_id = "oauth.authorize", tag = "oauth",
    params(("response_type" = String, Query, description = "`code`"),
           ("client_id" = String, Query),
           ("redirect_uri" = String, Query, description = "one of the client's; the port of a loopback address is free"),
           ("code_challenge" = String, Query),
           ("code_challenge_method" = String, Query, description = "`S256`"),
           ("resource" = Option<String>, Query, description = "`<gateway>/mcp/<server>`"),
           ("scope" = Option<String>, Query, description = "words `server:effect`; reading, if nothing is said"),
           ("state" = Option<String>, Query),
           ("dpop_jkt" = Option<String>, Query, description = "RFC 9449 §10")),
    responses((status = 303, description = "to the OpenID provider, or to the client with `error`, `state`, `iss`"),
              (status = 400, description = "a page: client or redirect URI are not known")))]
async fn authorize(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
    match begin(&app, query.as_deref().unwrap_or_default()).await {
        Ok(response) => response,
        Err(Failed::Here(problem)) => failure(&problem),
        Err(Failed::There(back, refusal)) => back.refuse(&app, &refusal),
    }
}

/// Why a request goes no further, and who is told.
enum Failed {
    /// The person alone: where the client is cannot be told.
    Here(Problem),
    /// The client.
    There(Back, TokenRefusal),
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self::Here(problem)
    }
}

/// Where a client's answers go.
#[derive(Debug, Clone)]
pub(super) struct Back {
    redirect_uri: String,
    state: Option<String>,
}

impl Back {
    pub(super) fn of(asked: &Asked) -> Self {
        Self {
            redirect_uri: asked.redirect_uri.clone(),
            state: asked.state.clone(),
        }
    }

    /// The redirect URI with these parameters, `state` and `iss` (RFC 6749 §4.1.2, RFC 9207 §2).
    pub(super) fn with(&self, app: &App, parameters: &[(&str, &str)]) -> String {
        let mut pairs = parameters.to_vec();
        pairs.extend(self.state.as_deref().map(|state| ("state", state)));
        pairs.push(("iss", app.authority.issuer()));
        let joint = if self.redirect_uri.contains('?') {
            '&'
        } else {
            '?'
        };
        format!("{}{joint}{}", self.redirect_uri, form_of(&pairs))
    }

    /// An error (§4.1.2.1).
    pub(super) fn refuse(&self, app: &App, refusal: &TokenRefusal) -> Response {
        let described = described(&refusal.problem);
        let parameters = [
            ("error", refusal.error),
            ("error_description", described.as_str()),
        ];
        send_to(&self.with(app, &parameters), [])
    }
}

/// In the characters that an `error_description` may have.
fn described(problem: &Problem) -> String {
    let text = problem.message.chars();
    text.map(|letter| match letter {
        ' '..='~' if letter != '"' && letter != '\\' => letter,
        _ => '\'',
    })
    .take(400)
    .collect()
}

/// Where people sign in, if they do.
pub(super) fn sign_ins(app: &App) -> Result<&SignIns, Problem> {
    app.sign_ins.as_ref().ok_or_else(|| {
        Problem::new(
            Code::LoginUnavailable,
            "nobody can sign in here",
            "an operator names an OpenID provider: [oauth] login",
        )
    })
}

async fn begin(app: &App, query: &str) -> Result<Response, Failed> {
    let sign_ins = sign_ins(app)?;
    let parameters = Parameters::read(query)?;
    let (client, document) = client(app, &parameters).await?;
    let redirect_uri = parameters.one("redirect_uri")?.unwrap_or_default();
    if !client.redirects_to(&redirect_uri) {
        let message = format!("that is not where {} is", client.id);
        let help = "its redirect URI is none of those it is registered with or publishes";
        return Err(Problem::new(Code::InvalidInput, message, help).into());
    }
    let back = Back {
        redirect_uri: redirect_uri.clone(),
        state: parameters.all("state").into_iter().next(),
    };
    let there = |refusal| Failed::There(back.clone(), refusal);
    let mut asked = checked(app, &client, redirect_uri, &parameters).map_err(&there)?;
    asked.document = document;
    let wanted = wanted(app, client, &asked).map_err(&there)?;
    // What cannot be had is said before anybody signs in for it.
    app.control
        .offer(&wanted)
        .await
        .map_err(|problem| there(TokenRefusal::of("access_denied", problem)))?;
    let state = pkce::fresh(&*app.rng);
    let step = AtProvider {
        asked,
        nonce: pkce::fresh(&*app.rng).expose().clone(),
        verifier: pkce::fresh(&*app.rng).expose().clone(),
        ends: app.clock.wall().plus(MAX_PAUSE),
    };
    let started = Started {
        state: state.expose(),
        nonce: &step.nonce,
        verifier: &step.verifier,
    };
    let unavailable = |problem| there(TokenRefusal::of("temporarily_unavailable", problem));
    let url = sign_ins.login.start(&started).await.map_err(unavailable)?;
    let cookie = sign_ins
        .keep(started.state, &step, &*app.rng)
        .map_err(|problem| there(TokenRefusal::of("invalid_request", problem)))?;
    Ok(send_to(url.as_str(), [cookie]))
}

async fn client(
    app: &App,
    parameters: &Parameters,
) -> Result<(OAuthClient, Option<Digest>), Problem> {
    let id = parameters.one("client_id")?.unwrap_or_default();
    let unknown = || {
        Problem::new(
            Code::InvalidInput,
            "no client of that `client_id` is registered",
            "an operator registers it: `bailiwick client add`",
        )
    };
    let id: ClientId = id.parse().map_err(|_| unknown())?;
    known(app, id).await?.ok_or_else(unknown)
}

/// The client of this id, registered or published, and the document that says so.
pub(super) async fn known(
    app: &App,
    id: ClientId,
) -> Result<Option<(OAuthClient, Option<Digest>)>, Problem> {
    if id.url().is_none() {
        let registered = app.control.asking_client(id).await?;
        return Ok(registered.map(|client| (client, None)));
    }
    let published = app.published_clients.client(&id).await?;
    Ok(Some((published.client, Some(published.document))))
}

/// What else the request says, if it can be granted in principle.
fn checked(
    app: &App,
    client: &OAuthClient,
    redirect_uri: String,
    parameters: &Parameters,
) -> Result<Asked, TokenRefusal> {
    let invalid = |what: &str| refusal("invalid_request", what);
    if parameters.has("request") || parameters.has("request_uri") {
        return Err(refusal(
            "request_not_supported",
            "requests come as parameters here",
        ));
    }
    match parameters.for_client("response_type")?.as_deref() {
        Some("code") => {}
        Some(_) => {
            return Err(refusal(
                "unsupported_response_type",
                "only `code` is served",
            ));
        }
        None => return Err(invalid("`response_type` is missing")),
    }
    if let Some(mode) = parameters.for_client("response_mode")?
        && mode != "query"
    {
        return Err(invalid("`response_mode` is `query` here"));
    }
    // Without a method it would be `plain` (RFC 7636 §4.3).
    let method = parameters.for_client("code_challenge_method")?;
    let challenge = parameters.for_client("code_challenge")?;
    let challenge = challenge
        .filter(|challenge| pkce::is_challenge(challenge))
        .filter(|_| method.as_deref() == Some(pkce::METHOD))
        .ok_or_else(|| invalid("PKCE is required: `code_challenge` with method S256"))?;
    let state = parameters.for_client("state")?;
    if state.as_ref().is_some_and(|state| {
        state.len() > MAX_STATE || !state.bytes().all(|byte| matches!(byte, b' '..=b'~'))
    }) {
        return Err(invalid("`state` has at most 1024 visible ASCII characters"));
    }
    let jkt = parameters.for_client("dpop_jkt")?;
    if jkt
        .as_ref()
        .is_some_and(|jkt| jkt.parse::<Thumbprint>().is_err())
    {
        return Err(invalid("`dpop_jkt` is no key thumbprint"));
    }
    let own = client.default_server.as_ref();
    let resource = parameters
        .for_client("resource")?
        .or_else(|| own.map(|server| app.gateway.resource(server)));
    let resource = resource.ok_or_else(|| refusal("invalid_target", "`resource` is missing"))?;
    let server = app.authority.server_of(&resource)?;
    let scope = parameters
        .for_client("scope")?
        .filter(|scope| !scope.is_empty())
        .unwrap_or_else(|| format!("{server}:read"));
    Ok(Asked {
        client: client.id.to_string(),
        document: None,
        redirect_uri,
        state,
        challenge,
        resource,
        scope,
        jkt,
    })
}

/// The same as what a user can be asked for.
pub(super) fn wanted(
    app: &App,
    client: OAuthClient,
    asked: &Asked,
) -> Result<Wanted, TokenRefusal> {
    let server = app.authority.server_of(&asked.resource)?;
    let words = words(&asked.scope, &server)?;
    Ok(Wanted {
        client,
        server,
        words,
    })
}

/// The words of a scope, all of them about the one server.
fn words(scope: &str, server: &ServerName) -> Result<Vec<Grant>, TokenRefusal> {
    let about = |word: &str| {
        word.rsplit_once(':')
            .is_some_and(|(name, _)| name == server.as_str())
    };
    if scope.len() > MAX_STATE || !scope.split(' ').all(about) {
        let message = format!("`scope` has words about another server than {server}");
        return Err(refusal("invalid_scope", &message));
    }
    from_oauth(scope).map_err(|error| TokenRefusal {
        error: "invalid_scope",
        problem: error.problem(),
    })
}

fn refusal(error: &'static str, message: &str) -> TokenRefusal {
    let help = "GET /.well-known/oauth-authorization-server describes this endpoint";
    TokenRefusal::new(error, Code::InvalidInput, message, help)
}

/// The parameters of a request.
struct Parameters(BTreeMap<String, Vec<String>>);

impl Parameters {
    fn read(query: &str) -> Result<Self, Problem> {
        let unreadable = || Problem::new(Code::InvalidInput, "the request cannot be read", "");
        if query.len() > MAX_QUERY {
            return Err(unreadable());
        }
        let mut url = Url::parse("form:").map_err(|_| unreadable())?;
        url.set_query(Some(query));
        let mut all = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in url.query_pairs() {
            all.entry(name.into_owned())
                .or_default()
                .push(value.into_owned());
        }
        Ok(Self(all))
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn all(&self, name: &str) -> Vec<String> {
        self.0.get(name).cloned().unwrap_or_default()
    }

    /// A parameter that may stand once (RFC 6749 §3.1).
    fn one(&self, name: &str) -> Result<Option<String>, Problem> {
        let mut values = self.all(name).into_iter();
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Problem::new(
                Code::InvalidInput,
                format!("`{name}` stands there twice"),
                "",
            )),
        }
    }

    /// The same, where the client can be told.
    fn for_client(&self, name: &str) -> Result<Option<String>, TokenRefusal> {
        self.one(name)
            .map_err(|problem| TokenRefusal::of("invalid_request", problem))
    }
}
