//! Token exchange (RFC 8693): the holder of a task token gets a narrower one of the same task; whom the token names in `may_act` gets a
//! task of its own below it; whom the operator lets act for people of an outside issuer gets a root task for one of them.

use axum::http::request::Parts;
use axum::response::Response;
use bailiwick_control::delegation::{Delegation, Delegator, ForUser};
use bailiwick_core::Code;
use bailiwick_core::scope::{Narrowing, Wish};
use bailiwick_crypto::token::outside;
use bailiwick_identity::exchange::{Client, Exchanged, SubjectToken, TokenAsk, TokenRefusal};

use super::answer::TaskTokenAnswer;
use super::details::{Details, unusable};
use super::form::{TokenForm, given, invalid_request, wanted};
use super::{ProvenClient, proven};
use crate::app::App;

/// Token types that a task token is (RFC 8693 §3).
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// Token type of what an OpenID provider says of a person.
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
/// What a task is for, if its agent says nothing.
const NO_WORDS: &str = "(opened by token exchange, without words)";

pub(super) async fn exchange(
    app: &App,
    head: &Parts,
    form: &TokenForm,
) -> Result<Response, TokenRefusal> {
    let ProvenClient { client, cnf, until } = proven(app, head, form).await?;
    let planned = plan(app, form, &client).await;
    let plan = match planned {
        Ok(plan) => plan,
        Err(refusal) => {
            let asker = client.id.as_str();
            app.authority.delegation_refused(asker, &refusal).await;
            return Err(refusal);
        }
    };
    let ask = TokenAsk {
        client,
        task: plan.task,
        resource: plan.resource,
        cnf: Some(cnf),
        until,
        wish: plan.wish,
        may_act: plan.details.may_act.map(|next| next.sub),
        from: plan.from,
    };
    let issued = app.authority.issue_task_token(ask).await?;
    TaskTokenAnswer::of(&issued, Some(ACCESS_TOKEN), &plan.narrowed_by)
}

/// What is to be issued.
struct Plan {
    task: bailiwick_core::id::TaskId,
    resource: String,
    wish: Wish,
    details: Details,
    /// The token of ours that it is exchanged from, if it is one of ours.
    from: Option<Exchanged>,
    narrowed_by: Vec<Narrowing>,
}

async fn plan(app: &App, form: &TokenForm, client: &Client) -> Result<Plan, TokenRefusal> {
    let token = wanted("subject_token", form.subject_token.as_deref())?;
    let person = is_of_others(app, token);
    check_types(form, person)?;
    check_actor(app, form, client).await?;
    if person {
        return plan_for_user(app, form, client, token).await;
    }
    let subject = app.authority.subject(token)?;
    let details = match given(form.authorization_details.as_deref()) {
        Some(text) => Details::read(text)?,
        None => Details::none(),
    };
    let wish = details.wish(form.scope.as_deref())?;
    let resource = target(app, form, &subject)?;
    if subject.holder() == client.instance {
        details.only_for_token()?;
        if details
            .named_task()
            .is_some_and(|task| task != subject.task())
        {
            return Err(unusable("the subject token is for another task"));
        }
        let may = app
            .control
            .may_exchange(&client.id, subject.task(), resource.clone());
        may.await
            .map_err(|problem| TokenRefusal::of("access_denied", problem))?;
        return Ok(Plan {
            task: subject.task(),
            resource,
            wish,
            details,
            from: Some(Exchanged {
                subject,
                delegated: false,
            }),
            narrowed_by: Vec::new(),
        });
    }
    subject.admits(client)?;
    if details.named_task().is_some() {
        return Err(unusable(
            "the task that a token is exchanged for is a new one",
        ));
    }
    let ask = Delegation {
        to: client.agent.clone(),
        instance: Some(client.instance),
        request: details
            .request
            .clone()
            .unwrap_or_else(|| NO_WORDS.to_owned()),
        wish,
        workflow: details.workflow.clone(),
        server: Some(app.authority.server_of(&resource)?),
    };
    let delegated = app
        .control
        .delegate(delegator(&subject), ask)
        .await
        .map_err(|problem| TokenRefusal::of("invalid_request", problem))?;
    Ok(Plan {
        task: delegated.task.id,
        resource,
        // The task is as wide as was asked for; the token carries all of it.
        wish: Wish::Whole,
        details,
        from: Some(Exchanged {
            subject,
            delegated: true,
        }),
        narrowed_by: delegated.narrowed_by,
    })
}

/// Whether a subject token says that another issuer made it: then it has to verify by that one's keys, and by nobody else's.
fn is_of_others(app: &App, token: &str) -> bool {
    let ours = [app.authority.issuer(), &app.authority.svid_issuer()];
    outside::issuer_of(token).is_ok_and(|issuer| !ours.contains(&issuer.as_str()))
}

/// A new task for the person whom an outside issuer's token tells of.
async fn plan_for_user(
    app: &App,
    form: &TokenForm,
    client: &Client,
    token: &str,
) -> Result<Plan, TokenRefusal> {
    let details = match given(form.authorization_details.as_deref()) {
        Some(text) => Details::read(text)?,
        None => Details::none(),
    };
    if details.named_task().is_some() {
        return Err(unusable(
            "the task that a user's token is exchanged for is a new one",
        ));
    }
    let resource = named_target(form)?;
    let server = app.authority.server_of(&resource)?;
    let unfit = |problem| TokenRefusal::of("invalid_request", problem);
    let (user, until) = app
        .issuers
        .user(token, &client.agent)
        .await
        .map_err(unfit)?;
    let ask = ForUser {
        by: client.id.clone(),
        agent: client.agent.clone(),
        instance: client.instance,
        user,
        until,
        request: details
            .request
            .clone()
            .unwrap_or_else(|| NO_WORDS.to_owned()),
        wish: details.wish(form.scope.as_deref())?,
        workflow: details.workflow.clone(),
        server,
    };
    let opened = app.control.open_for_user(ask).await.map_err(unfit)?;
    Ok(Plan {
        task: opened.task.id,
        resource,
        // The task is as wide as was asked for; the token carries all of it.
        wish: Wish::Whole,
        details,
        from: None,
        narrowed_by: opened.narrowed_by,
    })
}

/// Who delegates, by its token.
pub(crate) fn delegator(subject: &SubjectToken) -> Delegator {
    Delegator {
        id: subject.holder_id().clone(),
        instance: subject.holder(),
        task: subject.task(),
        scope_digest: subject.scope_digest(),
        grants: subject.grants().map(<[_]>::to_vec),
        lineage: subject.lineage(),
        epoch: subject.epoch(),
    }
}

fn check_types(form: &TokenForm, person: bool) -> Result<(), TokenRefusal> {
    let is_token = |kind: &str| matches!(kind, ACCESS_TOKEN | JWT);
    let is_subject = |kind: &str| is_token(kind) || (person && kind == ID_TOKEN);
    let subject = wanted("subject_token_type", form.subject_token_type.as_deref())?;
    let requested = given(form.requested_token_type.as_deref());
    if !is_subject(subject) || requested.is_some_and(|kind| !is_token(kind)) {
        let message =
            format!("this endpoint exchanges task tokens for task tokens: {ACCESS_TOKEN}");
        return Err(invalid_request(&message));
    }
    Ok(())
}

/// The actor is the client: if it is named (RFC 8693 §2.1), then by its own JWT-SVID.
async fn check_actor(app: &App, form: &TokenForm, client: &Client) -> Result<(), TokenRefusal> {
    let token = given(form.actor_token.as_deref());
    let kind = given(form.actor_token_type.as_deref());
    let (Some(token), Some(JWT)) = (token, kind) else {
        if token.is_none() && kind.is_none() {
            return Ok(());
        }
        let message = format!("`actor_token` is a JWT-SVID, with `actor_token_type` {JWT}");
        return Err(invalid_request(&message));
    };
    // RFC 8693 §2.2.2: an actor token that is unfit is an invalid request.
    let actor = app
        .authority
        .client(token)
        .await
        .map_err(|refusal| TokenRefusal {
            error: "invalid_request",
            ..refusal
        })?;
    if actor != *client {
        return Err(invalid_request(
            "`actor_token` is another party's than the client's",
        ));
    }
    Ok(())
}

/// The resource that is named, once or twice alike (RFC 8707 §2, RFC 8693 §2.1).
fn named_target(form: &TokenForm) -> Result<String, TokenRefusal> {
    let mut named = [form.resource.as_deref(), form.audience.as_deref()]
        .into_iter()
        .filter_map(given);
    match (named.next(), named.next()) {
        (Some(one), None) => Ok(one.to_owned()),
        (Some(one), Some(other)) if one == other => Ok(one.to_owned()),
        (None, _) => Err(invalid_request("`resource` is missing")),
        _ => Err(TokenRefusal::new(
            "invalid_target",
            Code::ResourceUnknown,
            "a token is for one resource",
            "name it with `resource`",
        )),
    }
}

/// The resource: the subject token's own, however it is named (RFC 8707 §2, RFC 8693 §2.1).
fn target(app: &App, form: &TokenForm, subject: &SubjectToken) -> Result<String, TokenRefusal> {
    let named = [form.resource.as_deref(), form.audience.as_deref()];
    let other = named
        .into_iter()
        .filter_map(given)
        .find(|named| *named != subject.resource());
    if other.is_some() {
        return Err(TokenRefusal::new(
            "invalid_target",
            Code::ResourceUnknown,
            "a token is exchanged for its own resource alone",
            subject.resource(),
        ));
    }
    app.authority.server_of(subject.resource())?;
    Ok(subject.resource().to_owned())
}
