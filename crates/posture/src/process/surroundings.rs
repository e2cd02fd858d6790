//! What a process reaches besides secrets: sockets that give more than a credential would, and what it may become.

use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::{Part, shown};
use crate::secrets::Severity;

/// Sockets of container runtimes: who may write to one is root on the host.
const RUNTIMES: [&str; 6] = [
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/crio/crio.sock",
    "/var/run/crio/crio.sock",
];

impl Part<'_> {
    pub(super) fn surroundings(&mut self) {
        if self.owner.may_gain_privileges {
            self.exposed(
                "new-privileges",
                Severity::Info,
                "it may gain privileges by running a setuid program (no_new_privs is off)"
                    .to_owned(),
            );
        }
        if self.owner.capabilities != 0 {
            let count = self.owner.capabilities.count_ones();
            let as_root = if self.owner.uid == 0 { ", as root" } else { "" };
            self.exposed(
                "capabilities",
                Severity::Medium,
                format!("it holds {count} capabilities{as_root}"),
            );
        }
        let Ok(root) = self.process.root() else {
            return;
        };
        let is_reachable = |path: &Path| {
            root.stat(path).is_ok_and(|stat| {
                FileType::from_raw_mode(stat.st_mode) == FileType::Socket
                    && self.owner.may(2, &stat)
            })
        };
        let named = |name: &'static str| {
            self.environ
                .iter()
                .filter(move |(known, _)| *known == name)
                .map(|(_, path)| path.clone())
        };
        let docker = named("DOCKER_HOST")
            .filter_map(|path| path.to_str()?.strip_prefix("unix://").map(PathBuf::from));
        let mut runtimes: Vec<PathBuf> = RUNTIMES
            .iter()
            .map(PathBuf::from)
            .chain(docker)
            .filter(|path| is_reachable(path))
            .collect();
        runtimes.sort();
        runtimes.dedup();
        let agents: Vec<PathBuf> = named("SSH_AUTH_SOCK")
            .filter(|path| is_reachable(path))
            .collect();
        let bus = named("DBUS_SESSION_BUS_ADDRESS").filter_map(|path| {
            let path = path.to_str()?.strip_prefix("unix:path=")?;
            Some(PathBuf::from(path.split(',').next()?))
        });
        let buses: Vec<PathBuf> = bus.filter(|path| is_reachable(path)).collect();
        for path in runtimes {
            self.exposed(
                "runtime-socket",
                Severity::Critical,
                format!(
                    "{} is the socket of a container runtime: root on the host",
                    shown(&path)
                ),
            );
        }
        for path in agents {
            self.exposed(
                "ssh-agent",
                Severity::High,
                format!("{} signs with the keys of an SSH agent", shown(&path)),
            );
        }
        for path in buses {
            self.exposed(
                "session-bus",
                Severity::Medium,
                format!(
                    "{} leads to the session's bus, where secret stores answer",
                    shown(&path)
                ),
            );
        }
    }
}
