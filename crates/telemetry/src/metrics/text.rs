//! The Prometheus text layout: heads, samples, labels and their escapes.

use std::fmt::Write as _;

use crate::go_float::push_go_float;

/// The longest label value the page shows.
const VALUE_BYTES: usize = 255;

/// Samples of one family on their way to the page.
pub struct Page<'a> {
    out: &'a mut String,
    name: &'a str,
}

impl<'a> Page<'a> {
    pub(crate) fn new(out: &'a mut String, name: &'a str) -> Self {
        Self { out, name }
    }

    pub(crate) fn head(&mut self, help: &str, kind: &str) {
        let name = self.name;
        let _ = write!(self.out, "# HELP {name} ");
        for letter in help.chars() {
            match letter {
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                other => self.out.push(other),
            }
        }
        let _ = write!(self.out, "\n# TYPE {name} {kind}\n");
    }

    /// A sample that is a float. `labels` is what stands between the braces.
    pub(crate) fn number(&mut self, suffix: &str, labels: &str, value: f64) {
        self.start(suffix, labels);
        if !labels.is_empty() {
            self.out.push('}');
        }
        self.end(value);
    }

    /// A sample that counts. Counts are floats on the page, as everywhere in this layout.
    pub(crate) fn count(&mut self, suffix: &str, labels: &str, value: u64) {
        self.number(suffix, labels, value as f64);
    }

    pub(crate) fn bucket(&mut self, labels: &str, bound: f64, count: u64) {
        self.start("_bucket", labels);
        self.out.push_str(if labels.is_empty() {
            "{le=\""
        } else {
            ",le=\""
        });
        push_go_float(self.out, bound);
        self.out.push_str("\"}");
        self.end(count as f64);
    }

    fn start(&mut self, suffix: &str, labels: &str) {
        self.out.push_str(self.name);
        self.out.push_str(suffix);
        if !labels.is_empty() {
            self.out.push('{');
            self.out.push_str(labels);
        }
    }

    fn end(&mut self, value: f64) {
        self.out.push(' ');
        push_go_float(self.out, value);
        self.out.push('\n');
    }
}

/// Appends one label to the text between the braces, its value made fit for the page.
pub(super) fn push_label(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() {
        out.push(',');
    }
    out.push_str(name);
    out.push_str("=\"");
    for byte in value.bytes().take(VALUE_BYTES) {
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push('_'),
        }
    }
    out.push('"');
}
