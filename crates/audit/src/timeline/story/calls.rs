//! Calls: asked for, held, answered by people, and how they ended.

use bailiwick_core::event::EventType;

use super::{Line, Teller, after, approval};
use crate::timeline::Placed;
use crate::timeline::phrase::ending;

impl<'a> Teller<'a> {
    pub(super) fn call(&mut self, placed: &'a Placed) {
        let event = &placed.leaf.event;
        let action = event.action.as_ref();
        let what = match action {
            Some(action) => match (&action.server, &action.tool) {
                (Some(server), Some(tool)) => format!("{server}/{tool}"),
                (Some(server), None) => format!("{server} {}", action.op),
                _ => action.op.clone(),
            },
            None => event.kind.as_str().to_owned(),
        };
        let approved = event.kind.result().is_some() && event.approval.is_some();
        let mut detail: Vec<String> = if approved {
            vec!["exactly as approved".to_owned()]
        } else {
            self.sealed(placed, "/args", "args").into_iter().collect()
        };
        let duties = event.decision.iter().flat_map(|it| &it.obligations);
        detail.extend(duties.map(|duty| format!("{}:{}", duty.kind, duty.argument)));
        self.line(placed, &what, detail);
        if let Some(line) = self.lines.last_mut() {
            line.effect = action.and_then(|action| action.effect);
        }
        if event.kind.result().is_some() {
            self.ended_as(placed);
        }
        if let Some(asked) = self.asked.get(&placed.id()).copied() {
            let detail = approval(&asked.leaf.event).into_iter().collect();
            self.below(asked, "waits for a person", detail);
        }
    }

    /// How a call ended, below it.
    fn ended_as(&mut self, intent: &'a Placed) {
        let Some(result) = self.results.get(&intent.id()).copied() else {
            let task = intent.leaf.event.task.as_ref().map(|task| task.id);
            let over = task.is_some_and(|task| self.ended.contains(&task));
            let what = if over {
                "OUTCOME UNKNOWN: no result is on record"
            } else {
                "no result yet"
            };
            self.lines.push(Line {
                at: intent.at(),
                after_ms: self.after(intent),
                below: true,
                who: String::new(),
                what: what.to_owned(),
                effect: None,
                detail: Vec::new(),
                verdict: None,
                alarm: over,
                events: Vec::new(),
            });
            return;
        };
        let (what, alarm) = ending(&result.leaf.event);
        let detail = self.value(result, "/result").into_iter().collect();
        self.below(result, &what, detail);
        if alarm {
            self.alarm();
        }
    }

    /// A result whose intent is not among the events.
    pub(super) fn stray_result(&mut self, placed: &'a Placed) {
        let (what, _) = ending(&placed.leaf.event);
        self.line(
            placed,
            &format!("result of a call that is not here: {what}"),
            Vec::new(),
        );
        self.alarm();
    }

    pub(super) fn answered(&mut self, placed: &'a Placed) {
        let event = &placed.leaf.event;
        let before = event.change.as_ref().and_then(|it| it.before.as_deref());
        let under = before.and_then(|before| before.strip_prefix("under "));
        let what = match after(event) {
            Some("approved") if under.is_some() => "approved as alike to an earlier call",
            Some("approved") => "approved exactly this call",
            Some("denied") => "refused the call",
            _ => "approved; others must, too",
        };
        let action = event.action.as_ref();
        let tool =
            action.and_then(|it| Some(format!("{}/{}", it.server.as_ref()?, it.tool.as_ref()?)));
        let mut detail: Vec<String> = tool.into_iter().collect();
        detail.extend(under.map(|under| format!("under {under}")));
        detail.extend(self.reason(placed));
        self.line(placed, what, detail);
        let Some(approval) = event.approval.as_ref().map(|approval| approval.id) else {
            return;
        };
        let used = self.approvals.get(&(approval, EventType::ApprovalConsumed));
        if after(event) == Some("approved")
            && let Some(used) = used.copied()
        {
            let shown = self.value(placed, "/call_digest");
            let same = shown.is_some() && shown == self.value(used, "/call_digest");
            let detail = if same {
                vec!["shown = sent".to_owned()]
            } else {
                Vec::new()
            };
            self.below(used, "used up by it", detail);
        }
    }
}
