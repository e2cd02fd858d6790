//! Which class and activity of OCSF 1.8.0 an event is. By the family of its type, so that a type that is added later has a class too.

use bailiwick_core::effect::Effect;
use bailiwick_core::event::Event;

/// The classes used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Api,
    Http,
    Authentication,
    UserAccess,
    AuthorizeSession,
    Entity,
    Finding,
}

impl Class {
    pub(super) const fn uid(self) -> u64 {
        match self {
            Self::Api => 6003,
            Self::Http => 4002,
            Self::Authentication => 3002,
            Self::UserAccess => 3005,
            Self::AuthorizeSession => 3003,
            Self::Entity => 3004,
            Self::Finding => 2004,
        }
    }

    pub(super) const fn category(self) -> u64 {
        self.uid() / 1_000
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Api => "API Activity",
            Self::Http => "HTTP Activity",
            Self::Authentication => "Authentication",
            Self::UserAccess => "User Access Management",
            Self::AuthorizeSession => "Authorize Session",
            Self::Entity => "Entity Management",
            Self::Finding => "Detection Finding",
        }
    }

    /// Profiles whose attributes the event has.
    pub(super) fn profiles(self, event: &Event) -> &'static [&'static str] {
        let tool = event
            .action
            .as_ref()
            .is_some_and(|action| action.tool.is_some());
        match self {
            Self::Api if tool => &["ai_operation", "trace"],
            // The actor is the host profile's in these.
            Self::Http | Self::Finding => &["host"],
            _ => &[],
        }
    }
}

/// What was done, in the class's own numbers; the name only where the schema has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Activity {
    Known(u8, &'static str),
    Other(String),
}

impl Activity {
    pub(super) const fn id(&self) -> u8 {
        match self {
            Self::Known(id, _) => *id,
            Self::Other(_) => 99,
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Known(_, name) => name,
            Self::Other(name) => name,
        }
    }
}

/// Class and activity of an event.
pub(super) fn class_of(event: &Event) -> (Class, Activity) {
    let kind = event.kind.as_str();
    let (family, step) = kind.split_once('.').unwrap_or((kind, ""));
    let class = match (family, step) {
        ("tool", "drifted")
        | ("finding", _)
        | (
            "log",
            "recovered" | "gap" | "degraded" | "restored" | "clock_anomaly" | "scrub_failed",
        ) => Class::Finding,
        ("tool", "pinned") => Class::Entity,
        ("tool" | "decision", _) | ("admin", "refused") => Class::Api,
        ("egress", _) => Class::Http,
        ("caller" | "instance" | "svid" | "token", _) | ("admin", "signed_in") => {
            Class::Authentication
        }
        ("task" | "delegation", _) => Class::UserAccess,
        ("approval", _) => Class::AuthorizeSession,
        _ => Class::Entity,
    };
    (class, activity(class, step, event))
}

fn activity(class: Class, step: &str, event: &Event) -> Activity {
    let known = match (class, step) {
        (Class::Api, _) => match event.action.as_ref().and_then(|action| action.effect) {
            Some(Effect::Read) => Some((2, "Read")),
            Some(Effect::Write) => Some((3, "Update")),
            _ => None,
        },
        (Class::Http, _) => {
            let method = event.action.as_ref().map(|action| action.op.as_str());
            http_method(method.unwrap_or_default())
        }
        (Class::Authentication, "issued" | "refused")
            if matches!(
                event.kind.as_str(),
                "svid.issued" | "token.issued" | "token.refused"
            ) =>
        {
            Some((3, "Authentication Ticket"))
        }
        (Class::Authentication, "exited") => Some((2, "Logoff")),
        (Class::Authentication, _) => Some((1, "Logon")),
        (Class::UserAccess, "opened" | "granted" | "refused")
        | (Class::AuthorizeSession, "answered" | "consumed") => Some((1, "Assign Privileges")),
        (Class::UserAccess, "ended") => Some((2, "Revoke Privileges")),
        (Class::Entity, "revealed") => Some((2, "Read")),
        (Class::Entity, "changed" | "pinned" | "published" | "extended" | "mode_changed") => {
            Some((3, "Update"))
        }
        (Class::Entity, "dead" | "erased" | "retention" | "retired") => Some((4, "Delete")),
        (Class::Entity, "active" | "opened") => Some((10, "Activate")),
        (Class::Entity, "revoking" | "closed") => Some((11, "Deactivate")),
        (Class::Entity, "set") => Some((12, "Suspend")),
        (Class::Entity, "lifted") => Some((13, "Resume")),
        (Class::Finding, "restored" | "closed") => Some((3, "Close")),
        (Class::Entity, "registered" | "intent") | (Class::Finding, _) => Some((1, "Create")),
        _ => None,
    };
    match known {
        Some((id, name)) => Activity::Known(id, name),
        None => Activity::Other(event.kind.as_str().to_owned()),
    }
}

/// The activity of an HTTP method, as the schema numbers it.
pub(super) fn http_method(method: &str) -> Option<(u8, &'static str)> {
    Some(match method {
        "CONNECT" => (1, "Connect"),
        "DELETE" => (2, "Delete"),
        "GET" => (3, "Get"),
        "HEAD" => (4, "Head"),
        "OPTIONS" => (5, "Options"),
        "POST" => (6, "Post"),
        "PUT" => (7, "Put"),
        "TRACE" => (8, "Trace"),
        "PATCH" => (9, "Patch"),
        _ => return None,
    })
}
