//! Tokens for clients that a user let in (RFC 6749 §4.1.3, §6): by code, and then by refresh token, each once and bound to the client's key,
//! unless the operator lets the client go without one.

use axum::http::HeaderMap;
use axum::response::Response;
use bailiwick_control::vouchers::{Shown, With};
use bailiwick_core::client::ClientId;
use bailiwick_core::scope::{Wish, from_oauth};
use bailiwick_core::{Code, Fault, Secret};
use bailiwick_crypto::token::task::Confirmation;
use bailiwick_enforce::mcp::presented::DPOP;
use bailiwick_identity::exchange::{TokenAsk, TokenRefusal};

use super::answer::TaskTokenAnswer;
use super::client;
use super::form::{TokenForm, given, wanted};
use super::key_at;
use crate::app::App;

pub(super) async fn by_code(
    app: &App,
    headers: &HeaderMap,
    form: &TokenForm,
) -> Result<Response, TokenRefusal> {
    let with = With::Code {
        redirect_uri: wanted("redirect_uri", form.redirect_uri.as_deref())?.to_owned(),
        verifier: Secret::new(wanted("code_verifier", form.code_verifier.as_deref())?.to_owned()),
    };
    let code = wanted("code", form.code.as_deref())?;
    // What the user consented to is what the code is for: it is not asked for anew.
    issue(app, headers, form, (code, with), Wish::Whole).await
}

pub(super) async fn by_refresh(
    app: &App,
    headers: &HeaderMap,
    form: &TokenForm,
) -> Result<Response, TokenRefusal> {
    let wish = match given(form.scope.as_deref()) {
        Some(words) => Wish::Words(from_oauth(words).map_err(|error| TokenRefusal {
            error: "invalid_scope",
            problem: error.problem(),
        })?),
        None => Wish::Whole,
    };
    let token = wanted("refresh_token", form.refresh_token.as_deref())?;
    issue(app, headers, form, (token, With::Refresh), wish).await
}

async fn issue(
    app: &App,
    headers: &HeaderMap,
    form: &TokenForm,
    (secret, with): (&str, With),
    how_much: Wish,
) -> Result<Response, TokenRefusal> {
    // Before the client: who lacks a nonce asks again with the same assertion, which passes once.
    let shown = headers
        .contains_key(DPOP)
        .then(|| key_at(app, headers, &app.console_url));
    let shown = shown.transpose()?;
    let client = let_in(app, form).await?;
    let jkt = match shown {
        None if app.authority.may_be_unbound(&client) => None,
        None => Some(key_at(app, headers, &app.console_url)?),
        shown => shown,
    };
    let shown = Shown {
        secret: Secret::new(secret.to_owned()),
        client,
        with,
        resource: given(form.resource.as_deref()).map(str::to_owned),
        jkt: jkt.as_ref().map(ToString::to_string),
    };
    let redeemed = match app.control.redeem(shown.clone()).await {
        Ok(redeemed) => redeemed,
        Err(problem) => {
            let refusal = TokenRefusal::of("invalid_grant", problem);
            // By its id if it is known: a stranger chooses no text of the record, and cannot fill it.
            let known = app.control.asking_client(shown.client.clone()).await;
            let known = known.is_ok_and(|client| client.is_some());
            let asker = if known {
                shown.client.as_str()
            } else {
                "client"
            };
            app.authority.voucher_refused(asker, &refusal).await;
            return Err(refusal);
        }
    };
    let ask = TokenAsk {
        client: app.authority.let_in(redeemed.agent, redeemed.instance),
        task: redeemed.task,
        resource: redeemed.resource,
        cnf: jkt.map(Confirmation::Key),
        until: None,
        wish: how_much,
        may_act: None,
        from: None,
    };
    let issued = app.authority.issue_task_token(ask).await?;
    TaskTokenAnswer::with_refresh(&issued, &redeemed.refresh)
}

/// The client that a request comes from.
async fn let_in(app: &App, form: &TokenForm) -> Result<ClientId, TokenRefusal> {
    let id = client::let_in(app, &form.authentication()).await?;
    // A host that is let in no longer gets no further tokens either.
    if id
        .url()
        .is_some_and(|url| app.published_clients.agent(url).is_none())
    {
        return Err(TokenRefusal::new(
            "invalid_client",
            Code::InvalidInput,
            "clients of that host are not let in",
            "an operator lets them in: [oauth] client_hosts",
        ));
    }
    Ok(id)
}
