//! Takes a secret out of what an upstream sends back, whichever way it is written: as it is, in base64 (each alignment, both alphabets) or in
//! hex, and in each of these any letter raw or escaped as in URLs, JSON, programs or HTML. Of a stream only as much is held back as may
//! become one of these.

mod forms;
mod written;

use std::collections::BTreeSet;
use std::ops::Range;

use bailiwick_core::Secret;

use written::Written;

/// What stands where a secret stood.
pub const REDACTED: &[u8] = b"[redacted:lease]";
/// Shorter secrets occur by chance, so nothing can be said of them.
pub const LEAST: usize = 8;

/// Longer ones fit no head of a request.
pub const MOST: usize = 64 << 10;

/// The forms of one secret.
pub struct Patterns {
    /// In lower case: a form that was brought into another case is one still.
    forms: Secret<Vec<Vec<u8>>>,
    /// The bytes that one may begin with.
    begins: [bool; 256],
}

/// What was seen from one place on.
#[derive(Default)]
struct Seen {
    /// Where the longest form ends.
    end: Option<usize>,
    /// Whether more bytes could make one.
    open: bool,
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
        if secret.expose().len() > MOST {
            return Err(Unfit::Long);
        }
        let forms = forms::of(secret.expose().as_bytes());
        let mut begins = [false; 256];
        let firsts = forms.iter().filter_map(|form| form.first().copied());
        for byte in firsts.chain(*b"%\\&+") {
            for letter in [byte, byte.to_ascii_uppercase()] {
                if let Some(begins) = begins.get_mut(usize::from(letter)) {
                    *begins = true;
                }
            }
        }
        Ok(Self {
            forms: Secret::new(forms),
            begins,
        })
    }

    /// Whether the secret stands in some bytes.
    pub fn stands_in(&self, bytes: &[u8]) -> bool {
        !self.find(bytes).0.is_empty()
    }

    /// Bytes without the secret, and how often it stood in them.
    pub fn redacted(&self, bytes: &[u8]) -> (Vec<u8>, u64) {
        let mut out = Vec::with_capacity(bytes.len());
        let (found, _) = self.find(bytes);
        replace(bytes, &found, &mut out);
        (out, count(&found))
    }

    /// Where the secret stands, from left to right, and from where on it may come to stand if more comes.
    fn find(&self, bytes: &[u8]) -> (Vec<Range<usize>>, Option<usize>) {
        let (mut found, mut open, mut at) = (Vec::new(), None, 0);
        while let Some(byte) = bytes.get(at) {
            if self.begins.get(usize::from(*byte)) == Some(&true) {
                let seen = self.look(bytes, at);
                if let Some(end) = seen.end {
                    found.push(at..end);
                    (open, at) = (None, end);
                    continue;
                }
                if seen.open && open.is_none() {
                    open = Some(at);
                }
            }
            at += 1;
        }
        (found, open)
    }

    /// Reads on from one place in every way in which it can be read.
    fn look(&self, bytes: &[u8], start: usize) -> Seen {
        let mut seen = Seen::default();
        let rest = bytes.get(start..).unwrap_or_default();
        let first = rest.first().map(u8::to_ascii_lowercase);
        let plain = written::at(rest) == Written::Plain;
        for form in self.forms.expose() {
            if plain && form.first().copied() != first {
                continue;
            }
            // Where in the bytes, and how much of the form was read by then; in order, so that each is looked at once.
            let mut others: BTreeSet<(usize, usize)> = BTreeSet::new();
            let mut here = Some((start, 0));
            while let Some((at, read)) = here {
                let rest = bytes.get(at..).unwrap_or_default();
                let (mut raw, mut escaped) = (None, None);
                match (form.get(read), rest.first()) {
                    (None, _) => seen.end = seen.end.max(Some(at)),
                    (Some(_), None) => seen.open = true,
                    (Some(wanted), Some(byte)) => {
                        let is = byte.to_ascii_lowercase() == *wanted;
                        raw = is.then_some((at + 1, read + 1));
                        match written::at(rest) {
                            Written::Open => seen.open = true,
                            Written::Letter(letter, used) => {
                                let wanted = form.get(read..).unwrap_or_default();
                                escaped = letters(wanted, letter)
                                    .map(|letters| (at + used, read + letters));
                            }
                            Written::Plain => {}
                        }
                    }
                }
                here = match (raw, escaped) {
                    (Some(next), None) | (None, Some(next)) if others.is_empty() => Some(next),
                    (raw, escaped) => {
                        others.extend(raw.into_iter().chain(escaped));
                        others.pop_first()
                    }
                };
            }
        }
        seen
    }
}

/// How many bytes of a form a letter is, if it stands there: as itself, or as the one byte of that number.
fn letters(form: &[u8], letter: u32) -> Option<usize> {
    let mut utf8 = [0; 4];
    let text = char::from_u32(letter)?.to_ascii_lowercase();
    let text = text.encode_utf8(&mut utf8).as_bytes();
    if form.starts_with(text) {
        return Some(text.len());
    }
    (form.first().copied().map(u32::from) == Some(letter)).then_some(1)
}

/// Appends the bytes without what was found in them.
fn replace(bytes: &[u8], found: &[Range<usize>], out: &mut Vec<u8>) {
    let mut end = 0;
    for place in found {
        out.extend_from_slice(bytes.get(end..place.start).unwrap_or_default());
        out.extend_from_slice(REDACTED);
        end = place.end;
    }
    out.extend_from_slice(bytes.get(end..).unwrap_or_default());
}

fn count(found: &[Range<usize>]) -> u64 {
    u64::try_from(found.len()).unwrap_or(u64::MAX)
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
        let (found, open) = self.patterns.find(&self.held);
        self.hits += count(&found);
        let keep = open.unwrap_or(self.held.len());
        let goes = self.held.get(..keep).unwrap_or_default();
        replace(goes, &found, &mut out);
        self.held.drain(..keep);
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
