//! A JSON text flattened to leaves: (path, scalar). Paths are RFC 6901 pointers in which every array position is `*`,
//! and a member that is itself called `*` is written `~2`.
//!
//! Kept as a tree, so that neither a long name above many leaves nor many leaves on one path costs more than the text.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::reader::Token;
use super::strings::unescape;
use super::text::slice;
use super::{JsonError, Text};

/// What stands at the end of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as written.
    Number(&'a str),
    /// A string, unescaped.
    String(Cow<'a, str>),
    /// `{}` or `[]`
    Empty,
}

/// All leaves of one text.
#[derive(Debug, Clone)]
pub struct Leaves<'a> {
    nodes: Vec<Node<'a>>,
    count: usize,
}

/// All places of a text that share one path.
#[derive(Debug, Clone, Default)]
pub struct Node<'a> {
    names: BTreeMap<Cow<'a, str>, usize>,
    elements: Option<usize>,
    scalars: Vec<Scalar<'a>>,
}

impl<'a> Node<'a> {
    /// The scalars on this path, in their order.
    pub fn scalars(&self) -> &[Scalar<'a>] {
        &self.scalars
    }
}

impl<'a> Text<'a> {
    /// Flattens the text.
    pub fn leaves(&self) -> Result<Leaves<'a>, JsonError> {
        let mut leaves = Leaves::none();
        let mut reader = self.reader();
        // Nodes of the open containers with whether they have had a child, and the node that the next value is at.
        let mut open: Vec<(usize, bool)> = Vec::new();
        let mut named = None;
        while let Some((token, range)) = reader.next()? {
            let own = slice(self.as_str(), &range);
            if token == Token::Key {
                let parent = open.last().map_or(0, |container| container.0);
                named = Some(leaves.named(parent, unescape(own)));
                continue;
            }
            if matches!(token, Token::ObjectEnd | Token::ArrayEnd) {
                if let Some((node, false)) = open.pop() {
                    leaves.push(node, Scalar::Empty);
                }
                continue;
            }
            let node = match (named.take(), open.last()) {
                (Some(node), _) => node,
                (None, Some(container)) => leaves.element(container.0),
                (None, None) => 0,
            };
            if let Some(container) = open.last_mut() {
                container.1 = true;
            }
            match token {
                Token::Null => leaves.push(node, Scalar::Null),
                Token::Bool(value) => leaves.push(node, Scalar::Bool(value)),
                Token::Number => leaves.push(node, Scalar::Number(own)),
                Token::String => leaves.push(node, Scalar::String(unescape(own))),
                _ => open.push((node, false)),
            }
        }
        Ok(leaves)
    }
}

impl<'a> Leaves<'a> {
    /// No leaf at all: what a call without `arguments` has.
    pub fn none() -> Self {
        Self {
            nodes: vec![Node::default()],
            count: 0,
        }
    }

    /// How many leaves there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The node at `path`, if the text has one.
    pub fn at(&self, path: &str) -> Option<&Node<'a>> {
        let mut node = self.nodes.first()?;
        if path.is_empty() {
            return Some(node);
        }
        for segment in path.strip_prefix('/')?.split('/') {
            let next = match segment {
                "*" => node.elements,
                name => node.names.get(unescape_segment(name).as_ref()).copied(),
            };
            node = self.nodes.get(next?)?;
        }
        Some(node)
    }

    /// Calls `visit` with each leaf: paths in the order of names, scalars of one path in the order of the text.
    pub fn each(&self, mut visit: impl FnMut(&str, &Scalar<'a>)) {
        let mut path = String::new();
        // Nodes still to visit, with the length of their parent's path and their own last segment.
        let mut waiting: Vec<(usize, usize, Option<Segment<'_>>)> = vec![(0, 0, None)];
        while let Some((index, parent, segment)) = waiting.pop() {
            let Some(node) = self.nodes.get(index) else {
                continue;
            };
            path.truncate(parent);
            match segment {
                None => {}
                Some(Segment::Element) => path.push_str("/*"),
                Some(Segment::Name(name)) => push_segment(&mut path, name),
            }
            for scalar in &node.scalars {
                visit(&path, scalar);
            }
            for (name, child) in node.names.iter().rev() {
                waiting.push((*child, path.len(), Some(Segment::Name(name))));
            }
            if let Some(child) = node.elements {
                waiting.push((child, path.len(), Some(Segment::Element)));
            }
        }
    }

    fn named(&mut self, parent: usize, name: Cow<'a, str>) -> usize {
        let next = self.nodes.len();
        let child = match self.nodes.get_mut(parent) {
            Some(node) => *node.names.entry(name).or_insert(next),
            None => next,
        };
        self.grow(child)
    }

    fn element(&mut self, parent: usize) -> usize {
        let next = self.nodes.len();
        let child = match self.nodes.get_mut(parent) {
            Some(node) => *node.elements.get_or_insert(next),
            None => next,
        };
        self.grow(child)
    }

    fn grow(&mut self, child: usize) -> usize {
        if child == self.nodes.len() {
            self.nodes.push(Node::default());
        }
        child
    }

    fn push(&mut self, node: usize, scalar: Scalar<'a>) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.scalars.push(scalar);
            self.count += 1;
        }
    }
}

enum Segment<'a> {
    Name(&'a str),
    Element,
}

fn push_segment(path: &mut String, name: &str) {
    path.push('/');
    if name == "*" {
        path.push_str("~2");
        return;
    }
    for letter in name.chars() {
        match letter {
            '~' => path.push_str("~0"),
            '/' => path.push_str("~1"),
            other => path.push(other),
        }
    }
}

fn unescape_segment(segment: &str) -> Cow<'_, str> {
    if segment == "~2" {
        return Cow::Borrowed("*");
    }
    if !segment.contains('~') {
        return Cow::Borrowed(segment);
    }
    // RFC 6901 §4: `~1` first, so that `~01` becomes `~1` and not `/`.
    Cow::Owned(segment.replace("~1", "/").replace("~0", "~"))
}
