//! Permits that rest on what is known of the code: a clean scan is no reason to let anything through, only the lack of one is a reason not to.

use cedar_policy_core::ast::{Expr, ExprKind};

use super::{Found, Subject};
use crate::flaw::FlawCode;
use crate::rule::Rule;
use crate::work::path;

pub(super) fn lint(subject: &Subject<'_>, rule: &Rule, found: &mut Found) {
    let Some(body) = rule.clause.body.as_ref().filter(|_| rule.is_permit()) else {
        return;
    };
    if let Some(place) = body.subexpressions().find(|part| asks(part)) {
        let message = format!(
            "permit `{}` rests on `context.bw.evidence`: what is known of an agent's code never gives it anything",
            rule.marks.id
        );
        let help = "write it as a forbid: forbid (…) unless { context.bw has evidence && … }";
        let flaw = subject.within(rule, place, message, FlawCode::EvidenceInPermit);
        found.error(flaw.help(help));
    }
}

/// `context.bw.evidence`, or whether it is there.
fn asks(expression: &Expr) -> bool {
    let (ExprKind::GetAttr { expr, attr } | ExprKind::HasAttr { expr, attr }) =
        expression.expr_kind()
    else {
        return false;
    };
    attr == "evidence" && path(expr).is_some_and(|path| path == ["bw"])
}
