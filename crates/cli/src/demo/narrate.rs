//! What the demo says: each step, the command a person would type, and every check with what was seen.

use std::path::Path;

use serde_json::json;

use super::setting::Setting;
use crate::failure::Failure;
use crate::output::{Out, Style, Untrusted};

/// How many steps there are.
const STEPS: usize = 8;

/// The story so far.
pub(super) struct Narrator {
    out: Out,
    done: Vec<Step>,
}

/// One step and what was seen in it.
struct Step {
    name: &'static str,
    checks: Vec<(bool, String)>,
    closed: bool,
}

impl Step {
    /// A step without a check, or that did not reach its end, has not passed.
    fn passed(&self) -> bool {
        self.closed && !self.checks.is_empty() && self.checks.iter().all(|(good, _)| *good)
    }
}

impl Narrator {
    /// Nothing told yet.
    pub(super) fn new(out: Out) -> Self {
        Self {
            out,
            done: Vec::new(),
        }
    }

    /// Where it is told.
    pub(super) fn out(&self) -> Out {
        self.out.clone()
    }

    fn text(&self, line: &str) {
        if !self.out.is_json() {
            self.out.line(line);
        }
    }

    /// Before anything runs.
    pub(super) fn opening(&self, root: &Path) {
        self.text(&self.out.paint(Style::Bold, "Bailiwick, on real parts"));
        self.text("A node, an agent and a tool server start on this machine; eight steps check what they promise.");
        self.text(
            &self
                .out
                .paint(Style::Dim, &format!("everything is in {}", root.display())),
        );
    }

    /// What was built.
    pub(super) fn setting(&self, setting: &Setting) {
        for (what, text) in setting.parts() {
            self.text(&format!(
                "  {what:<11} {}",
                self.out.paint(Style::Dim, &text)
            ));
        }
    }

    /// A step begins: what it does, and what a person would type.
    pub(super) fn step(&mut self, name: &'static str, about: &str, command: &str) {
        self.done.push(Step {
            name,
            checks: Vec::new(),
            closed: false,
        });
        self.text("");
        let heading = format!("{} of {STEPS}  {name}", self.done.len());
        self.text(&self.out.paint(Style::Bold, &heading));
        self.text(&format!("  {about}"));
        self.command(command);
    }

    /// What a person would type.
    pub(super) fn command(&self, command: &str) {
        self.text(&format!(
            "  {}",
            self.out.paint(Style::Command, &format!("$ {command}"))
        ));
    }

    /// Something said in between.
    pub(super) fn say(&self, text: &str) {
        self.text(&format!("  {}", self.out.paint(Style::Dim, text)));
    }

    /// One thing that must hold, and what was seen.
    pub(super) fn check(&mut self, good: bool, seen: impl Into<String>) {
        let seen = Untrusted(&seen.into()).to_string();
        let mark = if good {
            self.out.paint(Style::Good, "✓")
        } else {
            self.out.paint(Style::Bad, "✗")
        };
        self.text(&format!("  {mark} {seen}"));
        if let Some(step) = self.done.last_mut() {
            step.checks.push((good, seen));
        }
    }

    /// The step is over; an error is a check that does not hold.
    pub(super) fn close(&mut self, outcome: Result<(), Failure>) {
        if let Err(failure) = outcome {
            self.check(
                false,
                format!("{}: {}", failure.problem.code, failure.problem.message),
            );
        }
        let number = self.done.len();
        let Some(step) = self.done.last_mut() else {
            return;
        };
        step.closed = true;
        if self.out.is_json() {
            let checks: Vec<_> = step
                .checks
                .iter()
                .map(|(good, seen)| json!({"ok": good, "seen": seen}))
                .collect();
            let line = json!({"step": number, "name": step.name, "passed": step.passed(), "checks": checks});
            self.out.json_line(&line);
        }
    }

    /// The end: whether every step passed. A skipped step is a failed one.
    pub(super) fn closing(&self) -> bool {
        let passed = self.done.iter().filter(|step| step.passed()).count();
        let all = passed == STEPS;
        let style = if all { Style::Good } else { Style::Bad };
        self.text("");
        self.text(
            &self
                .out
                .paint(style, &format!("{passed} of {STEPS} steps passed")),
        );
        for step in self.done.iter().filter(|step| !step.passed()) {
            self.text(&format!("  ✗ {}", step.name));
        }
        all
    }
}

#[cfg(test)]
mod tests;
