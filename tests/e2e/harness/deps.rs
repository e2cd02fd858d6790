//! What `ci/deps` installs. Missing is a failure that names the line to run, never a skip.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The Python of the tests' own environment.
pub(crate) fn python() -> PathBuf {
    installed(".deps/python/bin/python")
}

/// A program of the environment in which PyPI's aics-tlog and aics-witness are.
pub(crate) fn tlog(program: &str) -> Command {
    Command::new(installed(&format!(".deps/tlog/bin/{program}")))
}

/// A program of the environment in which readers of exports and moto's S3 server are.
pub(crate) fn exports(program: &str) -> PathBuf {
    installed(&format!(".deps/exports/bin/{program}"))
}

/// A program of the environment in which bandit and securesystemslib are.
pub(crate) fn artefacts(program: &str) -> PathBuf {
    installed(&format!(".deps/artefacts/bin/{program}"))
}

/// aics-tlog, asked about the log in a directory.
pub(crate) fn tlog_verify(dir: &Path, vkey: &str) -> Command {
    let mut command = tlog("python");
    command.arg(script("tlog_verify.py")).arg(dir).arg(vkey);
    command
}

/// The verifier around Go's checksum database code.
pub(crate) fn go_verifier() -> PathBuf {
    installed(".deps/go/verify")
}

/// A script of the tests.
pub(crate) fn script(name: &str) -> PathBuf {
    root().join("tests/e2e/python").join(name)
}

/// A copy of the Python interpreter at a path of its own, so that it can be an agent of its own.
pub(crate) fn python_copy(directory: &Path, name: &str) -> PathBuf {
    copy_of(".deps/python", "mcp, spiffe", directory, name)
}

/// The same of the environment in which SPIFFE clients by others are.
pub(crate) fn spiffe_python_copy(directory: &Path, name: &str) -> PathBuf {
    // Not spiffe_defakto: both register the same messages, so that one process can load one of them.
    copy_of(".deps/spiffe", "spiffetls", directory, name)
}

fn copy_of(environment: &str, packages: &str, directory: &Path, name: &str) -> PathBuf {
    let python = installed(&format!("{environment}/bin/python"));
    let environment = root().join(environment);
    let home = directory.join(format!("{name}-python"));
    std::fs::create_dir_all(home.join("bin")).unwrap();
    let copy = home.join("bin").join(name);
    std::fs::copy(python.canonicalize().unwrap(), &copy).unwrap();
    std::fs::copy(environment.join("pyvenv.cfg"), home.join("pyvenv.cfg")).unwrap();
    symlink(environment.join("lib"), home.join("lib")).unwrap();
    let works = Command::new(&copy)
        .args(["-c", &format!("import {packages}")])
        .output()
        .unwrap();
    assert!(
        works.status.success(),
        "{}",
        String::from_utf8_lossy(&works.stderr)
    );
    copy.canonicalize().unwrap()
}

/// The Node of the tests.
pub(crate) fn node() -> PathBuf {
    installed(".deps/node/bin/node")
}

/// A file of a package of `tests/e2e/node/package.json`.
pub(crate) fn node_module(path: &str) -> PathBuf {
    installed(&format!(".deps/node/node_modules/{path}"))
}

/// The conformance suite of MCP, on the Node that it needs.
pub(crate) fn conformance() -> Command {
    let suite = "node_modules/@modelcontextprotocol/conformance/dist/index.js";
    let mut command = Command::new(installed(".deps/conformance/bin/node"));
    command.arg(installed(&format!(".deps/conformance/{suite}")));
    command
}

/// What the conformance suite requires for a revision.
pub(crate) fn conformance_requirements(revision: &str) -> PathBuf {
    let list = "node_modules/@modelcontextprotocol/conformance/requirements";
    installed(&format!(".deps/conformance/{list}/{revision}.yaml"))
}

/// A file of a package of `tests/e2e/node/login/package.json`.
pub(crate) fn login_module(path: &str) -> PathBuf {
    installed(&format!(".deps/login/node_modules/{path}"))
}

/// A file of a package of `console/package.json`.
pub(crate) fn console_module(path: &str) -> PathBuf {
    installed(&format!(".deps/console/node_modules/{path}"))
}

/// Debian's Chromium.
pub(crate) fn chromium() -> PathBuf {
    let program = PathBuf::from("/usr/bin/chromium");
    assert!(
        program.exists(),
        "{} is missing; run this and try again:  apt-get install chromium",
        program.display()
    );
    program
}

/// Command line of the file server of the MCP project, for `root`.
pub(crate) fn filesystem_server(root: &Path) -> Vec<String> {
    let server = "@modelcontextprotocol/server-filesystem/dist/index.js";
    let command = [node(), node_module(server), root.to_owned()];
    command.map(|part| part.display().to_string()).into()
}

fn installed(path: &str) -> PathBuf {
    let path = root().join(path);
    assert!(
        path.exists(),
        "{} is missing; run this in {} and try again:  ci/deps",
        path.display(),
        root().display()
    );
    path
}
