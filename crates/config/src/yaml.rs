//! YAML read into a tree that remembers its lines, with the rules of Go's yaml.v3.
//!
//! Reads the first document of a text only. Aliases share their node; depth, size and expansion are
//! bounded, so that no text can make the reader recurse or grow without end. Knows nothing about
//! Configuration files: [`decode`] fills any type that implements [`decode::Decode`].

mod build;
pub mod decode;
pub mod json;
pub mod scalar;
mod value;

use std::sync::Arc;

pub use scalar::{Resolved, Scalar};

/// How many collections may lie in each other, aliases included.
const MAX_DEPTH: usize = 128;
/// How many nodes a document may have once every alias is counted as often as it stands.
const MAX_NODES: usize = 1_000_000;

/// Why a text is no YAML that can be used. Displays in the form of yaml.v3.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text breaks the grammar.
    #[error("yaml: line {line}: {what}")]
    Syntax {
        /// Where, counted from 1.
        line: usize,
        /// Which rule.
        what: String,
    },
    /// Anchors, merge keys or sizes that cannot be followed.
    #[error("yaml: {0}")]
    Structure(String),
    /// Values of the wrong type and keys given twice, all of them.
    #[error("yaml: unmarshal errors:{}", list(.0))]
    Unmarshal(Vec<Problem>),
}

/// One value that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub text: String,
}

fn list(problems: &[Problem]) -> String {
    let lines = problems.iter();
    lines
        .map(|problem| format!("\n  line {}: {}", problem.line, problem.text))
        .collect()
}

/// A value with its place.
#[derive(Debug)]
pub struct Node {
    /// The line it starts on, counted from 1.
    pub line: usize,
    /// What stands there.
    pub content: Content,
    /// Nodes in it, itself and every use of an alias included.
    weight: usize,
    /// Levels of collections in it.
    depth: usize,
}

/// What a node is.
#[derive(Debug)]
pub enum Content {
    /// A word or text.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Arc<Node>>),
    /// Keys with their values, in order; merge keys are not followed yet.
    Mapping(Vec<(Arc<Node>, Arc<Node>)>),
}

impl Node {
    /// The text, if it is a scalar.
    #[must_use]
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.content {
            Content::Scalar(scalar) => Some(scalar),
            Content::Sequence(_) | Content::Mapping(_) => None,
        }
    }
}

/// Reads the first document; none if there is nothing in it.
///
/// # Errors
/// The first place that breaks the grammar or a bound.
pub fn parse_first(text: &str) -> Result<Option<Arc<Node>>, Error> {
    build::first_document(text)
}

#[cfg(test)]
mod tests;
