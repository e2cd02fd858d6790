//! The beginning of a launch: who asks and for which process, the task, the instance, the leases. Whatever fails takes back what came
//! before it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_control::leases::{Holder, Take};
use bailiwick_control::tasks::OpenTask;
use bailiwick_core::lease::Delivery;
use bailiwick_core::name::UserId;
use bailiwick_core::task::{Request, RequestSource, Task, TaskState};
use bailiwick_core::{Code, Fault, Problem};
use bailiwick_enforce::Caller;
use bailiwick_enforce::live::{Cut, Entered};
use bailiwick_identity::attest::{start_time_of, waiting_child};
use bailiwick_identity::authority::Attested;
use bailiwick_identity::launches::{Begun, Launch};
use bailiwick_identity::peer::Peer;

use super::protocol::{Handed, MAX_KEPT, MAX_LEASES, Open, Opened, VERSION};
use super::way_out::WayOut;
use super::{Launchpad, Running};
use crate::http::guard::not_an_agent;

/// Longest program name and variable name that is put on record.
const MAX_NAME: usize = 64;

impl Launchpad {
    pub(super) async fn begin(&self, peer: Peer, open: Open) -> Result<(Running, Opened), Problem> {
        check(&open)?;
        // An agent starts no other one, and not itself anew, by being the same user as a person.
        not_an_agent(&self.app, &peer)
            .await
            .map_err(|refused| refused.0)?;
        let (waiting, pidfd) = waiting_child(&peer, open.pid).map_err(|error| error.problem())?;
        let control = &self.app.control;
        let agent = control.launchable(peer.uid, open.agent.clone()).await?;
        let user = self.user(&open, peer.uid)?;
        let task = control
            .launch(
                peer.uid,
                OpenTask {
                    agent,
                    user,
                    // A person typed it, or a script of theirs: nothing of the agent has run yet.
                    request: Request {
                        text: open.task.clone(),
                        source: RequestSource::User,
                    },
                    workflow: open.workflow.clone(),
                    scope: None,
                    ttl: open.ttl_s.map(Duration::from_secs),
                    parent: None,
                },
            )
            .await?;
        let id = task.id;
        let authority = &self.app.authority;
        let launched = authority
            .launch(&task.agent, &waiting, on_record(&open))
            .await;
        let attested = match launched {
            Ok(attested) => attested,
            Err(error) => {
                let problem = error.problem();
                authority
                    .refused(
                        bailiwick_core::event::EventType::InstanceRefused,
                        "launch",
                        &format!("uid:{}", peer.uid),
                        &problem,
                    )
                    .await;
                self.end_task(peer.uid, id, TaskState::Cancelled).await;
                return Err(problem);
            }
        };
        let (uid, instance) = (peer.uid, attested.instance.id);
        match self.stand(&peer, &attested, task).await {
            Ok((task, begun, entered)) => {
                let mut running = Running {
                    peer,
                    waiting,
                    pidfd: Arc::new(pidfd),
                    attested,
                    task,
                    begun,
                    entered,
                    leases: Vec::new(),
                    way_out: None,
                };
                match self.equip(&mut running, &open).await {
                    Ok(opened) => Ok((running, opened)),
                    Err(problem) => {
                        self.end(running, TaskState::Cancelled).await;
                        Err(problem)
                    }
                }
            }
            Err(problem) => {
                self.end_instance(instance).await;
                self.end_task(uid, id, TaskState::Cancelled).await;
                Err(problem)
            }
        }
    }

    /// On whose behalf. Only who administers the node speaks for others.
    fn user(&self, open: &Open, uid: u32) -> Result<UserId, Problem> {
        let own = format!("user:unix:{uid}");
        match &open.user {
            Some(user) if user.as_str() != own && !self.app.admin_uids.contains(&uid) => {
                Err(Problem::new(
                    Code::NotPermitted,
                    format!("user {uid} may not start an agent for {user}"),
                    "leave --user out; who may use the admin socket may name another",
                ))
            }
            Some(user) => Ok(user.clone()),
            None => own
                .parse()
                .map_err(|error| Problem::new(Code::Internal, format!("{error}"), "")),
        }
    }

    /// The task is the instance's, the launch is known, and it is in the live index before its fences are looked at.
    async fn stand(
        &self,
        peer: &Peer,
        attested: &Attested,
        task: Task,
    ) -> Result<(Task, Begun, Entered), Problem> {
        let task = self.app.control.bind(task.id, &attested.instance).await?;
        let caller = Caller::attested(task.id, attested.instance.id);
        let entered = self.app.gateway.stand(&caller)?;
        let launch = Launch {
            instance: attested.instance.id,
            task: task.id,
            agent: attested.agent.name.clone(),
        };
        let launcher = start_time_of(peer.pid).map(|start| (peer.pid, start));
        let begun = launcher
            .filter(|_| bailiwick_identity::attest::still_there(peer))
            .and_then(|launcher| self.app.launches.begin(launcher, launch));
        let begun = begun.ok_or_else(|| {
            Problem::new(
                Code::Overloaded,
                "this launcher has a launch already, or too many run",
                "wait for others to end",
            )
        })?;
        Ok((task, begun, entered))
    }

    /// Everything that the program is given.
    async fn equip(&self, running: &mut Running, open: &Open) -> Result<Opened, Problem> {
        let leases = self.lease(running, open).await?;
        let mut opened = self.opened(running, leases);
        if self.app.gateway.has_connectors() {
            let (task, instance) = (running.task.id, running.attested.instance.id);
            let bound = WayOut::bind(task, instance, &*self.app.rng).await;
            let (way_out, url, token) = bound.map_err(|error| {
                let message = format!("no listener for the launch: {error}");
                Problem::new(Code::Overloaded, message, "wait for other launches to end")
            })?;
            running.way_out = Some(way_out);
            let own = [
                ("BAILIWICK_EGRESS_URL", url),
                ("BAILIWICK_RUN_TOKEN", token.expose().clone()),
            ];
            let own = own.map(|(name, value)| (name.to_owned(), value));
            opened.env.extend(own);
        }
        Ok(opened)
    }

    async fn lease(&self, running: &mut Running, open: &Open) -> Result<Vec<Handed>, Problem> {
        let mut handed = Vec::new();
        for credential in &open.leases {
            let by = Holder {
                task: running.task.id,
                instance: running.attested.instance.id,
                token: None,
            };
            let ask = Take {
                credential: credential.clone(),
                delivery: Delivery::Env,
                ttl: None,
                idempotency_key: None,
            };
            let taken = self.app.control.take_lease(by, ask).await?;
            running.leases.push(taken.lease.id);
            handed.push(Handed {
                credential: credential.clone(),
                lease: taken.lease.id,
                access: taken.access,
                secret: taken.secret.expose().clone(),
                not_after: taken.lease.not_after,
            });
        }
        Ok(handed)
    }

    fn opened(&self, running: &Running, leases: Vec<Handed>) -> Opened {
        let (attested, task) = (&running.attested, &running.task);
        let mut env: BTreeMap<String, String> = self.places.iter().cloned().collect();
        let own = [
            ("BAILIWICK_AGENT", attested.agent.name.to_string()),
            ("BAILIWICK_INSTANCE", attested.instance.id.to_string()),
            ("BAILIWICK_TASK", task.id.to_string()),
        ];
        env.extend(own.map(|(name, value)| (name.to_owned(), value)));
        let mut notes = Vec::new();
        if running.peer.uid == rustix::process::geteuid().as_raw() {
            notes.push(
                "the agent runs as the node's own user: nothing but its own manners keeps it from the node's files"
                    .to_owned(),
            );
        }
        Opened {
            agent: attested.agent.name.clone(),
            instance: attested.instance.id,
            task: task.id,
            deadline: task.expires_at.min(task.scope.deadline()),
            env,
            leases,
            notes,
        }
    }
}

/// What the bounds are; names are looked at because they are put on record.
fn check(open: &Open) -> Result<(), Problem> {
    if open.v != VERSION {
        return Err(Problem::new(
            Code::VersionUnsupported,
            format!(
                "version {} of the launch protocol is not spoken here",
                open.v
            ),
            "use the launcher of the node's release",
        ));
    }
    if open.leases.len() > MAX_LEASES || open.kept.len() > MAX_KEPT {
        return Err(Problem::new(
            Code::InvalidInput,
            format!("a launch takes at most {MAX_LEASES} --lease and {MAX_KEPT} --env"),
            "",
        ));
    }
    let plain = |name: &String| {
        let rest = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(rest)
    };
    match open.kept.iter().find(|name| !plain(name)) {
        None => Ok(()),
        Some(_) => Err(Problem::new(
            Code::InvalidInput,
            format!("a variable's name has 1 to {MAX_NAME} letters, digits and _"),
            "",
        )),
    }
}

/// What the record says of a launch: which program, and what was kept for it.
fn on_record(open: &Open) -> String {
    let program: String = open
        .program
        .chars()
        .filter(|letter| !letter.is_control())
        .take(MAX_NAME)
        .collect();
    let mut text = format!(
        "{program}; {} variables removed, {} of them with secrets",
        open.removed, open.secrets
    );
    if !open.kept.is_empty() {
        let kept = format!("; kept {}", open.kept.join(" "));
        text.extend(kept.chars().take(bailiwick_core::event::MAX_STRING / 2));
    }
    text
}

/// Why a launch was cut.
pub(super) fn cut(cut: &Cut) -> Problem {
    match &cut.fence {
        Some(fence) => Problem::new(
            Code::Revoked,
            format!("revoked ({fence}): {}", cut.reason),
            "nothing under a fence revives; a person has to start it anew",
        ),
        None => Problem::new(
            Code::TaskEnded,
            format!("the task ended: {}", cut.reason),
            "see `bailiwick audit task`",
        ),
    }
}

pub(super) fn unfit(why: &str) -> Problem {
    Problem::new(
        Code::InvalidInput,
        format!("the first line is no launch: {why}"),
        "start it with: bailiwick run -- COMMAND",
    )
}

pub(super) fn stopped() -> Problem {
    Problem::new(Code::Internal, "attestation stopped", "see the node's log")
}
