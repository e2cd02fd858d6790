//! Agents, instances, servers, tools, policies.

use bailiwick_core::change::ChangeBody;
use bailiwick_core::instance::{Attestor, Instance, InstanceState, Place, Remote};
use bailiwick_core::join_token::{JoinToken, JoinUse};
use bailiwick_core::label::Labels;
use bailiwick_core::name::ServerName;
use bailiwick_core::point::Registration;
use bailiwick_core::rollout::{Rollout, Shadow};

use super::fixture::{agent, at, digest, id, instance, item, read, server, tool, write};
use crate::{PolicyVersion, Store, StoreError};

pub(crate) async fn agents(store: &Store) {
    let (zoe, coder) = (agent("zoe", 1), agent("coder", 1));
    write(store, move |tx| {
        tx.put_agent(&zoe).and_then(|()| tx.put_agent(&coder))
    })
    .await
    .unwrap();
    assert_eq!(
        read(store, |db| db.agents()).await,
        [agent("coder", 1), agent("zoe", 1)]
    );
    for wrong in [0, 1, 3] {
        let refused = write(store, move |tx| tx.put_agent(&agent("coder", wrong)))
            .await
            .unwrap_err();
        let conflict = StoreError::VersionConflict {
            kind: "agent",
            key: "coder".into(),
            stored: 1,
            offered: wrong,
        };
        assert_eq!(refused, conflict);
    }
    let absent = write(store, |tx| tx.put_agent(&agent("new", 2)))
        .await
        .unwrap_err();
    assert!(
        matches!(
            absent,
            StoreError::VersionConflict {
                stored: 0,
                offered: 2,
                ..
            }
        ),
        "{absent}"
    );

    write(store, |tx| tx.put_agent(&agent("coder", 2)))
        .await
        .unwrap();
    let coder = "coder".parse().unwrap();
    assert_eq!(
        read(store, move |db| db.agent(&coder)).await,
        Some(agent("coder", 2))
    );

    let coder = "coder".parse().unwrap();
    write(store, move |tx| tx.remove_agent(&coder))
        .await
        .unwrap();
    let coder = "coder".parse().unwrap();
    let gone = write(store, move |tx| tx.remove_agent(&coder))
        .await
        .unwrap_err();
    assert_eq!(
        gone,
        StoreError::NotFound {
            kind: "agent",
            key: "coder".into()
        }
    );
    write(store, |tx| tx.put_agent(&agent("coder", 1)))
        .await
        .unwrap();

    let bodies: Vec<_> = read(store, |db| db.changes(0, 9))
        .await
        .into_iter()
        .map(|change| change.body)
        .collect();
    let expected = [
        ChangeBody::Agent(agent("zoe", 1)),
        ChangeBody::Agent(agent("coder", 1)),
        ChangeBody::Agent(agent("coder", 2)),
        ChangeBody::AgentRemoved("coder".parse().unwrap()),
        ChangeBody::Agent(agent("coder", 1)),
    ];
    assert_eq!(bodies, expected);
}

pub(crate) async fn instances(store: &Store) {
    write(store, |tx| tx.put_instance(&instance(1, 10, tx.head() + 1)))
        .await
        .unwrap();
    let unborn = write(store, |tx| tx.put_instance(&instance(2, 11, tx.head() + 2)))
        .await
        .unwrap_err();
    assert!(matches!(unborn, StoreError::Refused { .. }), "{unborn}");
    let twin = write(store, |tx| tx.put_instance(&instance(2, 10, 1)))
        .await
        .unwrap_err();
    assert!(matches!(twin, StoreError::AlreadyExists { .. }), "{twin}");
    assert_eq!(
        read(store, |db| db.instance_of_process(10, 77)).await,
        Some(instance(1, 10, 1))
    );
    assert_eq!(read(store, |db| db.instance_of_process(10, 78)).await, None);

    let mut reborn = instance(1, 10, 1);
    reborn.born_seq = 0;
    let refused = write(store, move |tx| tx.put_instance(&reborn))
        .await
        .unwrap_err();
    assert!(matches!(refused, StoreError::Refused { .. }), "{refused}");

    let mut ended = instance(1, 10, 1);
    ended.state = InstanceState::Ended;
    let row = ended.clone();
    write(store, move |tx| tx.put_instance(&row)).await.unwrap();
    let refused = write(store, |tx| tx.put_instance(&instance(1, 10, 1)))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, StoreError::Refused { .. }),
        "an ended instance lived again: {refused}"
    );
    assert_eq!(read(store, |db| db.instance_of_process(10, 77)).await, None);
    assert_eq!(read(store, |db| db.instance(id(1))).await, Some(ended));

    write(store, |tx| tx.put_instance(&instance(3, 10, 1)))
        .await
        .unwrap();
    let (coder, other) = ("coder".parse().unwrap(), "other".parse().unwrap());
    assert_eq!(
        read(store, |db| db.live_instances()).await,
        [instance(3, 10, 1)]
    );
    assert_eq!(
        read(store, move |db| db.live_instances_of_agent(&coder)).await,
        [instance(3, 10, 1)]
    );
    assert_eq!(
        read(store, move |db| db.live_instances_of_agent(&other)).await,
        []
    );
}

/// Instances elsewhere: no process, an end that may move, and evidence that counts once.
pub(crate) async fn remote_instances(store: &Store) {
    let remote = |bits, until| Instance {
        place: Place::Remote(Remote {
            run: None,
            attestor: Attestor::JoinToken,
            subject: "jtok_1".to_owned(),
            until: at(until),
        }),
        ..instance(bits, 1, 0)
    };
    for row in [remote(1, 10), remote(2, 20), instance(3, 10, 0)] {
        write(store, move |tx| tx.put_instance(&row)).await.unwrap();
    }
    assert_eq!(read(store, |db| db.live_remote_instances()).await, 2);
    assert_eq!(read(store, |db| db.instances_due(at(9))).await, []);
    assert_eq!(
        read(store, |db| db.instances_due(at(10))).await,
        [remote(1, 10)]
    );
    write(store, move |tx| tx.put_instance(&remote(1, 30)))
        .await
        .unwrap();
    assert_eq!(read(store, |db| db.instances_due(at(10))).await, []);
    let mut other = remote(1, 30);
    if let Place::Remote(remote) = &mut other.place {
        "jtok_2".clone_into(&mut remote.subject);
    }
    for changed in [other, instance(1, 11, 0)] {
        let refused = write(store, move |tx| tx.put_instance(&changed)).await;
        let refused = refused.unwrap_err();
        assert!(matches!(refused, StoreError::Refused { .. }), "{refused}");
    }

    write(store, |tx| tx.spend(digest(1), at(10)))
        .await
        .unwrap();
    let again = write(store, |tx| tx.spend(digest(1), at(99))).await;
    assert!(
        matches!(again, Err(StoreError::AlreadyExists { .. })),
        "{again:?}"
    );
    assert_eq!(write(store, |tx| tx.prune_spent(at(9))).await, Ok(0));
    assert_eq!(write(store, |tx| tx.prune_spent(at(10))).await, Ok(1));
}

pub(crate) async fn join_tokens(store: &Store) {
    let token = |bits, expires| JoinToken {
        id: id(bits),
        agent: "coder".parse().unwrap(),
        made_by: "uid:0".to_owned(),
        made_at: at(1),
        expires_at: at(expires),
        used: None,
    };
    write(store, move |tx| {
        tx.put_join_token(&token(1, 10), digest(1))?;
        tx.put_join_token(&token(2, 20), digest(2))
    })
    .await
    .unwrap();
    let twice = write(store, move |tx| tx.put_join_token(&token(3, 20), digest(2))).await;
    assert!(
        matches!(twice, Err(StoreError::AlreadyExists { .. })),
        "{twice:?}"
    );
    let by = JoinUse {
        at: at(5),
        instance: id(7),
    };
    let used = JoinToken {
        used: Some(by.clone()),
        ..token(1, 10)
    };
    let first = by.clone();
    write(store, move |tx| tx.use_join_token(id(1), &first))
        .await
        .unwrap();
    let second = JoinUse {
        instance: id(8),
        ..by
    };
    let refused = write(store, move |tx| tx.use_join_token(id(1), &second)).await;
    assert!(
        matches!(refused, Err(StoreError::Refused { .. })),
        "{refused:?}"
    );
    assert_eq!(
        read(store, |db| db.join_token_with(digest(1))).await,
        Some(used.clone())
    );
    assert_eq!(read(store, |db| db.join_token_with(digest(9))).await, None);
    assert_eq!(
        read(store, |db| db.join_tokens()).await,
        [used, token(2, 20)]
    );
    assert_eq!(write(store, |tx| tx.prune_join_tokens(at(10))).await, Ok(1));
    write(store, |tx| tx.remove_join_token(id(2)))
        .await
        .unwrap();
    let gone = write(store, |tx| tx.remove_join_token(id(2))).await;
    assert!(matches!(gone, Err(StoreError::NotFound { .. })), "{gone:?}");
}

pub(crate) async fn points(store: &Store) {
    let point = |name: &str| Registration {
        name: name.parse().unwrap(),
        made_by: "uid:0".to_owned(),
        made_at: at(1),
    };
    let (north, south) = (point("north"), point("south"));
    let both = (south.clone(), north.clone());
    write(store, move |tx| {
        tx.put_point(&both.0, digest(2))?;
        tx.put_point(&both.1, digest(1))
    })
    .await
    .unwrap();
    // Neither a name nor a token stands for two.
    for (name, token) in [("north", 3), ("east", 1)] {
        let again = point(name);
        let refused = write(store, move |tx| tx.put_point(&again, digest(token))).await;
        assert!(
            matches!(refused, Err(StoreError::AlreadyExists { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(
        read(store, |db| db.points()).await,
        [(north.clone(), digest(1)), (south, digest(2))]
    );
    let name = north.name;
    let gone = name.clone();
    write(store, move |tx| tx.remove_point(&name))
        .await
        .unwrap();
    let gone = write(store, move |tx| tx.remove_point(&gone)).await;
    assert!(matches!(gone, Err(StoreError::NotFound { .. })), "{gone:?}");
    assert_eq!(read(store, |db| db.points()).await.len(), 1);
}

pub(crate) async fn servers_and_tools(store: &Store) {
    let early = write(store, |tx| tx.put_tool(&tool("github/get", 1)))
        .await
        .unwrap_err();
    assert!(
        matches!(early, StoreError::Refused { .. }),
        "a tool without a server was stored: {early}"
    );
    write(store, |tx| {
        tx.put_server(&server("github", 1))?;
        tx.put_server(&server("files", 1))?;
        tx.put_tool(&tool("github/get", 1))?;
        tx.put_tool(&tool("github/merge", 1))?;
        tx.put_tool(&tool("files/read", 1))
    })
    .await
    .unwrap();
    let stale = write(store, |tx| tx.put_tool(&tool("github/get", 1)))
        .await
        .unwrap_err();
    assert!(
        matches!(stale, StoreError::VersionConflict { stored: 1, .. }),
        "{stale}"
    );
    let stale = write(store, |tx| tx.put_server(&server("github", 3)))
        .await
        .unwrap_err();
    assert!(
        matches!(stale, StoreError::VersionConflict { stored: 1, .. }),
        "{stale}"
    );

    let one = "github/get".parse().unwrap();
    assert_eq!(
        read(store, move |db| db.tool(&one)).await,
        Some(tool("github/get", 1))
    );
    let all = [
        tool("files/read", 1),
        tool("github/get", 1),
        tool("github/merge", 1),
    ];
    assert_eq!(read(store, |db| db.tools(None)).await, all);
    assert_eq!(
        read(store, |db| db.servers()).await,
        [server("files", 1), server("github", 1)]
    );

    let github = "github".parse().unwrap();
    write(store, move |tx| tx.remove_server(&github))
        .await
        .unwrap();
    let github = "github".parse().unwrap();
    assert_eq!(
        read(store, |db| db.tools(None)).await,
        [tool("files/read", 1)]
    );
    assert_eq!(read(store, move |db| db.server(&github)).await, None);
    let bodies: Vec<_> = read(store, |db| db.changes(5, 9))
        .await
        .into_iter()
        .map(|change| change.body)
        .collect();
    let expected = [
        ChangeBody::ToolRemoved("github/get".parse().unwrap()),
        ChangeBody::ToolRemoved("github/merge".parse().unwrap()),
        ChangeBody::ServerRemoved("github".parse().unwrap()),
    ];
    assert_eq!(bodies, expected);
}

pub(crate) async fn policies(store: &Store) {
    let version = |byte, number| PolicyVersion {
        digest: digest(byte),
        number,
        published_at: at(10),
        published_by: "root".to_owned(),
        restores: (number == 3).then_some(1),
        signature: None,
    };
    assert_eq!(read(store, |db| db.active_policy()).await, None);
    let first = version(1, 1);
    write(store, move |tx| {
        tx.publish_policy(&first, "{\"a\":1}", Some(None))
    })
    .await
    .unwrap();
    let second = version(2, 2);
    for expected in [None, Some(digest(9))] {
        let row = second.clone();
        let raced = write(store, move |tx| {
            tx.publish_policy(&row, "{}", Some(expected))
        })
        .await
        .unwrap_err();
        assert!(
            matches!(raced, StoreError::VersionConflict { .. }),
            "{raced}"
        );
    }
    write(store, move |tx| {
        tx.publish_policy(&second, "{}", Some(Some(digest(1))))
    })
    .await
    .unwrap();
    let skipped = version(1, 4);
    let skipped = write(store, move |tx| {
        tx.publish_policy(&skipped, "{\"a\":1}", None)
    })
    .await
    .unwrap_err();
    assert!(
        matches!(
            skipped,
            StoreError::VersionConflict {
                stored: 2,
                offered: 4,
                ..
            }
        ),
        "{skipped}"
    );
    let forged = version(1, 3);
    let forged = write(store, move |tx| {
        tx.publish_policy(&forged, "{\"a\":2}", None)
    })
    .await
    .unwrap_err();
    assert!(matches!(forged, StoreError::Refused { .. }), "{forged}");
    let back = version(1, 3);
    write(store, move |tx| tx.publish_policy(&back, "{\"a\":1}", None))
        .await
        .unwrap();

    assert_eq!(
        read(store, |db| db.active_policy()).await,
        Some(version(1, 3))
    );
    assert_eq!(
        read(store, |db| db.policy_source(digest(1)))
            .await
            .as_deref(),
        Some("{\"a\":1}")
    );
    assert_eq!(read(store, |db| db.policy_source(digest(7))).await, None);
    assert_eq!(
        read(store, |db| db.policy_version(2)).await,
        Some(version(2, 2))
    );
    for unknown in [0, 4, u64::MAX] {
        assert_eq!(
            read(store, move |db| db.policy_version(unknown)).await,
            None
        );
    }
    assert_eq!(
        read(store, |db| db.policy_history(2)).await,
        [version(1, 3), version(2, 2)]
    );
    assert_eq!(
        read(store, |db| db.changes(2, 9)).await[0].body,
        ChangeBody::Policy(digest(1))
    );
    rollout(store).await;
}

async fn rollout(store: &Store) {
    assert_eq!(read(store, |db| db.rollout()).await, Rollout::default());
    let tried = Rollout {
        shadow: Some(Shadow {
            digest: digest(8),
            since: at(11),
            by: "root".to_owned(),
        }),
        version: 1,
        ..Rollout::default()
    };
    for _ in 0..2 {
        let row = tried.clone();
        let put = write(store, move |tx| {
            tx.put_rollout(&row, Some((digest(8), "{\"b\":1}")))
        });
        // The second time its version is not the next one.
        let put = put.await;
        assert!(
            matches!(&put, Ok(())) || matches!(&put, Err(StoreError::VersionConflict { .. })),
            "{put:?}"
        );
        assert_eq!(read(store, |db| db.rollout()).await, tried);
    }
    let kept = read(store, |db| db.policy_source(digest(8))).await;
    assert_eq!(kept.as_deref(), Some("{\"b\":1}"));
    write(store, |tx| {
        tx.mend_policy_source(digest(8), "{\"b\":2}")?;
        tx.mend_policy_source(digest(9), "{\"b\":2}")
    })
    .await
    .unwrap();
    let mended = read(store, |db| {
        Ok::<_, StoreError>((db.policy_source(digest(8))?, db.policy_source(digest(9))?))
    });
    assert_eq!(mended.await, (Some("{\"b\":2}".to_owned()), None));
    let newest = read(store, |db| db.changes(3, 9)).await;
    assert_eq!(newest.last().unwrap().body, ChangeBody::Rollout(tried));
}

/// What was written into an item is known after its server is gone; versions are dense, and each write is on the feed.
pub(crate) async fn items(store: &Store) {
    write(store, |tx| tx.put_server(&server("memory", 1)))
        .await
        .unwrap();
    let first = item("memory", 1, 1);
    let (stored, again) = (first.clone(), item("memory", 1, 2));
    write(store, move |tx| tx.put_item(&stored)).await.unwrap();
    let stale = first.clone();
    let stale = write(store, move |tx| tx.put_item(&stale))
        .await
        .unwrap_err();
    assert!(
        matches!(stale, StoreError::VersionConflict { stored: 1, .. }),
        "{stale}"
    );
    let second = again.clone();
    write(store, move |tx| tx.put_item(&second)).await.unwrap();
    let other = item("memory", 2, 1);
    let more = other.clone();
    write(store, move |tx| tx.put_item(&more)).await.unwrap();
    let memory: ServerName = "memory".parse().unwrap();
    let removed = memory.clone();
    write(store, move |tx| tx.remove_server(&removed))
        .await
        .unwrap();
    let (key, of) = (first.key.clone(), memory.clone());
    assert_eq!(
        read(store, move |db| db.item(&key)).await,
        Some(again.clone())
    );
    assert_eq!(
        read(store, move |db| db.items(Some(&of))).await,
        [again.clone(), other.clone()]
    );
    assert_eq!(read(store, |db| db.items(None)).await.len(), 2);
    assert_eq!(read(store, move |db| db.count_items(&memory)).await, 2);
    let bodies = read(store, |db| db.changes(1, 9))
        .await
        .into_iter()
        .map(|change| change.body);
    let items = bodies.filter(|body| matches!(body, ChangeBody::Item(_)));
    assert_eq!(
        items.collect::<Vec<_>>(),
        [first, again, other].map(ChangeBody::Item)
    );

    assert!(read(store, |db| db.instance_labels(id(9))).await.is_empty());
    let labels = Labels::untrusted();
    let kept = labels.clone();
    write(store, move |tx| tx.put_instance_labels(id(9), &kept))
        .await
        .unwrap();
    assert_eq!(read(store, |db| db.instance_labels(id(9))).await, labels);
}
