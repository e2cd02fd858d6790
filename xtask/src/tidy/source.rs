//! Rust source split, line by line, into code and comment, with the contents of strings blanked: enough to ask whether
//! the *code* says `#[ignore]` without stumbling over a message or a comment that speaks about it.

/// One line of a source file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// What the compiler sees; strings and characters keep their quotes and lose their contents.
    pub(crate) code: String,
    /// The text of comments on this line, without `//` or `/*`.
    pub(crate) comment: String,
}

/// Splits `text`; the first line has index 0.
pub(crate) fn split(text: &str) -> Vec<Line> {
    let mut reader = Reader {
        state: State::Code,
        lines: vec![Line::default()],
        rest: text,
    };
    while let Some(step) = reader.step() {
        reader.rest = reader.rest.get(step..).unwrap_or_default();
    }
    reader.lines
}

struct Reader<'a> {
    state: State,
    lines: Vec<Line>,
    rest: &'a str,
}

#[derive(Clone, Copy)]
enum State {
    Code,
    LineComment,
    /// Block comments nest.
    BlockComment(usize),
    String,
    /// Ends at a quote followed by as many `#`.
    RawString(usize),
}

impl Reader<'_> {
    /// Takes one lexical step; returns its length in bytes, none at the end.
    fn step(&mut self) -> Option<usize> {
        let next = self.rest.chars().next()?;
        if next == '\n' {
            self.lines.push(Line::default());
            if matches!(self.state, State::LineComment) {
                self.state = State::Code;
            }
            return Some(1);
        }
        let length = match self.state {
            State::Code => self.code(next),
            State::LineComment => self.comment(next),
            State::BlockComment(depth) => self.block_comment(next, depth),
            State::String => self.string(next),
            State::RawString(hashes) => self.raw_string(next, hashes),
        };
        Some(length)
    }

    fn code(&mut self, next: char) -> usize {
        if self.rest.starts_with("//") {
            self.state = State::LineComment;
            return 2;
        }
        if self.rest.starts_with("/*") {
            self.state = State::BlockComment(1);
            return 2;
        }
        match next {
            '"' => {
                self.state = State::String;
                self.push("\"")
            }
            'r' if !self.in_word() => {
                let after = self.rest.get(1..).unwrap_or_default();
                let hashes = after.len() - after.trim_start_matches('#').len();
                if after
                    .get(hashes..)
                    .is_some_and(|quoted| quoted.starts_with('"'))
                {
                    self.state = State::RawString(hashes);
                    self.push("\"");
                    return 2 + hashes;
                }
                self.push("r")
            }
            '\'' => self.character_or_lifetime(),
            other => self.push(other.encode_utf8(&mut [0; 4])),
        }
    }

    /// `'x'` and `'\n'` are characters, `'x` is a lifetime.
    fn character_or_lifetime(&mut self) -> usize {
        let mut inside = self.rest.char_indices().skip(1);
        let end = match inside.next() {
            Some((_, '\\')) => inside.skip(1).find(|(_, c)| *c == '\''),
            Some(_) => inside.next().filter(|(_, c)| *c == '\''),
            None => None,
        };
        self.push("'");
        match end {
            Some((at, _)) => {
                self.push("'");
                at + 1
            }
            None => 1,
        }
    }

    fn comment(&mut self, next: char) -> usize {
        if let Some(line) = self.lines.last_mut() {
            line.comment.push(next);
        }
        next.len_utf8()
    }

    fn block_comment(&mut self, next: char, depth: usize) -> usize {
        if self.rest.starts_with("/*") {
            self.state = State::BlockComment(depth + 1);
            return 2;
        }
        if self.rest.starts_with("*/") {
            self.state = if depth > 1 {
                State::BlockComment(depth - 1)
            } else {
                State::Code
            };
            return 2;
        }
        self.comment(next)
    }

    fn string(&mut self, next: char) -> usize {
        match next {
            '"' => {
                self.state = State::Code;
                self.push("\"")
            }
            // An escaped line end must still be counted as a line.
            '\\' if !self.rest.starts_with("\\\n") => {
                1 + self.rest.chars().nth(1).map_or(0, char::len_utf8)
            }
            other => other.len_utf8(),
        }
    }

    fn raw_string(&mut self, next: char, hashes: usize) -> usize {
        let after = self.rest.get(1..).unwrap_or_default();
        let closed =
            next == '"' && after.bytes().take_while(|byte| *byte == b'#').count() >= hashes;
        if closed {
            self.state = State::Code;
            self.push("\"");
            return 1 + hashes;
        }
        next.len_utf8()
    }

    /// Is the next character inside an identifier? `br"…"` and `cr"…"` are strings all the same.
    fn in_word(&self) -> bool {
        let code = self.lines.last().map_or("", |line| line.code.as_str());
        let word = code.len()
            - code
                .trim_end_matches(|c: char| c.is_alphanumeric() || c == '_')
                .len();
        let word = code.get(code.len() - word..).unwrap_or_default();
        !matches!(word, "" | "b" | "c")
    }

    fn push(&mut self, code: &str) -> usize {
        if let Some(line) = self.lines.last_mut() {
            line.code.push_str(code);
        }
        code.len()
    }
}

#[cfg(test)]
mod tests;
