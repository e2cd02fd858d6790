//! The types of events. A name never changes once released.

use serde::{Deserialize, Serialize};

macro_rules! event_types {
    ($($variant:ident $name:literal;)*) => {
        /// The dotted type of an event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum EventType {
            $(#[doc = concat!("`", $name, "`")] #[serde(rename = $name)] $variant,)*
        }

        impl EventType {
            /// Every type.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The dotted name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

event_types! {
    ToolIntent "tool.intent";
    ToolHeld "tool.held";
    ToolRefused "tool.refused";
    ToolResult "tool.result";
    ToolAsked "tool.asked";
    ToolAnswered "tool.answered";
    ToolDrifted "tool.drifted";
    EgressIntent "egress.intent";
    EgressRefused "egress.refused";
    EgressResult "egress.result";
    EgressReflected "egress.reflected";
    CallerRefused "caller.refused";
    InstanceAttested "instance.attested";
    InstanceRefused "instance.refused";
    InstanceExited "instance.exited";
    SvidIssued "svid.issued";
    TokenIssued "token.issued";
    TokenRefused "token.refused";
    DelegationGranted "delegation.granted";
    DelegationRefused "delegation.refused";
    TaskOpened "task.opened";
    TaskChanged "task.changed";
    TaskEnded "task.ended";
    TaskOutlived "task.outlived";
    ApprovalRequested "approval.requested";
    ApprovalAnswered "approval.answered";
    ApprovalConsumed "approval.consumed";
    ApprovalClosed "approval.closed";
    FenceSet "fence.set";
    FenceReached "fence.reached";
    FenceLifted "fence.lifted";
    AgentRegistered "agent.registered";
    AgentChanged "agent.changed";
    ClientChanged "client.changed";
    LoginAccepted "login.accepted";
    LoginRefused "login.refused";
    ConsentGranted "consent.granted";
    ConsentRefused "consent.refused";
    ServerChanged "server.changed";
    ToolPinned "tool.pinned";
    ActDecided "act.decided";
    NoticeGiven "notice.given";
    ItemLabelled "item.labelled";
    ItemDeclassified "item.declassified";
    PolicyPublished "policy.published";
    PolicyRolledBack "policy.rolled_back";
    PolicyModeChanged "policy.mode_changed";
    PolicyShadowChanged "policy.shadow_changed";
    PolicyDiverged "policy.diverged";
    LeaseIntent "lease.intent";
    LeaseActive "lease.active";
    LeaseRevoking "lease.revoking";
    LeaseDead "lease.dead";
    LeaseRefused "lease.refused";
    LeaseOrphaned "lease.orphaned";
    ScanCompleted "scan.completed";
    FindingChanged "finding.changed";
    ArtefactRecorded "artefact.recorded";
    ArtefactRemoved "artefact.removed";
    AdminChanged "admin.changed";
    AdminRefused "admin.refused";
    LogOpened "log.opened";
    LogClosed "log.closed";
    LogRecovered "log.recovered";
    LogGap "log.gap";
    LogDegraded "log.degraded";
    LogRestored "log.restored";
    LogRevealed "log.revealed";
    LogErased "log.erased";
    LogRetention "log.retention";
    LogClockAnomaly "log.clock_anomaly";
    LogKeyRotated "log.key_rotated";
    LogScrubFailed "log.scrub_failed";
}

impl EventType {
    /// Whether it tells of a call through the gateway.
    pub fn is_of_a_call(self) -> bool {
        self.as_str().starts_with("tool.")
    }

    /// Of an intent: the type of the event that says how it ended. None if the event is no intent.
    pub const fn result(self) -> Option<Self> {
        match self {
            Self::ToolIntent => Some(Self::ToolResult),
            Self::EgressIntent => Some(Self::EgressResult),
            _ => None,
        }
    }

    /// Whether it says how an intent ended.
    pub const fn is_result(self) -> bool {
        matches!(self, Self::ToolResult | Self::EgressResult)
    }
}
