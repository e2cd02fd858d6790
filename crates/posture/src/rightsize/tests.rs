//! Known answers: what goes, what stays and why, and the file that says so.

use expect_test::expect;

use super::*;
use bailiwick_core::id::TaskId;

const NOW: i64 = 1_800_000_000;

fn at(days_ago: i64) -> Timestamp {
    Timestamp::from_secs(NOW - days_ago * 86_400)
}

fn task(number: u128) -> TaskId {
    format!("task_{number:026}").parse().unwrap()
}

fn tool(name: &str) -> ToolRef {
    name.parse().unwrap()
}

fn place(stage: &str) -> Place {
    Place {
        workflow: "default".parse().unwrap(),
        stage: stage.parse().unwrap(),
    }
}

type Grants = BTreeMap<Place, BTreeMap<ToolRef, Granted>>;

fn granted(tools: &[(&str, Effect)]) -> Grants {
    let tools = tools.iter().map(|(name, effect)| {
        let granted = Granted {
            effect: *effect,
            way: Way::Allow,
        };
        (tool(name), granted)
    });
    BTreeMap::from([(place("run"), tools.collect())])
}

const TOOLS: [(&str, Effect); 4] = [
    ("files/read", Effect::Read),
    ("files/list", Effect::Read),
    ("files/write", Effect::Write),
    ("files/grant", Effect::Escalate),
];

/// So many ended tasks over 20 days, each of which reads.
fn readers(tasks: u32) -> Usage {
    let mut usage = Usage::default();
    for number in 0..tasks {
        let ago = 20 - i64::from(number * 20 / tasks.max(1));
        let id = task(u128::from(number));
        usage.used(
            &place("run"),
            id,
            (&tool("files/read"), Effect::Read),
            at(ago),
        );
        usage.ended(id);
    }
    usage
}

fn names(proposal: &Proposal) -> Vec<String> {
    let removed = proposal.removed.iter();
    removed
        .map(|removed| format!("{} {}", removed.tool, removed.needed_by_at_most))
        .collect()
}

fn usual(usage: &Usage) -> Proposal {
    propose(
        usage,
        &granted(&TOOLS),
        &BTreeSet::new(),
        &Terms::USUAL,
        at(0),
    )
}

#[test]
fn what_nothing_used_goes_by_its_effect_once_enough_tasks_did_without() {
    assert_eq!(names(&usual(&readers(19))), Vec::<String>::new());
    assert_eq!(names(&usual(&readers(20))), ["files/grant 14"]);
    assert_eq!(
        names(&usual(&readers(59))),
        ["files/grant 5", "files/write 5"]
    );
    assert_eq!(
        names(&usual(&readers(299))),
        ["files/grant 1", "files/list 1", "files/write 1"]
    );
    let why: Vec<(String, Why)> = usual(&readers(59))
        .kept
        .iter()
        .map(|kept| (kept.tool.to_string(), kept.why))
        .collect();
    assert_eq!(
        why,
        [
            ("files/list".to_owned(), Why::SampleTooSmall),
            ("files/read".to_owned(), Why::Used)
        ]
    );
}

#[test]
fn a_sample_that_is_too_small_takes_nothing_and_says_what_is_missing() {
    let proposal = usual(&readers(3));
    assert_eq!(proposal.removed, []);
    assert_eq!(
        proposal.sample.missing,
        [
            "3 ended tasks are on record, 20 are asked for",
            "they lie 13 whole days apart, 14 are asked for"
        ]
    );
    let late = propose(
        &readers(30),
        &granted(&TOOLS),
        &BTreeSet::new(),
        &Terms::USUAL.over_days(60),
        Timestamp::from_secs(NOW + 40 * 86_400),
    );
    assert_eq!(late.removed, []);
    assert_eq!(
        late.sample.missing,
        [
            "they lie 19 whole days apart, 60 are asked for",
            "none of them is of the last 7 days"
        ]
    );
    let nothing = usual(&Usage::default());
    assert_eq!((nothing.kept.len(), nothing.removed.len()), (0, 0));
    // Tasks that still run have not done without yet.
    let mut running = readers(20);
    running.ended.clear();
    assert_eq!(usual(&running).removed, []);
}

#[test]
fn what_is_asked_for_or_cannot_be_placed_or_is_stale_stays() {
    let mut usage = readers(299);
    usage.used(
        &place("run"),
        task(7),
        (&tool("files/list"), Effect::Read),
        at(60),
    );
    usage.unplaced(&tool("files/write"));
    let asked = BTreeSet::from([tool("files/grant")]);
    let proposal = propose(&usage, &granted(&TOOLS), &asked, &Terms::USUAL, at(0));
    assert_eq!(proposal.removed, []);
    let why: Vec<Why> = proposal.kept.iter().map(|kept| kept.why).collect();
    assert_eq!(why, [Why::Asked, Why::Stale, Why::Used, Why::Unplaced]);
}

/// A tool that changed and waits for a look is granted to nobody now; a guard that did not name it would outlast the look.
#[test]
fn what_was_used_is_named_even_if_it_is_not_granted_now() {
    let mut usage = readers(20);
    usage.used(
        &place("run"),
        task(3),
        (&tool("mail/send"), Effect::Write),
        at(2),
    );
    usage.unplaced(&tool("mail/list"));
    let proposal = usual(&usage);
    let guard = guard(&Subject::Agent("coder".parse().unwrap()), 1, &proposal).unwrap();
    for named in ["mail/send", "mail/list", "files/read"] {
        assert!(guard.contains(&format!("\"{named}\"")), "{guard}");
    }
    // What is not registered any more has no action that a policy could name.
    usage.retain(|tool| tool.server.as_str() == "files");
    assert!(
        usual(&usage)
            .kept
            .iter()
            .all(|kept| kept.tool.server.as_str() == "files")
    );
}

#[test]
fn fewer_tasks_suffice_if_somebody_says_so_and_the_bound_is_honest() {
    let terms = Terms::USUAL.after_tasks(3).over_days(0);
    let proposal = propose(
        &readers(3),
        &granted(&TOOLS),
        &BTreeSet::new(),
        &terms,
        at(0),
    );
    assert_eq!(
        names(&proposal),
        ["files/grant 63.2", "files/list 63.2", "files/write 63.2"]
    );
}

#[test]
fn a_proposal_of_the_older_tasks_is_tried_on_the_newer() {
    let mut usage = readers(100);
    // Of the newest twenty, three write; the older ones never did.
    for number in [85, 90, 99] {
        usage.used(
            &place("run"),
            task(number),
            (&tool("files/write"), Effect::Write),
            at(1),
        );
    }
    let granted = granted(&[
        ("files/read", Effect::Read),
        ("files/write", Effect::Write),
        ("files/delete", Effect::Write),
    ]);
    let proposal = propose(&usage, &granted, &BTreeSet::new(), &Terms::USUAL, at(0));
    assert_eq!(names(&proposal), ["files/delete 3"]);
    assert_eq!(
        proposal.hold_out,
        Some(HoldOut {
            made_from: 80,
            tried_on: 20,
            broken: 3
        })
    );
}

#[test]
fn parts_of_a_record_add_up_in_any_order() {
    let whole = readers(40);
    let mut parts = [Usage::default(), Usage::default()];
    for number in 0..40_u32 {
        let part = &mut parts[usize::from(number % 3 == 0)];
        let ago = 20 - i64::from(number * 20 / 40);
        let id = task(u128::from(number));
        part.used(
            &place("run"),
            id,
            (&tool("files/read"), Effect::Read),
            at(ago),
        );
        part.ended(id);
    }
    let [mut one, other] = parts;
    let mut turned = other.clone();
    turned.merge(one.clone());
    one.merge(other);
    assert_eq!(one, whole);
    assert_eq!(turned, whole);
}

#[test]
fn the_guard_is_a_forbid_for_each_place_from_which_something_goes() {
    let mut usage = readers(20);
    usage.seen(&place("plan"), task(1), at(2));
    let mut granted = granted(&[
        ("files/read", Effect::Read),
        ("files/grant\"\\x", Effect::Escalate),
    ]);
    granted.insert(place("plan"), granted[&place("run")].clone());
    let proposal = propose(&usage, &granted, &BTreeSet::new(), &Terms::USUAL, at(0));
    let agent = Subject::Agent("coder".parse().unwrap());
    assert_eq!(agent.path(2), "rightsize/agent-coder-2.cedar");
    expect![[r#"
        // Written by `bailiwick policy rightsize` from what is on record. It only takes away; publish the bundle without this file to undo it.

        @id("rightsize/agent-coder-2/1")
        @reason("No task of agent coder in stage run of workflow default used this tool while its authority was measured.")
        @fix("If it is needed after all, name the tool in the guard file, or remove that file, and publish the bundle.")
        forbid (principal == Bailiwick::Agent::"coder", action in Bailiwick::Action::"use", resource)
        when {
          context.bw.task.workflow == "default" &&
          context.bw.task.stage == "run"
        }
        unless {
          action in [
            Bailiwick::Action::"files/read"
          ]
        };
    "#]]
    .assert_eq(&guard(&agent, 2, &proposal).unwrap());
    // A place of which nothing is kept has no exception, since an empty set has no type.
    let bare = Proposal {
        kept: Vec::new(),
        ..proposal
    };
    let text = guard(&Subject::Workflow("default".parse().unwrap()), 1, &bare).unwrap();
    assert!(
        text.contains("forbid (principal, action in") && !text.contains("unless"),
        "{text}"
    );
    assert_eq!(guard(&agent, 1, &usual(&Usage::default())), None);
}
