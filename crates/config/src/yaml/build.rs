//! Turns the events of the parser into a tree, within bounds.

use super::{Content, Error, MAX_DEPTH, MAX_NODES, Node, Scalar};
use crate::yaml::scalar::Tag;
use granit_parser::{Event, Parser, ScalarStyle, Span};
use std::collections::HashMap;
use std::sync::Arc;

pub(super) fn first_document(text: &str) -> Result<Option<Arc<Node>>, Error> {
    let mut builder = Builder {
        text,
        open: Vec::new(),
        anchors: HashMap::new(),
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Error::Syntax {
            line: error.marker().line(),
            what: error.info(),
        })?;
        if let Some(root) = builder.take(event, span)? {
            return Ok(Some(root));
        }
    }
    Ok(None)
}

/// A collection that is not complete yet.
struct Open {
    line: usize,
    anchor: usize,
    mapping: bool,
    items: Vec<Arc<Node>>,
}

struct Builder<'t> {
    text: &'t str,
    open: Vec<Open>,
    /// None while the anchored collection is not complete.
    anchors: HashMap<usize, Option<Arc<Node>>>,
}

impl Builder<'_> {
    /// Gives the root once it is complete.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<Option<Arc<Node>>, Error> {
        let line = span.start.line();
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let scalar = Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain,
                    tag: tag.as_deref().map(Tag::new),
                };
                let node = Node {
                    line,
                    content: Content::Scalar(scalar),
                    weight: 1,
                    depth: 0,
                };
                self.add(Arc::new(node), anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.start(line, anchor, false),
            Event::MappingStart(_, anchor, _) => self.start(line, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let node = self.alias(anchor, span)?;
                self.add(node, 0)
            }
            _ => Ok(None),
        }
    }

    fn start(
        &mut self,
        line: usize,
        anchor: usize,
        mapping: bool,
    ) -> Result<Option<Arc<Node>>, Error> {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep());
        }
        if anchor > 0 {
            self.anchors.insert(anchor, None);
        }
        self.open.push(Open {
            line,
            anchor,
            mapping,
            items: Vec::new(),
        });
        Ok(None)
    }

    fn end(&mut self) -> Result<Option<Arc<Node>>, Error> {
        let Some(Open {
            line,
            anchor,
            mapping,
            items,
        }) = self.open.pop()
        else {
            return Ok(None);
        };
        let weight = items
            .iter()
            .map(|item| item.weight)
            .fold(1, usize::saturating_add);
        let depth = items.iter().map(|item| item.depth).max().unwrap_or(0) + 1;
        if weight > MAX_NODES {
            return Err(Error::Structure(
                "document contains excessive aliasing".to_owned(),
            ));
        }
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        let content = if mapping {
            pair_up(items)
        } else {
            Content::Sequence(items)
        };
        self.add(
            Arc::new(Node {
                line,
                content,
                weight,
                depth,
            }),
            anchor,
        )
    }

    fn alias(&self, anchor: usize, span: Span) -> Result<Arc<Node>, Error> {
        let name = || {
            span.slice(self.text)
                .unwrap_or_default()
                .trim_start_matches('*')
                .to_owned()
        };
        match self.anchors.get(&anchor) {
            Some(Some(node)) => Ok(Arc::clone(node)),
            Some(None) => Err(Error::Structure(format!(
                "anchor '{}' value contains itself",
                name()
            ))),
            None => Err(Error::Structure(format!(
                "unknown anchor '{}' referenced",
                name()
            ))),
        }
    }

    fn add(&mut self, node: Arc<Node>, anchor: usize) -> Result<Option<Arc<Node>>, Error> {
        if anchor > 0 {
            self.anchors.insert(anchor, Some(Arc::clone(&node)));
        }
        match self.open.last_mut() {
            Some(parent) => {
                parent.items.push(node);
                Ok(None)
            }
            None => Ok(Some(node)),
        }
    }
}

fn pair_up(items: Vec<Arc<Node>>) -> Content {
    let mut items = items.into_iter();
    let mut pairs = Vec::with_capacity(items.len() / 2);
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    Content::Mapping(pairs)
}

fn too_deep() -> Error {
    Error::Structure(format!("document is nested deeper than {MAX_DEPTH} levels"))
}
