//! What people see, to the letter.

#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use bailiwick_core::Timestamp;
use expect_test::expect;

use super::super::{Timeline, Tone, View, Words, moment, render, render_chain, render_moment};
use super::scene::{self, Scene};

fn shown(timeline: &Timeline, words: &Words, width: Option<usize>, now: Timestamp) -> String {
    let paint = |_: Tone, text: &str| text.to_owned();
    let view = View {
        width,
        now,
        paint: &paint,
    };
    render(timeline, words, &view)
}

#[tokio::test]
async fn timeline_golden() {
    let scene = Scene::play().await;
    let timeline = scene.timeline();
    let sealed = shown(&timeline, &Words::default(), Some(132), scene::now());
    expect![[r#"
        request sealed · user → triage-bot → patcher · 2026-11-23 09:14:02Z to 09:16:13Z revoked · risk low · labels untrusted
        task_00000000000000000000000001 · person = acct_01h455vb4pex5vsknk084sn02r · user = usr_01h455vb4pex5vsknk084sn02q
         +0.000  uid:1000    opened the task                       request sealed · at most 30 min                            node-1#1 ✓
         +0.310  triage-bot  was attested                          inst_000000000000000000000000fn                            node-1#2 ✓
         +0.420  broker      leased github-token                   lease_0000000000000000000000002d                           node-1#3,4 ✓
         +1.204  triage-bot  github/search_issues        read      args 31 B, sealed                 allow   p-read           node-1#5 ✓
         +1.416              └ ok 212 ms, 18 kB                                                                               node-1#6 ✓
         +7.334  uid:1000    delegated to patcher                  request sealed · task_00000000000000000000000002 · at      node-1#7 ✓
                                                                   most 10 min · below triage-bot
         +9.020  patcher     github/push_files           write     args 99 B, sealed                 STEP-UP untrusted-write  node-1#8 ✓
         +9.031              └ waits for a person · appr_0000000000000000000000002r                                           node-1#9 ✓
        +41.662  person      approved exactly this call            github/push_files                                          node-1#10 ✓
        +41.780              └ used up by it                                                                                  node-1#11 ✓
        +41.790  patcher     github/push_files           write     exactly as approved               allow   untrusted-write  node-1#12 ✓
        +42.594              └ ok 804 ms, 512 B                                                                               node-1#13 ✓
        +52.004  triage-bot  github/delete_repo          escalate  args 19 B, sealed · label         DENY    no-deletes       node-1#14 ✓
                                                                   +untrusted
        +2:10.0  triage-bot  github/clone_all            read      args 31 B, sealed                 allow   p-read           node-1#15 ✓
        +2:11.1              └ CUT: revoked after 1.1 s                                                                       node-1#16 ✓
        +2:11.2  uid:0       revoked the task                                                                                 node-1#17 ✓
        +2:11.4              └ cut 2 tasks, 1 lease, 1 stream                                                                 node-1#22 ✓
        +2:11.2  uid:0       sub-task revoked                      of patcher                                                 node-1#18 ✓
        +2:11.2  uid:0       task revoked                                                                                     node-1#19 ✓
        +2:11.2  broker      took back github-token                lease_0000000000000000000000002d · revoked · verified      node-1#20,21 ✓
                                                                   dead +2:11.4
        complete: 22 events on 1 log, 0 gaps, 0 unknown outcomes · witnessed 2 of 2, 4 s ago · read to the end"#]].assert_eq(&sealed);
}

#[tokio::test]
async fn timeline_golden_revealed() {
    let scene = Scene::play().await;
    let timeline = scene.timeline();
    let revealed = shown(&timeline, &scene.words(), Some(132), scene::now());
    expect![[r#"
        Fix issue 12 · alice → triage-bot → patcher · 2026-11-23 09:14:02Z to 09:16:13Z revoked · risk low · labels untrusted
        task_00000000000000000000000001
         +0.000  uid:1000    opened the task                       Fix issue 12 · at most 30 min                              node-1#1 ✓
         +0.310  triage-bot  was attested                          inst_000000000000000000000000fn                            node-1#2 ✓
         +0.420  broker      leased github-token                   lease_0000000000000000000000002d                           node-1#3,4 ✓
         +1.204  triage-bot  github/search_issues        read      {"repo":"acme/web","number":12}   allow   p-read           node-1#5 ✓
         +1.416              └ ok 212 ms, 18 kB                                                                               node-1#6 ✓
         +7.334  uid:1000    delegated to patcher                                                                             node-1#7 ✓
                               push the ⟦U+202E⟧hcnarb⟦U+202C⟧ fix⟦U+001B⟧[31m⟦U+000A⟧now · task_00000000000000000000000002 ·
                               at most 10 min · below triage-bot
         +9.020  patcher     github/push_files           write                                       STEP-UP untrusted-write  node-1#8 ✓
                               {"branch":"main","files":["src/app.ts"],"message":"Fix the redirect loop of issue 12 (closes
                               #12)"}
         +9.031              └ waits for a person · appr_0000000000000000000000002r                                           node-1#9 ✓
        +41.662  bob         approved exactly this call            github/push_files · “as agreed”                            node-1#10 ✓
        +41.780              └ used up by it · shown = sent                                                                   node-1#11 ✓
        +41.790  patcher     github/push_files           write     exactly as approved               allow   untrusted-write  node-1#12 ✓
        +42.594              └ ok 804 ms, 512 B                                                                               node-1#13 ✓
        +52.004  triage-bot  github/delete_repo          escalate  {"repo":"acme/web"} · label       DENY    no-deletes       node-1#14 ✓
                                                                   +untrusted
        +2:10.0  triage-bot  github/clone_all            read      {"repo":"acme/web","number":12}   allow   p-read           node-1#15 ✓
        +2:11.1              └ CUT: revoked after 1.1 s                                                                       node-1#16 ✓
        +2:11.2  uid:0       revoked the task                      “INC-4”                                                    node-1#17 ✓
        +2:11.4              └ cut 2 tasks, 1 lease, 1 stream                                                                 node-1#22 ✓
        +2:11.2  uid:0       sub-task revoked                      of patcher                                                 node-1#18 ✓
        +2:11.2  uid:0       task revoked                                                                                     node-1#19 ✓
        +2:11.2  broker      took back github-token                lease_0000000000000000000000002d · revoked · verified      node-1#20,21 ✓
                                                                   dead +2:11.4
        complete: 22 events on 1 log, 0 gaps, 0 unknown outcomes · witnessed 2 of 2, 4 s ago · read to the end"#]].assert_eq(&revealed);
}

#[tokio::test]
async fn timeline_golden_narrow() {
    let scene = Scene::play().await;
    let timeline = scene.timeline();
    let narrow = shown(&timeline, &scene.words(), Some(82), scene::now());
    expect![[r#"
        Fix issue 12
        alice → triage-bot → patcher · 2026-11-23 09:14:02Z to 09:16:13Z revoked · risk
        low · labels untrusted
        task_00000000000000000000000001
         +0.000  uid:1000    opened the task               Fix issue 12 · at     #1 ✓
                                                           most 30 min
         +0.310  triage-bot  was attested                                        #2 ✓
                               inst_000000000000000000000000fn
         +0.420  broker      leased github-token                                 #3,4 ✓
                               lease_0000000000000000000000002d
         +1.204  triage-bot  github/search_issues            allow   p-read      #5 ✓
                               read · {"repo":"acme/web","number":12}
         +1.416              └ ok 212 ms, 18 kB                                  #6 ✓
         +7.334  uid:1000    delegated to patcher                                #7 ✓
                               push the ⟦U+202E⟧hcnarb⟦U+202C⟧
                               fix⟦U+001B⟧[31m⟦U+000A⟧now ·
                               task_00000000000000000000000002 · at most 10 min ·
                               below triage-bot
         +9.020  patcher     github/push_files               STEP-UP untrusted…  #8 ✓
                               write ·
                               {"branch":"main","files":["src/app.ts"],"message":
                               "Fix the redirect loop of issue 12 (closes #12)"}
         +9.031              └ waits for a person ·                              #9 ✓
                               appr_0000000000000000000000002r
        +41.662  bob         approved exactly this call    github/push_files ·   #10 ✓
                                                           “as agreed”
        +41.780              └ used up by it · shown = sent                      #11 ✓
        +41.790  patcher     github/push_files               allow   untrusted…  #12 ✓
                               write · exactly as approved
        +42.594              └ ok 804 ms, 512 B                                  #13 ✓
        +52.004  triage-bot  github/delete_repo              DENY    no-deletes  #14 ✓
                               escalate · {"repo":"acme/web"} · label +untrusted
        +2:10.0  triage-bot  github/clone_all                allow   p-read      #15 ✓
                               read · {"repo":"acme/web","number":12}
        +2:11.1              └ CUT: revoked after 1.1 s                          #16 ✓
        +2:11.2  uid:0       revoked the task              “INC-4”               #17 ✓
        +2:11.4              └ cut 2 tasks, 1 lease, 1 stream                    #22 ✓
        +2:11.2  uid:0       sub-task revoked              of patcher            #18 ✓
        +2:11.2  uid:0       task revoked                                        #19 ✓
        +2:11.2  broker      took back github-token                              #20,21 ✓
                               lease_0000000000000000000000002d · revoked ·
                               verified dead +2:11.4
        complete: 22 events on 1 log, 0 gaps, 0 unknown outcomes · witnessed 2 of 2, 4 s
        ago · read to the end"#]]
    .assert_eq(&narrow);
    for width in [82, 100, 132, 140, 200] {
        for line in shown(&timeline, &scene.words(), Some(width), scene::now()).lines() {
            assert!(
                unicode_width::UnicodeWidthStr::width(line) <= width,
                "{width}: {line}"
            );
        }
    }
}

#[tokio::test]
async fn hostile_words_are_visible_and_move_nothing() {
    let scene = Scene::play().await;
    let text = shown(&scene.timeline(), &scene.words(), None, scene::now());
    assert!(
        text.contains("⟦U+202E⟧hcnarb⟦U+202C⟧ fix⟦U+001B⟧[31m⟦U+000A⟧now"),
        "{text}"
    );
    let raw = |c: char| c != '\n' && bailiwick_core::visible::hides(c);
    assert!(!text.contains(raw), "{text:?}");
    let chain = render_chain(&scene.timeline(), &scene.words());
    assert!(!chain.contains(raw));
}

#[tokio::test]
async fn the_state_at_a_moment_is_what_the_events_up_to_then_add_up_to() {
    let scene = Scene::play().await;
    let timeline = scene.timeline();
    let start = timeline.events[0].at();
    let at = |ms: u64| {
        let then = start.plus(std::time::Duration::from_millis(ms));
        render_moment(&timeline, &moment(&timeline, &scene.words(), then))
    };
    expect![[r#"
        at          2026-11-23T09:14:22.000000Z (+20.000), after 9 of 22 events
        task        task_00000000000000000000000001  triage-bot  open · stage run · risk low · labels none · version 1
        task        task_00000000000000000000000002  patcher  open · stage run · risk low · labels untrusted · version 1
        lease       lease_0000000000000000000000002d  github-token · live since +0.433
        approval    appr_0000000000000000000000002r  github/push_files · pending since +9.031
        running     none
        fence       none"#]].assert_eq(&at(20_000));
    expect![[r#"
        at          2026-11-23T09:16:13.250000Z (+2:11.2), after 20 of 22 events
        task        task_00000000000000000000000001  triage-bot  revoked · stage run · risk low · labels untrusted · version 2
        task        task_00000000000000000000000002  patcher  revoked · stage run · risk low · labels untrusted · version 1
        lease       lease_0000000000000000000000002d  github-token · being taken back since +2:11.2
        fence       fence_9  task/task_00000000000000000000000001 since +2:11.2
        running     none
        approval    none"#]].assert_eq(&at(131_250));
}

#[tokio::test]
async fn the_chain_names_who_was_behind_each_task() {
    let scene = Scene::play().await;
    expect![[r#"
        alice (usr_01h455vb4pex5vsknk084sn02q)
        └─ triage-bot
             task      task_00000000000000000000000001
             opened    by uid:1000, evt_00000000000000000000000034
             owner     team-dev
             instance  inst_000000000000000000000000fn
             scope     sha256:1111111111111111111111111111111111111111111111111111111111111111
           └─ patcher
                task      task_00000000000000000000000002
                delegated by uid:1000, evt_0000000000000000000000003b
                owner     team-dev
                instance  inst_000000000000000000000000fp
                scope     sha256:1111111111111111111111111111111111111111111111111111111111111111"#]].assert_eq(&render_chain(&scene.timeline(), &scene.words()));
}
