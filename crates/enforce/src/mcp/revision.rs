//! The MCP revisions spoken, one row each (04 §2). The gateway relays within one era and translates nothing: a client that speaks both
//! probes, hears what the upstream answers, and falls back by itself.

/// One revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    /// Its date.
    pub name: &'static str,
    /// Whether a session opens with `initialize`; otherwise each request stands alone and carries its own `_meta`.
    pub handshake: bool,
    /// Whether later requests name the revision in `MCP-Protocol-Version`.
    pub header: bool,
}

/// All revisions, oldest first. The HTTP+SSE transport of the first is spoken on neither side.
pub const REVISIONS: &[Revision] = &[
    Revision {
        name: "2024-11-05",
        handshake: true,
        header: false,
    },
    Revision {
        name: "2025-03-26",
        handshake: true,
        header: false,
    },
    Revision {
        name: "2025-06-18",
        handshake: true,
        header: true,
    },
    Revision {
        name: "2025-11-25",
        handshake: true,
        header: true,
    },
    Revision {
        name: "2026-07-28",
        handshake: false,
        header: true,
    },
];

/// The `_meta` member that names the revision of a request that stands alone.
pub const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The `_meta` member with the client's capabilities.
pub const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// Prefix of the `_meta` members that the protocol itself uses.
pub const META_PREFIX: &str = "io.modelcontextprotocol/";

/// The revision of this name.
pub fn revision(name: &str) -> Option<&'static Revision> {
    REVISIONS.iter().find(|revision| revision.name == name)
}

/// Names of the revisions whose requests stand alone.
pub fn standing_alone() -> Vec<&'static str> {
    let alone = REVISIONS.iter().filter(|revision| !revision.handshake);
    alone.map(|revision| revision.name).collect()
}

/// All names, for an error that says what is spoken.
pub fn names() -> Vec<&'static str> {
    REVISIONS.iter().map(|revision| revision.name).collect()
}
