//! Tokens for clients that a user let in (RFC 6749 §4.1.3, §6): by code, and then by refresh token, each once and bound to the client's key.

use axum::http::HeaderMap;
use axum::response::Response;
use bailiwick_control::vouchers::{Shown, With};
use bailiwick_core::client::ClientId;
use bailiwick_core::scope::{Wish, from_oauth};
use bailiwick_core::{Code, Fault, Secret};
use bailiwick_identity::exchange::{TokenAsk, TokenRefusal};

use super::answer::TaskTokenAnswer;
use super::form::{TokenForm, given, wanted};
use super::key_of;
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
    let client = let_in(app, form.client_id())?;
    let jkt = key_of(app, headers)?;
    let shown = Shown {
        secret: Secret::new(secret.to_owned()),
        client,
        with,
        resource: given(form.resource.as_deref()).map(str::to_owned),
        jkt: jkt.to_string(),
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
        jkt,
        wish: how_much,
        may_act: None,
        from: None,
    };
    let issued = app.authority.issue_task_token(ask).await?;
    TaskTokenAnswer::with_refresh(&issued, &redeemed.refresh)
}

/// The client that a request names. It has no secret: the code's verifier, and then its key, say that it is the one.
fn let_in(app: &App, id: Option<&str>) -> Result<ClientId, TokenRefusal> {
    let id = public_client(id)?;
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

/// The client id of a request.
pub(super) fn public_client(id: Option<&str>) -> Result<ClientId, TokenRefusal> {
    let id = wanted("client_id", id)?;
    id.parse().map_err(|_| {
        TokenRefusal::new(
            "invalid_client",
            Code::InvalidInput,
            "that `client_id` is none",
            "an operator registers clients: `bailiwick client add`",
        )
    })
}
