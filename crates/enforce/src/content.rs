//! What an answer says: its JSON values as leaves, and all its other text.

use std::borrow::Cow;

use bailiwick_core::json::{Kind, Leaves, Limits, Scalar, Text, check};

/// The content of one result of a tool.
#[derive(Debug, Default)]
pub(crate) struct Content<'a> {
    /// Values with paths: structured content, and text that is one JSON object or array.
    pub(crate) trees: Vec<Tree>,
    /// Text without.
    pub(crate) texts: Vec<Cow<'a, str>>,
}

/// The leaves of one value: path and scalar as text.
pub(crate) type Tree = Vec<(String, String)>;

impl<'a> Content<'a> {
    /// Of a result.
    pub(crate) fn of(result: &Text<'a>) -> Self {
        let mut content = Self::default();
        if let Some(value) = result.member("structuredContent") {
            content
                .trees
                .extend(value.leaves().ok().map(|leaves| tree(&leaves)));
        }
        let blocks = result
            .member("content")
            .and_then(|content| content.elements());
        for block in blocks.unwrap_or_default() {
            let own = block.member("text");
            let embedded = || {
                block
                    .member("resource")
                    .and_then(|resource| resource.member("text"))
            };
            match own.or_else(embedded).and_then(|text| text.string()) {
                Some(text) => content.text(text),
                // Names and addresses of links, descriptions: whatever a model may read.
                None => content.texts.extend(Self::words(&block).texts),
            }
        }
        content
    }

    /// Of a value whose every word is text.
    pub(crate) fn words(value: &Text<'a>) -> Self {
        let leaves = value.leaves().ok();
        let all = leaves.map(|leaves| tree(&leaves)).unwrap_or_default();
        Self {
            trees: Vec::new(),
            texts: all.into_iter().map(|(_, text)| Cow::Owned(text)).collect(),
        }
    }

    /// Whether every word of it has a path.
    pub(crate) fn is_structured(&self) -> bool {
        !self.trees.is_empty() && self.texts.is_empty()
    }

    /// The values at a path.
    pub(crate) fn at<'s>(&'s self, path: &'s str) -> impl Iterator<Item = &'s str> {
        let leaves = self.trees.iter().flatten();
        leaves.filter_map(move |(own, text)| (own == path).then_some(text.as_str()))
    }

    fn text(&mut self, text: Cow<'a, str>) {
        let value = check(text.as_bytes(), &LIMITS).ok();
        let value = value.filter(|value| matches!(value.kind(), Kind::Object | Kind::Array));
        match value.and_then(|value| value.leaves().ok()) {
            Some(leaves) => self.trees.push(tree(&leaves)),
            None => self.texts.push(text),
        }
    }
}

/// The leaves of a value that say something.
pub(crate) fn tree(leaves: &Leaves<'_>) -> Tree {
    let mut tree = Tree::new();
    leaves.each(|path, scalar| {
        if let Some(text) = text_of(scalar) {
            tree.push((path.to_owned(), text.to_owned()));
        }
    });
    tree
}

/// A scalar as text; none if it says nothing.
pub(crate) fn text_of<'s>(scalar: &'s Scalar<'_>) -> Option<&'s str> {
    match scalar {
        Scalar::String(text) => Some(text),
        Scalar::Number(number) => Some(number),
        Scalar::Bool(true) => Some("true"),
        Scalar::Bool(false) => Some("false"),
        Scalar::Null | Scalar::Empty => None,
    }
}

/// Text that is over these is no value.
const LIMITS: Limits = Limits {
    bytes: 16 << 20,
    ..Limits::ENVELOPE.case_sensitive()
};

#[cfg(test)]
mod tests;
