//! The conditions of betterleaks' rules (`filter`, `prefilter`): comparisons, `&& || !`, and the functions `entropy`, `len`,
//! `matchesAny` and `containsAny` over a find's texts. Nothing else, and nothing that leaves the process.

use regex::bytes::Regex;

use super::rule;

/// Parts of a condition, and its depth.
const MOST_PARTS: usize = 4_096;
const DEEPEST: usize = 32;

/// What a condition is asked about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) secret: &'a [u8],
    pub(super) matched: &'a [u8],
    pub(super) line: &'a [u8],
    pub(super) path: &'a [u8],
}

/// A condition that was read.
#[derive(Debug)]
pub(super) enum Filter {
    Any(Vec<Self>),
    All(Vec<Self>),
    Not(Box<Self>),
    Compare(Measure, Text, Operator, f64),
    Matches(Text, Vec<Regex>),
    Contains(Text, Vec<Vec<u8>>),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Measure {
    Entropy,
    Length,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Text {
    Secret,
    Match,
    Line,
    Path,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Operator {
    Less,
    AtMost,
    More,
    AtLeast,
    Equal,
    Unequal,
}

impl Text {
    fn of<'a>(self, subject: &Subject<'a>) -> &'a [u8] {
        match self {
            Self::Secret => subject.secret,
            Self::Match => subject.matched,
            Self::Line => subject.line,
            Self::Path => subject.path,
        }
    }
}

impl Filter {
    /// Reads a condition; the error says what is not known.
    pub(super) fn parse(source: &str) -> Result<Self, String> {
        let mut parser = Parser {
            tokens: tokens(source)?,
            at: 0,
        };
        let filter = parser.any(0)?;
        match parser.tokens.get(parser.at) {
            None => Ok(filter),
            Some(token) => Err(format!("{token:?} is not expected here")),
        }
    }

    /// Whether it holds.
    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::Any(parts) => parts.iter().any(|part| part.holds(subject)),
            Self::All(parts) => parts.iter().all(|part| part.holds(subject)),
            Self::Not(part) => !part.holds(subject),
            Self::Compare(measure, text, operator, bound) => {
                let text = text.of(subject);
                let value = match measure {
                    Measure::Entropy => entropy(text),
                    #[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^52")]
                    Measure::Length => text.len() as f64,
                };
                operator.compares(value, *bound)
            }
            Self::Matches(text, expressions) => expressions
                .iter()
                .any(|expression| expression.is_match(text.of(subject))),
            Self::Contains(text, parts) => parts
                .iter()
                .any(|part| memchr::memmem::find(text.of(subject), part).is_some()),
        }
    }
}

impl Operator {
    fn compares(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Less => value < bound,
            Self::AtMost => value <= bound,
            Self::More => value > bound,
            Self::AtLeast => value >= bound,
            Self::Equal => (value - bound).abs() < f64::EPSILON,
            Self::Unequal => (value - bound).abs() >= f64::EPSILON,
        }
    }
}

/// Shannon's entropy of the bytes, in bits per byte.
pub(super) fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^52")]
    let length = text.len() as f64;
    let each = counts.iter().filter(|count| **count > 0);
    each.map(|count| f64::from(*count) / length)
        .map(|share| -share * share.log2())
        .sum()
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(f64),
    Sign(&'static str),
}

const SIGNS: [&str; 14] = [
    "||", "&&", "<=", ">=", "==", "!=", "<", ">", "!", "(", ")", "[", "]", ",",
];

fn tokens(source: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = source.trim_start();
    while let Some(first) = rest.chars().next() {
        if tokens.len() >= MOST_PARTS {
            return Err(format!("it has more than {MOST_PARTS} parts"));
        }
        if let Some(comment) = rest.strip_prefix("//") {
            rest = comment
                .split_once('\n')
                .map_or("", |(_, rest)| rest)
                .trim_start();
            continue;
        }
        let token;
        (token, rest) = match first {
            '"' | '`' => quoted(rest, first)?,
            '0'..='9' => {
                let end = rest
                    .find(|c: char| !c.is_ascii_digit() && c != '.')
                    .unwrap_or(rest.len());
                let (digits, rest) = rest.split_at(end);
                (
                    Token::Number(
                        digits
                            .parse()
                            .map_err(|_| format!("`{digits}` is no number"))?,
                    ),
                    rest,
                )
            }
            _ if first.is_ascii_alphabetic() || first == '_' => {
                let end = rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.')
                    .unwrap_or(rest.len());
                let (word, rest) = rest.split_at(end);
                (Token::Word(word.to_owned()), rest)
            }
            _ => {
                let sign = SIGNS
                    .into_iter()
                    .find(|sign| rest.starts_with(sign))
                    .ok_or_else(|| format!("`{first}` is not known"))?;
                (
                    Token::Sign(sign),
                    rest.get(sign.len()..).unwrap_or_default(),
                )
            }
        };
        tokens.push(token);
        rest = rest.trim_start();
    }
    Ok(tokens)
}

/// A string: between backticks as it is, between quotes with escapes.
fn quoted(source: &str, quote: char) -> Result<(Token, &str), String> {
    let mut text = String::new();
    let mut signs = source.char_indices().skip(1);
    while let Some((at, sign)) = signs.next() {
        match sign {
            _ if sign == quote => {
                return Ok((Token::Text(text), source.get(at + 1..).unwrap_or_default()));
            }
            '\\' if quote == '"' => match signs.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, other)) => text.push(other),
                None => break,
            },
            _ => text.push(sign),
        }
    }
    Err("a string has no end".to_owned())
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn any(&mut self, depth: usize) -> Result<Filter, String> {
        let mut parts = vec![self.all(depth)?];
        while self.takes("||") {
            parts.push(self.all(depth)?);
        }
        Ok(Filter::Any(parts))
    }

    fn all(&mut self, depth: usize) -> Result<Filter, String> {
        let mut parts = vec![self.one(depth)?];
        while self.takes("&&") {
            parts.push(self.one(depth)?);
        }
        Ok(Filter::All(parts))
    }

    fn one(&mut self, depth: usize) -> Result<Filter, String> {
        if depth > DEEPEST {
            return Err(format!("it is deeper than {DEEPEST}"));
        }
        if self.takes("!") {
            return Ok(Filter::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.takes("(") {
            let inner = self.any(depth + 1)?;
            self.needs(")")?;
            return Ok(inner);
        }
        let Some(Token::Word(function)) = self.next() else {
            return Err("a function is missing".to_owned());
        };
        self.needs("(")?;
        let text = self.text()?;
        match function.as_str() {
            "entropy" | "len" => {
                self.needs(")")?;
                let measure = if function == "len" {
                    Measure::Length
                } else {
                    Measure::Entropy
                };
                let operator = self.operator()?;
                let Some(Token::Number(bound)) = self.next() else {
                    return Err("a number is missing".to_owned());
                };
                Ok(Filter::Compare(measure, text, operator, bound))
            }
            "matchesAny" => {
                let expressions = self.list()?;
                let compiled: Result<_, _> = expressions
                    .iter()
                    .map(|expression| rule::compile(expression))
                    .collect();
                Ok(Filter::Matches(
                    text,
                    compiled.map_err(|error| error.to_string())?,
                ))
            }
            "containsAny" => Ok(Filter::Contains(
                text,
                self.list()?.into_iter().map(String::into_bytes).collect(),
            )),
            _ => Err(format!("the function `{function}` is not supported")),
        }
    }

    /// `, [ "…", … ] )`
    fn list(&mut self) -> Result<Vec<String>, String> {
        self.needs(",")?;
        self.needs("[")?;
        let mut texts = Vec::new();
        while !self.takes("]") {
            match self.next() {
                Some(Token::Text(text)) => texts.push(text),
                other => return Err(format!("{other:?} is no string")),
            }
            if !self.takes(",") {
                self.needs("]")?;
                break;
            }
        }
        self.needs(")")?;
        Ok(texts)
    }

    fn text(&mut self) -> Result<Text, String> {
        let Some(Token::Word(of)) = self.next() else {
            return Err("`finding[…]` or `attributes[…]` is missing".to_owned());
        };
        self.needs("[")?;
        let Some(Token::Text(member)) = self.next() else {
            return Err(format!("a member of `{of}` is missing"));
        };
        self.needs("]")?;
        match (of.as_str(), member.as_str()) {
            ("finding", "secret") => Ok(Text::Secret),
            ("finding", "match") => Ok(Text::Match),
            ("finding", "line") => Ok(Text::Line),
            ("attributes", "path") => Ok(Text::Path),
            _ => Err(format!("`{of}[\"{member}\"]` is not supported")),
        }
    }

    fn operator(&mut self) -> Result<Operator, String> {
        let known = [
            ("<=", Operator::AtMost),
            (">=", Operator::AtLeast),
            ("==", Operator::Equal),
            ("!=", Operator::Unequal),
            ("<", Operator::Less),
            (">", Operator::More),
        ];
        known
            .into_iter()
            .find(|(sign, _)| self.takes(sign))
            .map(|(_, operator)| operator)
            .ok_or_else(|| "a comparison is missing".to_owned())
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn takes(&mut self, sign: &str) -> bool {
        let is = matches!(self.tokens.get(self.at), Some(Token::Sign(found)) if *found == sign);
        if is {
            self.at += 1;
        }
        is
    }

    fn needs(&mut self, sign: &str) -> Result<(), String> {
        if self.takes(sign) {
            Ok(())
        } else {
            Err(format!("`{sign}` is missing"))
        }
    }
}

#[cfg(test)]
mod tests;
