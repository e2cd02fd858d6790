//! Open files: those that have been deleted or never had a name are found nowhere else. A pipe is never read: its bytes would be
//! gone for the process.

use rustix::fs::FileType;

use super::Part;

/// Largest file that is read.
const MOST: usize = 1_024 * 1_024;

impl Part<'_> {
    pub(super) fn descriptors(&mut self) {
        let numbers = match self.process.list("fd") {
            Ok(numbers) => numbers,
            Err(error) => return self.missed("open files", &error),
        };
        for number in numbers {
            let path = format!("fd/{number}");
            // It may have been closed meanwhile.
            let (Ok(target), Ok(stat)) = (self.process.link(&path), self.process.stat(&path))
            else {
                continue;
            };
            let what = format!("fd {number}");
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile
                    if usize::try_from(stat.st_size).unwrap_or(usize::MAX) > MOST =>
                {
                    self.outcome
                        .coverage
                        .missed(self.place(&what), format!("larger than {MOST} bytes"));
                }
                FileType::RegularFile => match self.process.read(&path, MOST) {
                    Ok(bytes) => {
                        let shown: String = target.chars().take(200).collect();
                        self.look(&bytes, None, &target, &format!("{what} → {shown}"));
                    }
                    Err(error) => self.missed(&what, &error),
                },
                FileType::Fifo => self
                    .outcome
                    .coverage
                    .missed(self.place(&what), "a pipe: reading would take its bytes"),
                // Sockets, devices and directories have no content of their own.
                _ => {}
            }
        }
    }
}
