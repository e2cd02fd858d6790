//! What a document says, key by key, with the place of each value. Forms are checked here, meanings in `resolve`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::flaw::Flaw;
use super::keys::{self, Key, Kind, SECTIONS};
use super::units;

/// One value as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawValue {
    /// Of [`Kind::Text`].
    Text(String),
    /// Of [`Kind::Duration`].
    Duration(Duration),
    /// Of [`Kind::Size`], in bytes.
    Size(u64),
    /// Of [`Kind::Texts`].
    Texts(Vec<String>),
    /// Of [`Kind::Uids`].
    Uids(Vec<u32>),
    /// Of [`Kind::Count`].
    Count(u64),
    /// Of [`Kind::Table`]: strings by name.
    Table(BTreeMap<String, String>),
    /// Of [`Kind::Tables`]: strings by name, of each.
    Tables(Vec<BTreeMap<String, String>>),
    /// Of [`Kind::Witnesses`]: keys and URLs.
    Witnesses(Vec<(String, String)>),
}

/// A document's values. A key that is not in it takes its default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawConfig {
    values: BTreeMap<Key, (RawValue, Range<usize>)>,
}

impl RawConfig {
    /// Reads a document as far as it can be read, and says what is wrong with the rest.
    pub fn parse(text: &str) -> (Self, Vec<Flaw>) {
        let (document, errors) = DeTable::parse_recoverable(text);
        let mut flaws: Vec<Flaw> = errors.iter().map(syntax).collect();
        let mut raw = Self::default();
        let broken = !flaws.is_empty();
        let mut version = false;
        for (name, value) in document.get_ref() {
            let (at, name) = (name.span(), name.get_ref().as_ref());
            if name == "version" {
                version = true;
                flaws.extend(version_flaw(value.get_ref(), value.span()));
            } else if SECTIONS.contains(&name) {
                match value.get_ref() {
                    DeValue::Table(table) => raw.section(name, table, &mut flaws),
                    other => flaws.push(wrong_type(value.span(), name, "a table", other)),
                }
            } else {
                flaws.push(unknown_top(name, at));
            }
        }
        if !version && !broken {
            let help = "start the document with: version = 1";
            flaws.push(Flaw::at(0..0, "`version` is missing", help));
        }
        (raw, flaws)
    }

    /// The value of a key and its place; none if the document does not have it.
    pub fn value(&self, key: Key) -> Option<&(RawValue, Range<usize>)> {
        self.values.get(&key)
    }

    fn section(&mut self, section: &str, table: &DeTable<'_>, flaws: &mut Vec<Flaw>) {
        for (name, value) in table {
            let written = name.get_ref().as_ref();
            // `export.otlp` is a key of two words.
            let prefix = format!("{written}.");
            if let (Some(inner), true) = (
                value.get_ref().as_table(),
                keys::of(section).any(|key| key.name().starts_with(&prefix)),
            ) {
                self.words(section, &prefix, inner, flaws);
                continue;
            }
            let Some(key) = keys::of(section).find(|key| key.name() == written) else {
                flaws.push(unknown_key(section, written, name.span()));
                continue;
            };
            match form(key, value.get_ref(), value.span()) {
                Ok(form) => drop(self.values.insert(key, (form, value.span()))),
                Err(flaw) => flaws.push(flaw),
            }
        }
    }
}

impl RawConfig {
    /// Keys of two words, of which the first is read.
    fn words(&mut self, section: &str, prefix: &str, table: &DeTable<'_>, flaws: &mut Vec<Flaw>) {
        for (name, value) in table {
            let written = format!("{prefix}{}", name.get_ref());
            let Some(key) = keys::of(section).find(|key| key.name() == written) else {
                flaws.push(unknown_key(section, &written, name.span()));
                continue;
            };
            match form(key, value.get_ref(), value.span()) {
                Ok(form) => drop(self.values.insert(key, (form, value.span()))),
                Err(flaw) => flaws.push(flaw),
            }
        }
    }
}

/// Reads a default of the table of keys.
pub(super) fn default_of(key: Key) -> Option<RawValue> {
    let text = key.default();
    match key.kind() {
        _ if text.is_empty() && !keys::is_list(key) => None,
        Kind::Text => Some(RawValue::Text(text.to_owned())),
        Kind::Duration => units::duration(text).ok().map(RawValue::Duration),
        Kind::Size => units::size(text).ok().map(RawValue::Size),
        Kind::Texts => Some(RawValue::Texts(Vec::new())),
        Kind::Uids => Some(RawValue::Uids(Vec::new())),
        Kind::Count => text.parse().ok().map(RawValue::Count),
        Kind::Table => None,
        Kind::Tables => Some(RawValue::Tables(Vec::new())),
        Kind::Witnesses => Some(RawValue::Witnesses(Vec::new())),
    }
}

fn form(key: Key, value: &DeValue<'_>, span: Range<usize>) -> Result<RawValue, Flaw> {
    let name = format!("{}.{}", key.section(), key.name());
    let wrong = |value: &DeValue<'_>, span| wrong_type(span, &name, key.kind().as_str(), value);
    match key.kind() {
        Kind::Text | Kind::Duration | Kind::Size => {
            let Some(text) = value.as_str() else {
                return Err(wrong(value, span));
            };
            let read = match key.kind() {
                Kind::Duration => units::duration(text).map(RawValue::Duration),
                Kind::Size => units::size(text).map(RawValue::Size),
                _ => Ok(RawValue::Text(text.to_owned())),
            };
            read.map_err(|help| {
                let kind = key.kind().as_str();
                Flaw::at(
                    span,
                    format!("`{name}` is {kind}, not \"{}\"", shortened(text)),
                    help,
                )
            })
        }
        Kind::Count => {
            let number = value.as_integer().filter(|number| number.radix() == 10);
            let count = number.and_then(|number| number.as_str().parse().ok());
            count.map(RawValue::Count).ok_or_else(|| wrong(value, span))
        }
        Kind::Table => strings(&name, value)
            .unwrap_or_else(|| Err(wrong(value, span)))
            .map(RawValue::Table),
        Kind::Tables => {
            let Some(items) = value.as_array() else {
                return Err(wrong(value, span));
            };
            let read = items.iter().map(|item| {
                let (found, at) = (item.get_ref(), item.span());
                strings(&name, found).unwrap_or_else(|| Err(wrong(found, at)))
            });
            read.collect::<Result<_, _>>().map(RawValue::Tables)
        }
        Kind::Witnesses => {
            let Some(items) = value.as_array() else {
                return Err(wrong(value, span));
            };
            let read = items.iter().map(|item| witness(&name, item));
            read.collect::<Result<_, _>>().map(RawValue::Witnesses)
        }
        Kind::Texts | Kind::Uids => {
            let Some(items) = value.as_array() else {
                return Err(wrong(value, span));
            };
            let mut texts = Vec::new();
            let mut uids = Vec::new();
            for item in items {
                let (found, at) = (item.get_ref(), item.span());
                if key.kind() == Kind::Texts {
                    texts.push(found.as_str().ok_or_else(|| wrong(found, at))?.to_owned());
                } else {
                    let uid = found.as_integer().filter(|number| number.radix() == 10);
                    let uid = uid.and_then(|number| number.as_str().parse().ok());
                    uids.push(uid.ok_or_else(|| wrong(found, at))?);
                }
            }
            Ok(if key.kind() == Kind::Texts {
                RawValue::Texts(texts)
            } else {
                RawValue::Uids(uids)
            })
        }
    }
}

/// A table of strings by name; none if it is no table.
fn strings(name: &str, value: &DeValue<'_>) -> Option<Result<BTreeMap<String, String>, Flaw>> {
    let table = value.as_table()?;
    let read = table.iter().map(|(member, value)| {
        let text = value
            .get_ref()
            .as_str()
            .ok_or_else(|| wrong_type(value.span(), name, "strings only", value.get_ref()))?;
        Ok((member.get_ref().to_string(), text.to_owned()))
    });
    Some(read.collect())
}

/// `{vkey, url}`, both strings, and nothing else.
fn witness(name: &str, item: &Spanned<DeValue<'_>>) -> Result<(String, String), Flaw> {
    let wanted = "witnesses as {vkey = \"…\", url = \"…\"}";
    let at = item.span();
    let Some(table) = item.get_ref().as_table() else {
        return Err(wrong_type(at, name, wanted, item.get_ref()));
    };
    let text = |key: &str| table.get(key).and_then(|value| value.get_ref().as_str());
    match (text("vkey"), text("url"), table.len()) {
        (Some(vkey), Some(url), 2) => Ok((vkey.to_owned(), url.to_owned())),
        _ => Err(Flaw::at(
            at,
            format!("`{name}` takes {wanted}"),
            "both are strings, and there is no other key",
        )),
    }
}

fn version_flaw(value: &DeValue<'_>, span: Range<usize>) -> Option<Flaw> {
    match value.as_integer() {
        Some(number) if number.as_str() == "1" => None,
        _ => Some(Flaw::at(
            span,
            "this release reads configurations of version 1",
            "write: version = 1",
        )),
    }
}

fn syntax(error: &toml::de::Error) -> Flaw {
    Flaw {
        message: format!("not TOML: {}", error.message()),
        help: String::new(),
        span: error.span(),
    }
}

fn wrong_type(span: Range<usize>, name: &str, wanted: &str, found: &DeValue<'_>) -> Flaw {
    let message = format!("`{name}` takes {wanted}, not {}", article(found.type_str()));
    Flaw::at(span, message, String::new())
}

fn article(kind: &str) -> String {
    let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}

fn unknown_top(name: &str, span: Range<usize>) -> Flaw {
    let home = Key::ALL.iter().find(|key| key.name() == name);
    let help = match (keys::nearest(name, SECTIONS.iter().copied()), home) {
        (Some(nearest), _) => format!("did you mean [{nearest}]?"),
        (None, Some(key)) => format!("it belongs into [{}]", key.section()),
        (None, None) => format!("tables are: {}", SECTIONS.join(", ")),
    };
    Flaw::at(
        span,
        format!("unknown table or key `{}`", shortened(name)),
        help,
    )
}

fn unknown_key(section: &str, name: &str, span: Range<usize>) -> Flaw {
    let near = keys::nearest(name, keys::of(section).map(Key::name));
    let elsewhere = Key::ALL.iter().find(|key| key.name() == name);
    let help = match (near, elsewhere) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, Some(key)) => format!("it belongs into [{}]", key.section()),
        (None, None) => {
            let known: Vec<&str> = keys::of(section).map(Key::name).collect();
            format!("keys of [{section}] are: {}", known.join(", "))
        }
    };
    let message = format!("unknown key `{}` in [{section}]", shortened(name));
    Flaw::at(span, message, help)
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(64).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
