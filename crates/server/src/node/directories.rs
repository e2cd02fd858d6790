//! The node's directories and sockets: made private, refused if others could reach or replace what is in them.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener};

use super::StartError;

/// Makes a directory with mode 0700, or checks that nobody else can look into the one that is there.
pub fn ensure_private(dir: &Path) -> Result<(), StartError> {
    let mode = make(dir)?;
    if mode & 0o077 != 0 {
        return Err(StartError::Exposed {
            path: dir.to_owned(),
            mode,
            why: "others could read what the node keeps",
        });
    }
    Ok(())
}

/// Makes the directory of the sockets with mode 0700. One that is there may let others pass, but not put files into it.
pub(super) fn ensure_runtime(dir: &Path) -> Result<(), StartError> {
    let mode = make(dir)?;
    if mode & 0o022 != 0 {
        return Err(StartError::Exposed {
            path: dir.to_owned(),
            mode,
            why: "others could put their own sockets there",
        });
    }
    Ok(())
}

fn make(dir: &Path) -> Result<u32, StartError> {
    let failed = |source| StartError::Path {
        path: dir.to_owned(),
        what: "the directory cannot be made or read",
        source,
    };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(failed)?;
    let about = std::fs::metadata(dir).map_err(failed)?;
    let (own, owner) = (rustix::process::geteuid().as_raw(), about.uid());
    if owner != own {
        let source = std::io::Error::other(format!("it belongs to user {owner}, not to {own}"));
        return Err(failed(source));
    }
    Ok(about.mode() & 0o777)
}

/// Listens on a socket with this mode. One that nobody serves any more is replaced.
pub(super) fn socket(path: &Path, mode: u32) -> Result<UnixListener, StartError> {
    let failed = |source| StartError::Path {
        path: path.to_owned(),
        what: "the socket cannot be made",
        source,
    };
    if let Ok(about) = std::fs::symlink_metadata(path) {
        let served = std::os::unix::net::UnixStream::connect(path).is_ok();
        if served || !about.file_type().is_socket() {
            return Err(StartError::SocketInUse {
                path: path.to_owned(),
            });
        }
        std::fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)?;
    Ok(listener)
}

/// Listens on an address of the configuration.
pub(super) async fn tcp(
    key: &'static str,
    address: std::net::SocketAddr,
) -> Result<TcpListener, StartError> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Err(StartError::PortInUse { key, address })
        }
        Err(source) => Err(StartError::Listen {
            key,
            address,
            source,
        }),
    }
}

/// The sockets of a runtime directory.
pub(super) struct Paths {
    pub(super) admin: PathBuf,
    pub(super) workload: PathBuf,
    pub(super) mcp: PathBuf,
    pub(super) launch: PathBuf,
    /// Below it each child process gets a private directory.
    pub(super) scratch: PathBuf,
}

impl Paths {
    pub(super) fn of(runtime_dir: &Path) -> Self {
        Self {
            admin: runtime_dir.join("admin.sock"),
            workload: runtime_dir.join("workload.sock"),
            mcp: runtime_dir.join("mcp.sock"),
            launch: runtime_dir.join("launch.sock"),
            scratch: runtime_dir.join("scratch"),
        }
    }
}
