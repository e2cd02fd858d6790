//! A server program that a test starts. Included beside what starts one.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};

/// A server that runs; it ends with this.
pub(crate) struct Running(Child);

impl Running {
    /// Starts it, and waits until it says that it is ready on the one stream that is piped; what it says, if it ends before.
    pub(crate) fn until(ready: &str, command: &mut Command) -> Result<Self, String> {
        let started = command.stdin(Stdio::null()).spawn();
        let name = command.get_program().display();
        let mut process =
            started.unwrap_or_else(|error| panic!("{name} does not start; run ci/deps: {error}"));
        let stream: Box<dyn Read + Send> = match (process.stdout.take(), process.stderr.take()) {
            (Some(out), _) => Box::new(out),
            (None, Some(err)) => Box::new(err),
            (None, None) => panic!("{name}: no stream is piped"),
        };
        let mut lines = BufReader::new(stream);
        let mut told = String::new();
        while !told.contains(ready) {
            let read = lines.read_line(&mut told).unwrap();
            if read == 0 {
                process.wait().unwrap();
                return Err(format!("{name} did not start: {told}"));
            }
        }
        // Nobody reads on; it must not wait for somebody to.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Ok(Self(process))
    }
}

impl Drop for Running {
    /// At once, as a crash would.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
