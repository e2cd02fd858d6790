//! Whose a process is and what it may, from `/proc/PID/status` (proc(5)).

use rustix::fs::Stat;

/// What everybody may know of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) name: String,
    pub(super) parent: u32,
    /// The effective user and groups.
    pub(super) uid: u32,
    pub(super) groups: Vec<u32>,
    pub(super) capabilities: u64,
    pub(super) may_gain_privileges: bool,
}

impl Owner {
    pub(super) fn parse(status: &str) -> Option<Self> {
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim)
        };
        let numbers = |text: &str| -> Vec<u32> {
            text.split_whitespace()
                .filter_map(|number| number.parse().ok())
                .collect()
        };
        let mut groups = numbers(field("Groups").unwrap_or_default());
        groups.extend(numbers(field("Gid")?).get(1));
        Some(Self {
            name: field("Name")?.chars().take(64).collect(),
            parent: field("PPid")?.parse().ok()?,
            uid: *numbers(field("Uid")?).get(1)?,
            groups,
            capabilities: u64::from_str_radix(field("CapEff").unwrap_or("0"), 16).ok()?,
            may_gain_privileges: field("NoNewPrivs") != Some("1"),
        })
    }

    /// Whether it may read (4) or write (2) a file, by mode and owner.
    pub(super) fn may(&self, bit: u32, stat: &Stat) -> bool {
        // CAP_DAC_OVERRIDE, and CAP_DAC_READ_SEARCH for reading.
        let overrides =
            self.capabilities & (1 << 1) != 0 || (bit == 4 && self.capabilities & (1 << 2) != 0);
        let shift = if stat.st_uid == self.uid {
            6
        } else if self.groups.contains(&stat.st_gid) {
            3
        } else {
            0
        };
        overrides || stat.st_mode & (bit << shift) != 0
    }
}
