//! `/proc/PID/cmdline`: arguments that every user of the machine can read.

use super::Part;

const MOST: usize = 1_024 * 1_024;
/// Programs that take a password in a notation of their own; their line is scanned as a whole, too.
const WHOLE: [&[u8]; 7] = [
    b"curl",
    b"wget",
    b"mysql",
    b"mysqldump",
    b"mysqladmin",
    b"mariadb",
    b"sshpass",
];

impl Part<'_> {
    pub(super) fn command_line(&mut self) {
        let bytes = match self.process.read("cmdline", MOST) {
            Ok(bytes) => bytes,
            Err(error) => return self.missed("cmdline", &error),
        };
        let arguments: Vec<&[u8]> = bytes
            .split(|byte| *byte == 0)
            .filter(|argument| !argument.is_empty())
            .collect();
        let program = arguments
            .first()
            .and_then(|first| first.rsplit(|byte| *byte == b'/').next())
            .unwrap_or_default();
        if WHOLE.contains(&program) {
            self.look(
                &zeroize::Zeroizing::new(arguments.join(&b' ')),
                None,
                "",
                "cmdline",
            );
        }
        let mut flag: Option<&[u8]> = None;
        for argument in arguments {
            let is_flag = argument.starts_with(b"-");
            match flag.take() {
                Some(flag) if !is_flag => self.look(argument, Some(flag), "", "cmdline"),
                _ => self.look(argument, None, "", "cmdline"),
            }
            if is_flag && !argument.contains(&b'=') {
                flag = Some(argument);
            }
        }
    }
}
