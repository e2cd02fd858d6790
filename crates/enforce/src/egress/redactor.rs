//! Takes a secret out of what an upstream sends back, whichever way it is written: as it is, in base64 (each alignment, both alphabets),
//! percent-encoded, escaped for JSON or HTML, in hex. Of a stream only as much is held back as may become one of these.

mod forms;

use aho_corasick::{AhoCorasick, MatchKind};
use bailiwick_core::Secret;

/// What stands where a secret stood.
pub const REDACTED: &[u8] = b"[redacted:lease]";
/// Shorter secrets occur by chance, so nothing can be said of them.
pub const LEAST: usize = 8;

/// The forms of one secret.
pub struct Patterns {
    found: AhoCorasick,
    forms: Secret<Vec<Vec<u8>>>,
    longest: usize,
}

/// A secret that cannot be looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Under [`LEAST`] bytes.
    #[error(
        "the secret has fewer than {LEAST} bytes, so nobody could tell where it stands in an answer"
    )]
    Short,
    /// Too long to be looked for.
    #[error("the secret is too long to be looked for in an answer")]
    Long,
}

impl Patterns {
    /// The forms of a secret.
    pub fn of(secret: &Secret<String>) -> Result<Self, Unfit> {
        if secret.expose().len() < LEAST {
            return Err(Unfit::Short);
        }
        let forms = forms::of(secret.expose().as_bytes());
        // In whatever case: a form that was brought into another is one still.
        let found = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .ascii_case_insensitive(true)
            .build(&forms)
            .map_err(|_| Unfit::Long)?;
        let longest = forms.iter().map(Vec::len).max().unwrap_or_default();
        Ok(Self {
            found,
            forms: Secret::new(forms),
            longest,
        })
    }

    /// Whether the secret stands in some bytes.
    pub fn stands_in(&self, bytes: &[u8]) -> bool {
        self.found.is_match(bytes)
    }

    /// Bytes without the secret, and how often it stood in them.
    pub fn redacted(&self, bytes: &[u8]) -> (Vec<u8>, u64) {
        let mut out = Vec::with_capacity(bytes.len());
        let (end, hits) = self.replace(bytes, &mut out);
        out.extend_from_slice(bytes.get(end..).unwrap_or_default());
        (out, hits)
    }

    /// Appends everything up to the end of the last occurrence; gives that end, and how many there are.
    fn replace(&self, bytes: &[u8], out: &mut Vec<u8>) -> (usize, u64) {
        let (mut end, mut hits) = (0, 0);
        for found in self.found.find_iter(bytes) {
            out.extend_from_slice(bytes.get(end..found.start()).unwrap_or_default());
            out.extend_from_slice(REDACTED);
            end = found.end();
            hits += 1;
        }
        (end, hits)
    }

    /// How many of the last bytes may be the beginning of a form.
    fn begun(&self, bytes: &[u8]) -> usize {
        let most = bytes.len().min(self.longest.saturating_sub(1));
        let lengths = (1..=most).rev();
        let mut begins = lengths.filter(|length| {
            let tail = bytes.get(bytes.len() - length..).unwrap_or_default();
            let forms = self.forms.expose().iter();
            let mut heads = forms.filter_map(|form| form.get(..*length));
            heads.any(|head| head.eq_ignore_ascii_case(tail))
        });
        begins.next().unwrap_or_default()
    }
}

/// Redacts one stream.
pub struct Redactor<'a> {
    patterns: &'a Patterns,
    held: Vec<u8>,
    hits: u64,
}

impl<'a> Redactor<'a> {
    /// At the beginning of a stream.
    pub fn new(patterns: &'a Patterns) -> Self {
        Self {
            patterns,
            held: Vec::new(),
            hits: 0,
        }
    }

    /// What can go on after these bytes came.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let mut out = Vec::with_capacity(self.held.len());
        let (end, hits) = self.patterns.replace(&self.held, &mut out);
        self.hits += hits;
        let rest = self.held.get(end..).unwrap_or_default();
        let keep = rest.len() - self.patterns.begun(rest);
        out.extend_from_slice(rest.get(..keep).unwrap_or_default());
        self.held.drain(..end + keep);
        out
    }

    /// What was held back, when nothing comes any more.
    pub fn finish(&mut self) -> Vec<u8> {
        let (out, hits) = self.patterns.redacted(&self.held);
        self.hits += hits;
        self.held.clear();
        out
    }

    /// How often the secret stood in what came.
    pub fn hits(&self) -> u64 {
        self.hits
    }
}

#[cfg(test)]
mod tests;
