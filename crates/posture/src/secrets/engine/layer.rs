//! One text, plain or unwrapped: its hits become candidates, the surest first.

use std::ops::Range;
use std::sync::Arc;

use super::around::{begins_token, ends_token, line_round, name_around, region};
use super::candidate::{Candidate, Taken};
use super::{Engine, Owner};
use crate::secrets::decode::{self, Unwrapped};
use crate::secrets::find::Severity;
use crate::secrets::fingerprint::Digest;
use crate::secrets::key_name::{self, Promise, promise};
use crate::secrets::lines::{self, Syntax};
use crate::secrets::memo::Memo;
use crate::secrets::rule::Rule;
use crate::secrets::url;
use crate::secrets::validate::{Check, Verdict};
use crate::secrets::value::{Kind, is_secret};

/// Candidates of one text.
const MOST: usize = 10_000;
/// Bytes that rules, names and decoders may look at, layers within it included, as a multiple of the text, and what is granted to any text.
const WORK_FACTOR: usize = 48;
const WORK_LEAST: usize = 1_024 * 1_024;

pub(super) struct Layer<'a, 'm> {
    engine: &'a Engine,
    text: &'a [u8],
    syntax: Syntax,
    memo: &'m mut Memo,
    /// Up to where each rule has looked.
    looked: Vec<usize>,
    formats: Vec<(usize, Candidate)>,
    urls: Vec<Candidate>,
    names: Vec<Candidate>,
    escapes: Vec<Range<usize>>,
    refuted: Vec<Range<usize>>,
    last_key: usize,
    work: usize,
}

impl<'a, 'm> Layer<'a, 'm> {
    pub(super) fn new(
        engine: &'a Engine,
        text: &'a [u8],
        syntax: Syntax,
        memo: &'m mut Memo,
    ) -> Self {
        let work = text.len().saturating_mul(WORK_FACTOR).max(WORK_LEAST);
        Self::within(engine, text, syntax, memo, work)
    }

    /// A text that was unwrapped: it may cost what is left of its wrapping's work.
    fn within(
        engine: &'a Engine,
        text: &'a [u8],
        syntax: Syntax,
        memo: &'m mut Memo,
        work: usize,
    ) -> Self {
        Self {
            engine,
            text,
            syntax,
            memo,
            looked: vec![0; engine.rules.len()],
            formats: Vec::new(),
            urls: Vec::new(),
            names: Vec::new(),
            escapes: Vec::new(),
            refuted: Vec::new(),
            last_key: 0,
            work,
        }
    }

    /// The whole text is the value of a name.
    pub(super) fn named(&mut self, key: &[u8]) {
        if let Some(promise) = promise(key) {
            let whole = 0..self.text.len();
            self.judge(key, whole, Kind::Literal(promise), promise, false);
        }
    }

    /// All of it. False if a bound was reached.
    pub(super) fn candidates(mut self, depth: usize) -> (Vec<Candidate>, bool) {
        let complete = self.look(depth);
        (self.settled(), complete)
    }

    fn look(&mut self, depth: usize) -> bool {
        let engine = self.engine;
        let mut complete = true;
        for hit in engine.literals.find_overlapping_iter(self.text) {
            if self.work == 0 || self.formats.len() + self.names.len() + self.urls.len() >= MOST {
                complete = false;
                break;
            }
            for owner in engine
                .owners
                .get(hit.pattern().as_usize())
                .into_iter()
                .flatten()
            {
                match owner {
                    Owner::Rule(number, literal) => {
                        self.rule(*number, literal.as_deref(), hit.range());
                    }
                    Owner::Name => self.name(hit.range()),
                    Owner::Url => self.url(hit.start()),
                    Owner::Escape if depth < decode::DEEPEST => self.escape(hit.start()),
                    Owner::Escape => {}
                }
            }
        }
        if depth < decode::DEEPEST {
            complete &= self.unwrapped(depth);
        }
        complete
    }

    fn spend(&mut self, bytes: usize) {
        self.work = self.work.saturating_sub(bytes + 32);
    }

    fn rule(&mut self, number: usize, literal: Option<&str>, hit: Range<usize>) {
        let text = self.text;
        let Some(rule) = self.engine.rules.get(number) else {
            return;
        };
        if self
            .looked
            .get(number)
            .is_some_and(|looked| hit.start < *looked)
        {
            return;
        }
        if literal.is_some_and(|literal| text.get(hit.clone()) != Some(literal.as_bytes())) {
            return;
        }
        if let Some(least) = rule.least_from_literal {
            let drawn = text.get(hit.start..hit.start + least);
            if !begins_token(text, hit.start)
                || !drawn.is_some_and(|drawn| drawn.iter().all(u8::is_ascii_graphic))
            {
                return;
            }
        }
        let (region, looked) = region(text, &hit, rule);
        if let Some(seen) = self.looked.get_mut(number) {
            *seen = looked;
        }
        let Some(piece) = text.get(region.clone()) else {
            return;
        };
        self.spend(piece.len());
        let key = self.memo.key(number, piece);
        if self.memo.is_fruitless(key) {
            return;
        }
        if !self.matches(number, rule, &region, piece) {
            self.memo.remember(key);
        }
    }

    /// Whether the expression matched at all.
    fn matches(&mut self, number: usize, rule: &Rule, region: &Range<usize>, piece: &[u8]) -> bool {
        let text = self.text;
        let Some(regex) = rule.regex() else {
            return false;
        };
        let mut any = false;
        for captures in regex.captures_iter(piece) {
            any = true;
            let Some(part) = captures.get(rule.group) else {
                continue;
            };
            let range = region.start + part.start()..region.start + part.end();
            // Before a group stands what the expression says.
            let begins = rule.group > 0 || begins_token(text, range.start);
            if !begins || !ends_token(text, &range) {
                continue;
            }
            let rest = text.get(range.start..).unwrap_or_default();
            match rule.check.verdict(part.as_bytes(), rest) {
                Verdict::No => {
                    // A wrong checksum says that it is none, whatever its name is.
                    if matches!(rule.check, Check::Crc62 | Check::Bech32 | Check::Jwt) {
                        self.refuted.push(range);
                    }
                }
                Verdict::Yes(known) => {
                    let range = range.start..range.start + known.extent.max(range.len());
                    self.formats.push((
                        number,
                        Candidate {
                            check: Arc::clone(&rule.id),
                            severity: known.severity.unwrap_or(rule.severity),
                            range,
                            key: None,
                            length: known.length,
                            digest: known.digest,
                            public: known.public,
                            wrapped: Vec::new(),
                            remedy: Arc::clone(&rule.remedy),
                        },
                    ));
                }
            }
        }
        any
    }

    fn url(&mut self, at: usize) {
        self.spend(256);
        let Some(found) = url::password(self.text, at) else {
            return;
        };
        self.urls.push(Candidate {
            check: found.check.into(),
            severity: Severity::High,
            range: found.range,
            key: None,
            length: found.secret.len(),
            digest: Digest::of(&found.secret),
            public: vec![("user", found.user), ("host", found.host)],
            wrapped: Vec::new(),
            remedy: REPLACE.into(),
        });
    }

    fn name(&mut self, hit: Range<usize>) {
        if hit.start < self.last_key {
            return;
        }
        let Some(range) = name_around(self.text, &hit) else {
            return;
        };
        self.spend(range.len());
        self.last_key = range.end;
        let text = self.text;
        let Some(key) = text.get(range.clone()) else {
            return;
        };
        let Some(promise) = promise(key) else {
            return;
        };
        let Some(found) = lines::value_of(text, &range, self.syntax) else {
            return;
        };
        self.spend(found.range.len());
        let kind = if found.literal {
            Kind::Literal(promise)
        } else {
            Kind::Expression(promise)
        };
        self.judge(key, found.range, kind, promise, found.escaped);
    }

    fn judge(
        &mut self,
        key: &[u8],
        range: Range<usize>,
        kind: Kind,
        promise: Promise,
        escaped: bool,
    ) {
        let Some(written) = self.text.get(range.clone()) else {
            return;
        };
        let (skipped, written) = without_scheme(written);
        let plain = if escaped {
            decode::unescape(written)
        } else {
            None
        };
        let value = plain
            .as_ref()
            .map_or(written, |plain| plain.as_slice())
            .trim_ascii();
        // Base64 of a password is no less that password.
        let inner = decode::of_value(value).filter(|(_, text)| is_secret(text, kind));
        let (value, wrapped) = match &inner {
            Some((how, text)) => (text.trim_ascii(), vec![*how]),
            None if is_secret(value, kind) => (value, Vec::new()),
            None => return,
        };
        self.names.push(Candidate {
            check: match promise {
                Promise::Password => "named-password",
                Promise::Token | Promise::Perhaps => "named-token",
            }
            .into(),
            severity: if promise == Promise::Perhaps {
                Severity::Medium
            } else {
                Severity::High
            },
            range: range.start + skipped..range.end,
            key: Some(key.get(..key_name::LONGEST).unwrap_or(key).to_vec()),
            length: value.len(),
            digest: Digest::of(value),
            public: Vec::new(),
            wrapped,
            remedy: REPLACE.into(),
        });
    }

    fn escape(&mut self, at: usize) {
        if self.escapes.last().is_some_and(|last| at < last.end) {
            return;
        }
        let (start, end) = line_round(self.text, at);
        self.spend(end - start);
        self.escapes.push(start..end);
    }

    /// Looks into what is wrapped in this layer. False if a bound was reached.
    fn unwrapped(&mut self, depth: usize) -> bool {
        let mut complete = true;
        let mut inner: Vec<Unwrapped> = Vec::new();
        let text = self.text;
        for range in std::mem::take(&mut self.escapes) {
            let Some(line) = text.get(range.clone()) else {
                continue;
            };
            if let Some(plain) = decode::percent(line) {
                inner.push(Unwrapped {
                    range: range.clone(),
                    how: "percent",
                    text: plain,
                });
            }
            if let Some(plain) = decode::unescape(line) {
                inner.push(Unwrapped {
                    range,
                    how: "json",
                    text: plain,
                });
            }
        }
        let mut formats = Taken::default();
        for (_, found) in &self.formats {
            formats.take(&found.range);
        }
        decode::unwrap(text, &mut |found| {
            if inner.len() >= MOST {
                complete = false;
            } else if !formats.overlaps(&found.range) {
                inner.push(found);
            }
        });
        for Unwrapped {
            range,
            how,
            text: plain,
        } in inner
        {
            if self.work == 0 {
                return false;
            }
            self.spend(plain.len());
            let mut inner =
                Layer::within(self.engine, &plain, self.syntax, &mut *self.memo, self.work);
            complete &= inner.look(depth + 1);
            let left = inner.work;
            let found = inner.settled();
            self.work = left;
            if found.is_empty() {
                continue;
            }
            let escapes = matches!(how, "percent" | "json");
            // What is inside is what is meant, not the wrapping.
            self.names.retain(|name| {
                let inside = name.range.start < range.end && range.start < name.range.end;
                let wrapped = !escapes
                    || text
                        .get(name.range.clone())
                        .is_some_and(|value| value.iter().any(|byte| matches!(byte, b'%' | b'\\')));
                !(inside && wrapped)
            });
            for candidate in found {
                let known = |other: &Candidate| other.digest == candidate.digest;
                if escapes
                    && (self.formats.iter().any(|(_, other)| known(other))
                        || self.names.iter().any(known)
                        || self.urls.iter().any(known))
                {
                    continue;
                }
                self.formats
                    .push((usize::MAX, candidate.within(range.clone(), how)));
            }
        }
        complete
    }

    /// Of candidates that overlap the surest stays: formats in the order of their rules, URLs, names.
    fn settled(mut self) -> Vec<Candidate> {
        let mut taken = Taken::default();
        let mut settled = Vec::new();
        self.formats
            .sort_by_key(|(number, found)| (*number, found.range.start));
        for (number, found) in self.formats {
            // Several may come out of one wrapping.
            if number == usize::MAX || taken.take(&found.range) {
                settled.push(found);
            }
        }
        for found in &settled {
            taken.take(&found.range);
        }
        for range in &self.refuted {
            taken.take(range);
        }
        for found in self.urls.into_iter().chain(self.names) {
            if taken.take(&found.range) {
                settled.push(found);
            }
        }
        settled
    }
}

const REPLACE: &str = "replace it where it is accepted, then remove it here";

/// The value without `Bearer ` and its like, and how many bytes that was.
fn without_scheme(value: &[u8]) -> (usize, &[u8]) {
    for scheme in [b"bearer ".as_slice(), b"token ", b"basic ", b"apikey "] {
        if let Some((head, rest)) = value.split_at_checked(scheme.len())
            && head.eq_ignore_ascii_case(scheme)
        {
            return (scheme.len(), rest);
        }
    }
    (0, value)
}
