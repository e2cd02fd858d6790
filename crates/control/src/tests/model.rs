//! Random courses of tasks and approvals against a model of their state machines, the same on SQLite and on PostgreSQL: what each step answers,
//! and the state of everything after it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::account::Role;
use bailiwick_core::approval::ApprovalState;
use bailiwick_core::fence::Subject;
use bailiwick_core::id::ApprovalId;
use bailiwick_core::task::{Task, TaskState};
use bailiwick_core::{Code, Digest};
use bailiwick_crypto::system::{SystemClock, SystemRng};
use bailiwick_store::{PostgresStore, Store};
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::bench_node::{Bench, admin, open, person, question};
use super::postgres::{Server, url};
use crate::approvals::Answer;
use crate::revocation::Wait;
use crate::tasks::OpenTask;

/// Steps of one course.
const STEPS: usize = 40;
/// Courses on SQLite, and of these on PostgreSQL too.
const COURSES: u32 = 16;
const ON_POSTGRES: u32 = 4;
/// For how long a yes can be used, as [`question`] has it; an unanswered question lasts half an hour.
const VALID: u64 = 60;
const PENDING: u64 = 30 * 60;
/// The task's own user is the first of them.
const PEOPLE: [&str; 3] = ["alice", "rita", "sam"];

/// One step; numbers pick among what there is.
#[derive(Debug, Clone)]
enum Step {
    Open {
        life: u64,
    },
    Delegate {
        task: usize,
        life: u64,
    },
    End {
        task: usize,
        completed: bool,
    },
    Revoke {
        task: usize,
    },
    Ask {
        task: usize,
        call: u8,
        quorum: u32,
    },
    Answer {
        approval: usize,
        person: usize,
        yes: bool,
    },
    Consume {
        approval: usize,
        right: bool,
    },
    Later {
        seconds: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let life = || prop_oneof![Just(50), Just(600), Just(4_000)];
    let pick = any::<usize>;
    prop_oneof![
        2 => life().prop_map(|life| Step::Open { life }),
        2 => (pick(), life()).prop_map(|(task, life)| Step::Delegate { task, life }),
        1 => (pick(), any::<bool>()).prop_map(|(task, completed)| Step::End { task, completed }),
        1 => pick().prop_map(|task| Step::Revoke { task }),
        4 => (pick(), 0..2_u8, 1..=2_u32).prop_map(|(task, call, quorum)| Step::Ask { task, call, quorum }),
        6 => (pick(), 0..PEOPLE.len(), prop_oneof![4 => Just(true), 1 => Just(false)])
            .prop_map(|(approval, person, yes)| Step::Answer { approval, person, yes }),
        4 => (pick(), prop_oneof![4 => Just(true), 1 => Just(false)])
            .prop_map(|(approval, right)| Step::Consume { approval, right }),
        2 => prop_oneof![Just(1), Just(61), Just(700), Just(1_900)].prop_map(|seconds| Step::Later { seconds }),
    ]
}

/// What should be true of a task.
#[derive(Debug, Clone)]
struct ModelTask {
    parent: Option<usize>,
    depth: usize,
    until: u64,
    state: TaskState,
}

/// What should be true of an approval.
#[derive(Debug, Clone)]
struct ModelApproval {
    task: usize,
    call: u8,
    quorum: u32,
    votes: Vec<usize>,
    until: u64,
    state: ApprovalState,
}

/// The state machines, in as few words as they have.
#[derive(Debug, Default)]
struct Model {
    now: u64,
    tasks: Vec<ModelTask>,
    approvals: Vec<ModelApproval>,
}

/// What a step answers.
type Answered = Result<(), Code>;

impl Model {
    fn is_open(&self, task: usize) -> bool {
        self.tasks[task].state == TaskState::Open
    }

    fn closed(&self, task: usize) -> Code {
        match self.tasks[task].state {
            TaskState::Expired => Code::TaskExpired,
            TaskState::Revoked => Code::Revoked,
            _ => Code::TaskEnded,
        }
    }

    /// Ends a task; what hangs on it is not completed but cancelled.
    fn end(&mut self, task: usize, state: TaskState) {
        if !self.is_open(task) {
            return;
        }
        self.tasks[task].state = state;
        let below = match state {
            TaskState::Completed => TaskState::Cancelled,
            other => other,
        };
        for approval in self.approvals.iter_mut().filter(|it| it.task == task) {
            if matches!(
                approval.state,
                ApprovalState::Pending | ApprovalState::Approved
            ) {
                approval.state = if approval.until <= self.now {
                    ApprovalState::Expired
                } else {
                    ApprovalState::Void
                };
            }
        }
        for child in 0..self.tasks.len() {
            if self.tasks[child].parent == Some(task) {
                self.end(child, below);
            }
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += seconds;
        for task in 0..self.tasks.len() {
            if self.tasks[task].until <= self.now {
                self.end(task, TaskState::Expired);
            }
        }
        for approval in &mut self.approvals {
            let live = matches!(
                approval.state,
                ApprovalState::Pending | ApprovalState::Approved
            );
            if live && approval.until <= self.now {
                approval.state = ApprovalState::Expired;
            }
        }
    }

    /// The approval that the same call waits for or could use, if its answer is enough.
    fn joined(&self, task: usize, call: u8, quorum: u32) -> Option<usize> {
        let live = self.approvals.iter().position(|it| {
            let live = matches!(it.state, ApprovalState::Pending | ApprovalState::Approved);
            live && it.task == task && it.call == call
        })?;
        (self.approvals[live].quorum >= quorum).then_some(live)
    }

    fn ask(&mut self, task: usize, call: u8, quorum: u32) -> Result<usize, Code> {
        if !self.is_open(task) {
            return Err(self.closed(task));
        }
        if let Some(live) = self.joined(task, call, quorum) {
            return Ok(live);
        }
        for other in &mut self.approvals {
            let live = matches!(
                other.state,
                ApprovalState::Pending | ApprovalState::Approved
            );
            if live && other.task == task && other.call == call {
                other.state = ApprovalState::Void;
            }
        }
        self.approvals.push(ModelApproval {
            task,
            call,
            quorum,
            votes: Vec::new(),
            until: self.now + PENDING,
            state: ApprovalState::Pending,
        });
        Ok(self.approvals.len() - 1)
    }

    fn answer(&mut self, approval: usize, person: usize, yes: bool) -> Answered {
        let now = self.now;
        let approval = &mut self.approvals[approval];
        if approval.state != ApprovalState::Pending {
            return Err(spent(approval.state));
        }
        let benefits = yes && approval.quorum > 1 && person == 0;
        if benefits || approval.votes.contains(&person) {
            return Err(Code::SecondPerson);
        }
        approval.votes.push(person);
        if !yes {
            approval.state = ApprovalState::Denied;
        } else if approval.votes.len() >= approval.quorum as usize {
            approval.state = ApprovalState::Approved;
            approval.until = now + VALID;
        }
        Ok(())
    }

    fn consume(&mut self, approval: usize, right: bool) -> Answered {
        let approval = &mut self.approvals[approval];
        if approval.state != ApprovalState::Approved {
            return Err(spent(approval.state));
        }
        if !right {
            return Err(Code::ApprovalChanged);
        }
        approval.state = ApprovalState::Consumed;
        Ok(())
    }
}

const fn spent(state: ApprovalState) -> Code {
    match state {
        ApprovalState::Denied => Code::ApprovalDenied,
        ApprovalState::Void => Code::ApprovalVoid,
        ApprovalState::Expired => Code::ApprovalExpired,
        _ => Code::ApprovalUsed,
    }
}

/// A node beside the model.
struct Course {
    bench: Bench,
    model: Model,
    tasks: Vec<Task>,
    approvals: Vec<ApprovalId>,
}

impl Course {
    fn new(bench: Bench) -> Self {
        Self {
            bench,
            model: Model::default(),
            tasks: Vec::new(),
            approvals: Vec::new(),
        }
    }

    async fn run(mut self, steps: &[Step]) {
        for (number, step) in steps.iter().enumerate() {
            let (got, expected) = self.step(step).await;
            assert_eq!(got, expected, "step {number} {step:?} of {steps:?}");
            self.compare(&format!("after step {number} {step:?} of {steps:?}"))
                .await;
        }
        let left = self.bench.control.end_leftovers(&admin()).await;
        assert_eq!(left.unwrap(), Vec::new(), "{steps:?}");
    }

    /// What the node answers, and what it should.
    async fn step(&mut self, step: &Step) -> (Answered, Answered) {
        match *step {
            Step::Open { life } => self.open(None, life).await,
            Step::Delegate { task, life } => match pick(task, self.tasks.len()) {
                // Deeper than the node lets delegate is another test's.
                Some(task) if self.model.tasks[task].depth < 3 => self.open(Some(task), life).await,
                _ => (Ok(()), Ok(())),
            },
            Step::End { task, completed } => {
                let Some(task) = pick(task, self.tasks.len()) else {
                    return (Ok(()), Ok(()));
                };
                let state = if completed {
                    TaskState::Completed
                } else {
                    TaskState::Cancelled
                };
                let id = self.tasks[task].id;
                let ended = self.bench.control.end_task(&admin(), id, state).await;
                let expected = if self.model.is_open(task) {
                    self.model.end(task, state);
                    Ok(())
                } else {
                    Err(Code::TaskEnded)
                };
                // Whatever ended it, it has ended.
                let got = ended.map(drop).map_err(|_| Code::TaskEnded);
                (got, expected)
            }
            Step::Revoke { task } => {
                let Some(task) = pick(task, self.tasks.len()) else {
                    return (Ok(()), Ok(()));
                };
                let subject = Subject::Task(self.tasks[task].id);
                let control = &self.bench.control;
                let revoked = control
                    .revoke(&admin(), vec![subject], "a reason".into(), Wait::None)
                    .await;
                self.model.end(task, TaskState::Revoked);
                (revoked.map(drop).map_err(|problem| problem.code), Ok(()))
            }
            Step::Ask { task, call, quorum } => self.ask(task, call, quorum).await,
            Step::Answer {
                approval,
                person: who,
                yes,
            } => {
                let Some(approval) = pick(approval, self.approvals.len()) else {
                    return (Ok(()), Ok(()));
                };
                let (id, control) = (self.approvals[approval], &self.bench.control);
                let view = control.approval(&admin(), id).await.unwrap();
                let answer = Answer {
                    approve: yes,
                    reason: "a reason".into(),
                    shown_digest: Some(view.shown_digest),
                    more: None,
                };
                let who = person(PEOPLE[who], &[Role::Approver]);
                let answered = control.answer(&who, id, answer).await;
                let who = PEOPLE.iter().position(|name| *name == who.name).unwrap();
                (
                    answered.map(drop).map_err(|problem| problem.code),
                    self.model.answer(approval, who, yes),
                )
            }
            Step::Consume { approval, right } => {
                let Some(approval) = pick(approval, self.approvals.len()) else {
                    return (Ok(()), Ok(()));
                };
                let known = &self.model.approvals[approval];
                let digest = if right {
                    digest(known.task, known.call)
                } else {
                    Digest([0; 32])
                };
                let used = self
                    .bench
                    .control
                    .consume(self.approvals[approval], digest)
                    .await;
                (
                    used.map(drop).map_err(|problem| problem.code),
                    self.model.consume(approval, right),
                )
            }
            Step::Later { seconds } => {
                self.bench.later(Duration::from_secs(seconds));
                self.model.pass(seconds);
                let swept = self.bench.control.sweep_once().await;
                (swept.map_err(|problem| problem.code), Ok(()))
            }
        }
    }

    async fn open(&mut self, parent: Option<usize>, life: u64) -> (Answered, Answered) {
        let wanted = OpenTask {
            parent: parent.map(|parent| self.tasks[parent].id),
            ttl: Some(Duration::from_secs(life)),
            ..open("coder")
        };
        let opened = self.bench.control.open_task(&admin(), wanted).await;
        if let Some(parent) = parent
            && !self.model.is_open(parent)
        {
            return (
                opened.map(drop).map_err(|problem| problem.code),
                Err(self.model.closed(parent)),
            );
        }
        let above = parent.map(|parent| self.model.tasks[parent].clone());
        let until = self.model.now + life;
        self.model.tasks.push(ModelTask {
            parent,
            depth: above.as_ref().map_or(0, |above| above.depth + 1),
            until: above.map_or(until, |above| until.min(above.until)),
            state: TaskState::Open,
        });
        let got = opened.map(|task| self.tasks.push(task));
        (got.map_err(|problem| problem.code), Ok(()))
    }

    async fn ask(&mut self, task: usize, call: u8, quorum: u32) -> (Answered, Answered) {
        let Some(task) = pick(task, self.tasks.len()) else {
            return (Ok(()), Ok(()));
        };
        let mut wanted = question(&self.tasks[task], quorum);
        wanted.call_digest = digest(task, call);
        let asked = self.bench.control.ask(wanted).await;
        let expected = self.model.ask(task, call, quorum);
        if let (Ok(asked), Ok(at)) = (&asked, &expected) {
            match self.approvals.get(*at) {
                Some(known) => assert_eq!(asked.id, *known, "it did not join"),
                None => self.approvals.push(asked.id),
            }
        }
        (
            asked.map(drop).map_err(|problem| problem.code),
            expected.map(drop),
        )
    }

    async fn compare(&self, when: &str) {
        let control = &self.bench.control;
        for (task, expected) in self.tasks.iter().zip(&self.model.tasks) {
            let found = control.task(&admin(), task.id).await.unwrap();
            assert_eq!(found.state, expected.state, "task {when}");
        }
        for (id, expected) in self.approvals.iter().zip(&self.model.approvals) {
            let found = control.approval(&admin(), *id).await.unwrap().approval;
            assert_eq!(found.state, expected.state, "approval {when}");
            let votes: Vec<&str> = found
                .votes
                .iter()
                .map(|vote| vote.account.as_str())
                .collect();
            let people: Vec<&str> = expected.votes.iter().map(|&at| PEOPLE[at]).collect();
            assert_eq!(votes, people, "votes {when}");
        }
    }
}

fn pick(number: usize, among: usize) -> Option<usize> {
    number.checked_rem(among)
}

fn digest(task: usize, call: u8) -> Digest {
    let mut bytes = [7; 32];
    bytes[0] = u8::try_from(task).unwrap();
    bytes[1] = call;
    Digest(bytes)
}

/// A store in a database of its own.
fn on_postgres(server: &Server, password: &Path, data: &Path, number: u32) -> Store {
    let database = format!("course{number}");
    server.sql(&format!("CREATE DATABASE {database} OWNER bailiwick"));
    let at = PostgresStore {
        url: url(&server.dir(), "bailiwick", &database),
        password_file: Some(password.to_owned()),
        ca_file: None,
        node: "node-1".to_owned(),
        others: false,
        patience: Duration::from_secs(20),
        clock: Arc::new(SystemClock),
        rng: Arc::new(SystemRng),
    };
    // On a thread of its own: it waits for the server.
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| Store::open_postgres(data, &at));
        opening.join().unwrap().unwrap()
    })
}

#[test]
fn random_courses_of_tasks_and_approvals_are_as_the_model_says_on_both_stores() {
    let server = Server::bare();
    server.create_store();
    let home = tempfile::tempdir().unwrap();
    let password = server.private_password(home.path());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    // The same courses each time: what fails can be looked into.
    let config = Config {
        cases: COURSES,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let steps = proptest::collection::vec(step(), STEPS);
    for course in 0..COURSES {
        let tree = steps.new_tree(&mut runner).unwrap();
        let steps = tree.current();
        runtime.block_on(async { Course::new(Bench::new().await).run(&steps).await });
        if course < ON_POSTGRES {
            let bench = Bench::on(|data| on_postgres(&server, &password, data, course));
            runtime.block_on(async { Course::new(bench.await).run(&steps).await });
        }
    }
}
