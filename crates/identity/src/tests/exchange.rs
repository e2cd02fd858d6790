//! Token exchange: narrower for its holder alone, handed on only to whom it names, and never fresher than what it came from.

use std::time::Duration;

use bailiwick_core::event::EventType;
use bailiwick_core::id::TaskId;
use bailiwick_core::risk::Risk;
use bailiwick_core::scope::{Draft, Narrowing, Wish, from_oauth};
use bailiwick_core::task::Task;
use bailiwick_core::{Clock, Code};
use bailiwick_crypto::jose;
use bailiwick_crypto::keys::SigningKey;
use bailiwick_crypto::token::Verifier;
use bailiwick_crypto::token::task::{Confirmation, MAX_PARENTS, TaskClaims, TaskToken};

use super::bench_authority::{Bench, GATEWAY, ISSUER, found};
use crate::exchange::{Client, Exchanged, Issued, SubjectToken, TokenAsk, TokenRefusal};

/// One process with its key.
struct Party {
    client: Client,
    key: SigningKey,
}

impl Party {
    async fn new(bench: &Bench, pid: u32) -> Self {
        let svid = bench.authority.jwt_svid(found(pid), vec![ISSUER.into()]);
        let (_, assertion) = svid.await.unwrap();
        Self {
            client: bench.authority.client(assertion.expose()).await.unwrap(),
            key: SigningKey::generate().unwrap(),
        }
    }

    fn ask(&self, task: TaskId) -> TokenAsk {
        TokenAsk {
            client: self.client.clone(),
            task,
            resource: format!("{GATEWAY}/mcp/files"),
            cnf: Some(Confirmation::Key(self.key.thumbprint().clone())),
            until: None,
            wish: Wish::Whole,
            may_act: None,
            from: None,
        }
    }

    /// A narrower token of the same task.
    fn exchange(&self, subject: &SubjectToken) -> TokenAsk {
        TokenAsk {
            from: Some(Exchanged {
                subject: subject.clone(),
                delegated: false,
            }),
            ..self.ask(subject.task())
        }
    }
}

async fn issue(bench: &Bench, ask: TokenAsk) -> Result<Issued, TokenRefusal> {
    bench.authority.issue_task_token(ask).await
}

async fn subject(bench: &Bench, ask: TokenAsk) -> SubjectToken {
    let issued = issue(bench, ask).await.unwrap();
    bench.authority.subject(issued.token.expose()).unwrap()
}

fn claims(bench: &Bench, issued: &Issued) -> TaskClaims {
    let keys = bench.authority.keyring().task_keys().clone();
    let resource = format!("{GATEWAY}/mcp/files");
    Verifier::<TaskToken>::new(keys, ISSUER, "example.org".parse().unwrap())
        .verify(issued.token.expose(), &resource, bench.clock.wall())
        .unwrap()
        .into_claims()
}

fn refusal(answer: Result<Issued, TokenRefusal>) -> (&'static str, Code) {
    let refusal = answer.map(|issued| issued.scope).unwrap_err();
    (refusal.error, refusal.problem.code)
}

fn exactly(tool: &str) -> Wish {
    let json =
        format!(r#"{{"grants":[{{"server":["files"],"tool":["{tool}"],"effects":["read"]}}]}}"#);
    Wish::Exact(serde_json::from_str::<Draft>(&json).unwrap())
}

async fn task(bench: &Bench) -> Task {
    bench.task("coder", Risk::Low).await
}

#[tokio::test]
async fn the_holder_gets_a_narrower_token_and_never_a_wider_one_back() {
    let bench = Bench::new().await;
    let (party, task) = (Party::new(&bench, 7).await, task(&bench).await);
    let first = subject(&bench, party.ask(task.id)).await;
    let ask = TokenAsk {
        wish: exactly("read_*"),
        ..party.exchange(&first)
    };
    let issued = issue(&bench, ask).await.unwrap();
    let narrow = claims(&bench, &issued);
    assert_eq!(narrow.bailiwick.parents, [first.id()]);
    assert_eq!(
        narrow.task().unwrap().scope_digest,
        task.scope_digest,
        "the task is the same"
    );
    let grants = narrow.task().unwrap().grants.clone().unwrap();
    assert_eq!(grants[0].tool.to_string(), "read_*");

    let narrow = bench.authority.subject(issued.token.expose()).unwrap();
    // Without a wish it stays what it is, and its own is the widest there is.
    let same = issue(&bench, party.exchange(&narrow)).await.unwrap();
    assert_eq!(same.details.grants.as_ref(), Some(&grants));
    for wider in ["*", "write_file"] {
        let ask = TokenAsk {
            wish: exactly(wider),
            ..party.exchange(&narrow)
        };
        let answer = refusal(issue(&bench, ask).await);
        assert_eq!(
            answer,
            ("invalid_scope", Code::DelegationWidening),
            "{wider}"
        );
    }
    let words = TokenAsk {
        wish: Wish::Words(from_oauth("files:read").unwrap()),
        ..party.exchange(&narrow)
    };
    let issued = issue(&bench, words).await.unwrap();
    assert_eq!(issued.narrowed_by, [Narrowing::Task]);
    assert_eq!(issued.details.grants, Some(grants));
    let parents = claims(&bench, &issued).bailiwick.parents;
    assert_eq!(parents, [narrow.id(), first.id()]);
}

#[tokio::test]
async fn a_subject_is_of_use_with_its_key_alone() {
    let bench = Bench::new().await;
    let (party, task) = (Party::new(&bench, 7).await, task(&bench).await);
    let held = subject(&bench, party.ask(task.id)).await;
    let thief = TokenAsk {
        cnf: Some(Confirmation::Key(
            SigningKey::generate().unwrap().thumbprint().clone(),
        )),
        until: None,
        ..party.exchange(&held)
    };
    assert_eq!(
        refusal(issue(&bench, thief).await),
        ("invalid_request", Code::KeyMismatch)
    );
    // Another process with the token: neither the task is its own, nor is the key.
    let other = Party::new(&bench, 8).await;
    assert_eq!(
        refusal(issue(&bench, other.exchange(&held)).await),
        ("invalid_request", Code::NotFound)
    );
    let refused = held.admits(&other.client).unwrap_err();
    assert_eq!(
        (refused.error, refused.problem.code),
        ("invalid_request", Code::MayAct)
    );
}

#[tokio::test]
async fn may_act_names_an_agent_or_one_process() {
    let bench = Bench::new().await;
    let (party, task) = (Party::new(&bench, 7).await, task(&bench).await);
    let other = Party::new(&bench, 8).await;
    let named = |sub: &str| TokenAsk {
        may_act: Some(sub.parse().unwrap()),
        ..party.ask(task.id)
    };
    let agent = subject(&bench, named("spiffe://example.org/agent/coder")).await;
    agent.admits(&other.client).unwrap();
    let process = subject(&bench, named(other.client.id.as_str())).await;
    process.admits(&other.client).unwrap();
    process
        .admits(&Party::new(&bench, 9).await.client)
        .unwrap_err();
    for stranger in [
        "spiffe://example.com/agent/coder",
        "spiffe://example.org/node/one",
        "spiffe://example.org/agent/coder/inst_1",
    ] {
        let answer = refusal(issue(&bench, named(stranger)).await);
        assert_eq!(
            answer,
            ("invalid_request", Code::InvalidInput),
            "{stranger}"
        );
    }
}

/// What a token says of its chain is ours to say: whatever else comes is no subject.
#[tokio::test]
async fn trap_09_chain_of_a_forged_subject() {
    let bench = Bench::new().await;
    let (party, task) = (Party::new(&bench, 7).await, task(&bench).await);
    let issued = issue(&bench, party.ask(task.id)).await.unwrap();
    let good = issued.token.expose().clone();
    let refused = |token: &str| {
        let refusal = bench.authority.subject(token).unwrap_err();
        assert_eq!(refusal.error, "invalid_request");
        refusal.problem.code
    };
    let mut forged = serde_json::to_value(claims(&bench, &issued)).unwrap();
    forged["act"]["act"] = forged["act"].clone();
    // Signed by somebody, and under our own key's id.
    let stranger = jose::sign(&party.key, Some("at+jwt"), &forged).unwrap();
    assert_eq!(refused(&stranger), Code::TokenInvalid);
    let (signed, _) = good.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let (_, rest) = stranger.split_once('.').unwrap();
    assert_eq!(refused(&format!("{header}.{rest}")), Code::TokenInvalid);
    // Another class, and one that has ended.
    let (_, svid) = bench
        .authority
        .jwt_svid(found(7), vec![ISSUER.into()])
        .await
        .unwrap();
    assert_eq!(refused(svid.expose()), Code::TokenClass);
    bench.later(Duration::from_mins(6));
    assert_eq!(refused(&good), Code::TokenExpired);
}

#[tokio::test]
async fn nothing_is_exchanged_under_a_fence() {
    for kind in ["token", "parent", "key", "task/", "agent/coder"] {
        let bench = Bench::new().await;
        let (party, task) = (Party::new(&bench, 7).await, task(&bench).await);
        let first = subject(&bench, party.ask(task.id)).await;
        let second = subject(&bench, party.exchange(&first)).await;
        let fence = match kind {
            "token" => format!("token/{}", second.id()),
            "parent" => format!("token/{}", first.id()),
            "key" => format!("key/{}", party.key.thumbprint()),
            "task/" => format!("task/{}", task.id),
            other => other.to_owned(),
        };
        bench.fence(&fence).await;
        let answer = refusal(issue(&bench, party.exchange(&second)).await);
        assert_eq!(answer, ("invalid_request", Code::Revoked), "{kind}");
        // A fence on the token is none on its task: that is what revoking a leaked token is for.
        let fresh = issue(&bench, party.ask(task.id)).await;
        assert_eq!(fresh.is_ok(), matches!(kind, "token" | "parent"), "{kind}");
    }
}

#[tokio::test]
async fn an_exchange_prolongs_nothing_and_has_an_end() {
    let bench = Bench::new().await;
    let (party, task) = (Party::new(&bench, 7).await, task(&bench).await);
    let mut held = subject(&bench, party.ask(task.id)).await;
    bench.later(Duration::from_mins(4));
    let issued = issue(&bench, party.exchange(&held)).await.unwrap();
    assert_eq!(issued.expires_in, 60, "what was left of the first");
    for _ in 0..MAX_PARENTS {
        held = subject(&bench, party.exchange(&held)).await;
    }
    let answer = refusal(issue(&bench, party.exchange(&held)).await);
    assert_eq!(answer, ("invalid_request", Code::DelegationDepth));
    let events = bench.journal.events.lock().unwrap();
    let last = events
        .iter()
        .rfind(|event| event.kind == EventType::TokenIssued)
        .unwrap();
    assert!(
        last.change.as_ref().unwrap().before.is_some(),
        "the record says what it came from"
    );
}

#[tokio::test]
async fn grants_that_no_token_can_hold_are_refused_before_anything_is_kept() {
    let bench = Bench::new().await;
    let (party, task) = (Party::new(&bench, 7).await, task(&bench).await);
    let tools: Vec<String> = (0..60).map(|at| format!("tool_{at:0>60}")).collect();
    let grants = serde_json::json!({ "grants": [{ "server": ["files"], "tool": tools, "effects": ["read"] }] });
    let ask = TokenAsk {
        wish: Wish::Exact(serde_json::from_value(grants).unwrap()),
        ..party.ask(task.id)
    };
    let answer = refusal(issue(&bench, ask).await);
    assert_eq!(answer, ("invalid_scope", Code::ScopeTooLarge));
    // Budget, deadline and depth are the task's.
    let own = r#"{"grants":[{"server":["files"],"tool":["*"],"effects":["read"]}],"depth":1}"#;
    let ask = TokenAsk {
        wish: Wish::Exact(serde_json::from_str(own).unwrap()),
        ..party.ask(task.id)
    };
    let answer = refusal(issue(&bench, ask).await);
    assert_eq!(answer, ("invalid_scope", Code::InvalidInput));
    let id = task.id;
    let kept = bench.store.read(move |rows| rows.tokens_of_task(id)).await;
    let kept: Vec<bailiwick_store::TokenRow> =
        kept.map_err(|_: bailiwick_store::StoreError| ()).unwrap();
    assert!(kept.is_empty());
}

/// The deepest grant there is has to fit the bound on nesting with which tokens are read.
#[tokio::test]
async fn a_token_holds_grants_with_arguments() {
    let bench = Bench::new().await;
    let (party, task) = (Party::new(&bench, 7).await, task(&bench).await);
    let grants = serde_json::json!({ "grants": [{ "server": ["files"], "tool": ["read_file"], "effects": ["read"],
        "args": { "/a": { "ints": { "min": 1, "max": 900 } }, "/b": { "in": [1, "x"] } }, "resources": ["u:/a/*"] }] });
    let ask = TokenAsk {
        wish: Wish::Exact(serde_json::from_value(grants).unwrap()),
        ..party.ask(task.id)
    };
    let issued = issue(&bench, ask).await.unwrap();
    let held = claims(&bench, &issued).task().unwrap().grants.clone();
    assert_eq!(held, issued.details.grants);
    assert_eq!(held.unwrap()[0].args.len(), 2);
}

#[tokio::test]
async fn a_lift_revives_no_token_by_exchange() {
    let bench = Bench::new().await;
    let (party, task) = (Party::new(&bench, 7).await, task(&bench).await);
    let held = subject(&bench, party.ask(task.id)).await;
    let fence = bench.fence("server/files").await;
    bench.lift(fence).await;
    let answer = refusal(issue(&bench, party.exchange(&held)).await);
    assert_eq!(answer, ("invalid_request", Code::Revoked));
    let fresh = subject(&bench, party.ask(task.id)).await;
    issue(&bench, party.exchange(&fresh)).await.unwrap();
}
