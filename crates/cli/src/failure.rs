//! What a command says when it could not do its work: the problem, where the node said it, and places in files.

use bailiwick_core::{Code, Fault, Problem};
use bailiwick_policy::{Flaw, PolicyErrors};

/// A command that failed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    /// Code, message and help.
    pub(crate) problem: Problem,
    /// The node's id of the refused request.
    pub(crate) request_id: Option<String>,
    /// Places in the reader's own files.
    pub(crate) places: Vec<Place>,
    /// An exit code other than the code's own: a child's, or one that a convention fixes.
    pub(crate) exit: Option<u8>,
}

/// A place in a file, with its text if it could be read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    /// What is wrong there.
    pub(crate) flaw: Flaw,
    /// The file's text.
    pub(crate) text: Option<String>,
}

impl Place {
    /// A place whose text is not at hand.
    pub(crate) fn of(flaw: Flaw) -> Self {
        Self { flaw, text: None }
    }
}

impl Failure {
    /// A defect of ours.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Problem::new(Code::Internal, message, "please report it").into()
    }

    /// With another exit code.
    pub(crate) fn exits(mut self, exit: u8) -> Self {
        self.exit = Some(exit);
        self
    }

    /// What the process exits with.
    pub(crate) fn exit_code(&self) -> u8 {
        self.exit.unwrap_or_else(|| self.problem.code.exit_code())
    }

    /// A bundle's flaws, with the text they stand in.
    pub(crate) fn of_policy(
        errors: &PolicyErrors,
        files: &std::collections::BTreeMap<String, String>,
    ) -> Self {
        let place = |flaw: &Flaw| Place {
            flaw: flaw.clone(),
            text: files.get(&flaw.file).cloned(),
        };
        Self {
            places: errors.flaws.iter().map(place).collect(),
            ..Self::from(errors.problem())
        }
    }
}

impl Failure {
    /// With the text that its places stand in.
    pub(crate) fn in_files(mut self, files: &std::collections::BTreeMap<String, String>) -> Self {
        for place in &mut self.places {
            place.text = files.get(&place.flaw.file).cloned();
        }
        self
    }
}

impl<F: Fault> From<F> for Failure {
    fn from(fault: F) -> Self {
        Self {
            problem: fault.problem(),
            request_id: None,
            places: Vec::new(),
            exit: None,
        }
    }
}
