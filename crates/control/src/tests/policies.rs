//! Publishing policy and going back.

use std::time::Duration;

use bailiwick_core::account::Role;
use bailiwick_core::event::EventType;
use bailiwick_core::{Code, Digest, Fault};
use bailiwick_policy::BundleSource;

use super::bench_node::{Bench, admin, person};
use crate::policies::{Proven, PublishError, Shown, VersionRef};

/// A bundle with one permit, which `id` tells from others.
fn bundle(id: &str, tool: &str) -> BundleSource {
    let policy = format!(
        r#"@id("{id}") @reason("reading is fine") permit (principal, action == Bailiwick::Action::"{tool}", resource);"#
    );
    with(&[("main.cedar", &policy)])
}

fn with(files: &[(&str, &str)]) -> BundleSource {
    let manifest = ("bundle.toml".to_owned(), "name = \"site\"\n".to_owned());
    let files = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    BundleSource::from_dir(files.chain([manifest])).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_bundle_is_not_published_and_each_flaw_is_told() {
    let (bench, admin) = (Bench::new().await, admin());
    let typo = with(&[
        (
            "a.cedar",
            r#"@id("a") @reason("x") permit (principal, action == Bailiwick::Action::"files/raed_file", resource);"#,
        ),
        (
            "b.cedar",
            r#"@id("b") @reason("x") permit (principal, action == Bailiwick::Action::"flies/read_file", resource);"#,
        ),
    ]);
    let checked = bench.control.check_policy(&admin, typo.clone()).await;
    let found = checked.unwrap().flaws;
    assert_eq!(found.len(), 2, "{found:?}");
    let refused = bench.control.publish_policy(&admin, typo, None).await;
    match refused.unwrap_err() {
        PublishError::Flawed { problem, flaws } => {
            assert_eq!((problem.code, flaws), (Code::PolicyInvalid, found));
        }
        PublishError::Refused(problem) => panic!("{problem}"),
    }
    let failing = with(&[(
        "tests/a.toml",
        "[[agent]]\nname = \"x\"\nowner = \"o\"\n[[case]]\nname = \"one\"\nagent = \"x\"\ntool = \"files/read_file\"\n\
         expect = { outcome = \"allow\" }\n[[case]]\nname = \"two\"\nagent = \"x\"\ntool = \"files/read_file\"\n\
         expect = { outcome = \"step_up\" }\n",
    )]);
    let refused = bench.control.publish_policy(&admin, failing, None).await;
    match refused.unwrap_err() {
        PublishError::Flawed { problem, flaws } => {
            assert_eq!((problem.code, flaws.len()), (Code::PolicyTestFailed, 2));
            assert!(flaws[1].message.contains("`two`"), "{flaws:?}");
        }
        PublishError::Refused(problem) => panic!("{problem}"),
    }
    let good = bundle("reads", "files/read_file");
    let operator = person("otto", &[Role::Operator]);
    let refused = bench.control.publish_policy(&operator, good.clone(), None);
    assert_eq!(refused.await.unwrap_err().code(), Code::NotPermitted);
    let first = bench
        .control
        .publish_policy(&admin, good.clone(), Some(None));
    assert_eq!(first.await.unwrap().number, 1);
    let raced = bench.control.publish_policy(&admin, good, Some(None));
    assert_eq!(raced.await.unwrap_err().code(), Code::PolicyConflict);
}

/// Going back twice goes two versions back, never back to what was gone back from.
#[tokio::test(flavor = "multi_thread")]
async fn going_back_brings_back_the_text_that_was_there() {
    let (bench, admin) = (Bench::new().await, admin());
    let control = &bench.control;
    let nothing = control.roll_policy_back(&admin, None, None).await;
    assert_eq!(nothing.unwrap_err().code, Code::NotFound);
    let mut digests = Vec::new();
    for id in ["one", "two", "three"] {
        let published = control.publish_policy(&admin, bundle(id, "files/read_file"), None);
        digests.push(published.await.unwrap().digest);
    }
    let operator = person("otto", &[Role::Operator]);
    let refused = control.roll_policy_back(&operator, None, None).await;
    assert_eq!(refused.unwrap_err().code, Code::NotPermitted);
    let raced = control.roll_policy_back(&admin, None, Some(Digest([9; 32])));
    assert_eq!(raced.await.unwrap_err().code, Code::PolicyConflict);

    let back = control.roll_policy_back(&admin, None, Some(digests[2]));
    let back = back.await.unwrap();
    assert_eq!(
        (
            back.version.number,
            back.version.restores,
            back.broken.len()
        ),
        (4, Some(2), 0)
    );
    let back = control.roll_policy_back(&admin, None, None).await.unwrap();
    assert_eq!(
        (back.version.digest, back.version.restores),
        (digests[0], Some(1))
    );
    let end = control.roll_policy_back(&admin, None, None).await;
    assert_eq!(end.unwrap_err().code, Code::NotFound);
    let same = control.roll_policy_back(&admin, Some(VersionRef::Number(1)), None);
    assert_eq!(same.await.unwrap_err().code, Code::AlreadyExists);
    let unknown = control.roll_policy_back(&admin, Some(VersionRef::Number(77)), None);
    assert_eq!(unknown.await.unwrap_err().code, Code::NotFound);

    // By name, in both ways; its text is the one that was published.
    for version in [VersionRef::Number(3), VersionRef::Digest(digests[1])] {
        let back = control.roll_policy_back(&admin, Some(version), None);
        let back = back.await.unwrap().version;
        let (digest, source) = control
            .policy_source(&admin, VersionRef::Active)
            .await
            .unwrap();
        assert_eq!(digest, back.digest);
        assert_eq!(source, control.bundle_source(back.digest).await.unwrap());
    }
    let mut leaves = bench.leaves().await;
    leaves.retain(|leaf| leaf.event.kind == EventType::PolicyRolledBack);
    assert_eq!(leaves.len(), 4);
    let last = leaves.pop().unwrap().event.change.unwrap();
    assert_eq!(
        (last.before, last.after),
        (Some(digests[2].to_string()), Some(digests[1].to_string()))
    );
}

/// An incident does not wait for an old bundle to be mended: what no longer fits narrows, and is told.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_longer_fits_does_not_keep_one_from_going_back() {
    let (bench, admin) = (Bench::new().await, admin());
    let control = &bench.control;
    let old = bundle("old", "files/read_file");
    control.publish_policy(&admin, old, None).await.unwrap();
    let new = with(&[]);
    control.publish_policy(&admin, new, None).await.unwrap();
    control
        .remove_server(&admin, "files".parse().unwrap())
        .await
        .unwrap();
    let back = control.roll_policy_back(&admin, None, None).await.unwrap();
    assert_eq!(back.broken.len(), 1, "{:?}", back.broken);
    assert_eq!(back.broken[0].file, "main.cedar");
}

/// Policy that is not enforced takes an admin, a reason and an end; it ends by itself, and that is on record too.
#[tokio::test(flavor = "multi_thread")]
async fn observing_takes_an_admin_a_reason_and_an_end() {
    let (bench, admin) = (Bench::new().await, admin());
    let control = &bench.control;
    let (hour, operator) = (Duration::from_hours(1), person("otto", &[Role::Operator]));
    let refused = control.observe_policy(&operator, hour, "x").await;
    assert_eq!(refused.unwrap_err().code, Code::NotPermitted);
    for (lasts, reason) in [
        (Duration::ZERO, "x"),
        (Duration::from_hours(14 * 24 + 1), "x"),
        (hour, " "),
    ] {
        let refused = control.observe_policy(&admin, lasts, reason).await;
        assert_eq!(refused.unwrap_err().code, Code::InvalidInput);
    }
    let observed = control.observe_policy(&admin, hour, "first week").await;
    assert!(observed.unwrap().observe.is_some());
    control.sweep_once().await.unwrap();
    assert!(control.rollout(&admin).await.unwrap().observe.is_some());
    bench.later(hour);
    control.sweep_once().await.unwrap();
    control.sweep_once().await.unwrap();
    assert_eq!(control.rollout(&admin).await.unwrap().observe, None);
    let leaves = bench.leaves().await;
    let mut changes = leaves
        .iter()
        .filter(|leaf| leaf.event.kind == EventType::PolicyModeChanged);
    let (began, ended) = (changes.next().unwrap(), changes.next().unwrap());
    assert!(changes.next().is_none());
    let after = |leaf: &bailiwick_audit::Leaf| leaf.event.change.clone().unwrap().after.unwrap();
    assert!(after(began).contains("first week"), "{}", after(began));
    assert_eq!(
        (ended.event.actor.as_deref(), after(ended).as_str()),
        (Some("system"), "enforce")
    );
}

/// A trial is for bundles that could be published, and counts only if it was of this bundle.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_must_show_what_is_asked_for() {
    let (bench, admin) = (Bench::new().await, admin());
    let control = &bench.control;
    let flawed = bundle("typo", "files/raed_file");
    let refused = control.try_policy(&admin, flawed).await.unwrap_err();
    assert_eq!(refused.code(), Code::PolicyInvalid);
    let tried = control.try_policy(&admin, bundle("new", "files/read_file"));
    let digest = tried.await.unwrap().shadow.unwrap().digest;
    let proven = |after, max_new_denials| Proven {
        after: Duration::from_secs(after),
        max_new_denials,
    };
    let shown = |bundle, compared, new_denials| Shown {
        bundle,
        compared,
        new_denials,
    };
    for (proven, shown) in [
        (proven(0, 0), Shown::default()),
        (proven(0, 0), shown(Some(digest), 0, 0)),
        (proven(0, 0), shown(Some(Digest([9; 32])), 5, 0)),
        (proven(0, 1), shown(Some(digest), 5, 2)),
        (proven(60, 0), shown(Some(digest), 5, 0)),
    ] {
        let refused = control
            .promote_policy(&admin, proven, shown, Some(None))
            .await;
        assert_eq!(
            refused.unwrap_err().code(),
            Code::Conflict,
            "{proven:?} {shown:?}"
        );
    }
    bench.later(Duration::from_mins(1));
    let (proven, shown) = (proven(60, 2), shown(Some(digest), 5, 2));
    let raced = control.promote_policy(&admin, proven, shown, Some(Some(digest)));
    assert_eq!(raced.await.unwrap_err().code(), Code::PolicyConflict);
    let promoted = control
        .promote_policy(&admin, proven, shown, Some(None))
        .await;
    assert_eq!(promoted.unwrap().digest, digest);
    assert_eq!(control.rollout(&admin).await.unwrap().shadow, None);
    let ended = control.end_trial(&admin).await;
    assert_eq!(ended.unwrap_err().code, Code::NotFound);
}

/// What is signed is the publication: neither another text, nor an older publication under a newer number, nor one by another key.
#[tokio::test(flavor = "multi_thread")]
async fn a_publication_is_what_was_signed_or_nothing() {
    let (bench, admin) = (Bench::new().await, admin());
    let control = &bench.control;
    let publish =
        |id: &'static str| control.publish_policy(&admin, bundle(id, "files/read_file"), None);
    let (first, second) = (publish("one").await.unwrap(), publish("two").await.unwrap());
    let signed = &bench.publications;
    for good in [&first, &second] {
        signed.verify(good).unwrap();
    }
    assert!(
        first
            .signature
            .as_ref()
            .unwrap()
            .contains("example.org/node-1/policy")
    );
    let altered: Vec<(&str, bailiwick_store::PolicyVersion)> = vec![
        (
            "another text",
            bailiwick_store::PolicyVersion {
                digest: Digest([7; 32]),
                ..second.clone()
            },
        ),
        (
            "an older text",
            bailiwick_store::PolicyVersion {
                digest: first.digest,
                ..second.clone()
            },
        ),
        (
            "an older publication as the newest",
            bailiwick_store::PolicyVersion {
                number: 3,
                ..first.clone()
            },
        ),
        (
            "the signature of another",
            bailiwick_store::PolicyVersion {
                signature: first.signature.clone(),
                ..second.clone()
            },
        ),
        (
            "another author",
            bailiwick_store::PolicyVersion {
                published_by: "mallory".into(),
                ..second.clone()
            },
        ),
        (
            "a restoration",
            bailiwick_store::PolicyVersion {
                restores: Some(1),
                ..second.clone()
            },
        ),
        (
            "no signature",
            bailiwick_store::PolicyVersion {
                signature: None,
                ..second.clone()
            },
        ),
        (
            "no note",
            bailiwick_store::PolicyVersion {
                signature: Some("x".into()),
                ..second.clone()
            },
        ),
    ];
    for (what, version) in altered {
        let refused = signed.verify(&version).unwrap_err();
        assert_eq!(refused.code, Code::PolicyTampered, "{what}");
    }
    let other = Bench::new().await;
    let foreign = other.publications.verify(&second).unwrap_err();
    assert_eq!(foreign.code, Code::PolicyTampered);
    // What is active is what may decide, and no older one.
    signed.active(second.digest).await.unwrap();
    let older = signed.active(first.digest).await.unwrap_err();
    assert_eq!(older.code, Code::ReplicaBehind);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_tells_what_is_doubtful() {
    let (bench, admin) = (Bench::new().await, admin());
    let broad = with(&[(
        "a.cedar",
        r#"@id("a") @reason("x") permit (principal, action, resource);"#,
    )]);
    let checked = bench.control.check_policy(&admin, broad).await.unwrap();
    assert!(checked.flaws.is_empty(), "{:?}", checked.flaws);
    let codes: Vec<String> = checked
        .warnings
        .iter()
        .map(|flaw| format!("{:?}", flaw.code))
        .collect();
    assert_eq!(codes, ["Untested", "Escalation", "Broad"]);
}
