//! Request paths as text: cleaning, decoding, escaping, and who is called by them.
//!
//! Covers contract, http-api 3 and 4, and security 6.3. Headers that name a target, the choice
//! between the forms and the query are not looked at here; nothing here knows HTTP. Everything
//! runs on every call, so text that needs no change is scanned and handed back borrowed.

mod clean;
mod escape;
mod method;

pub use clean::clean;
pub use escape::{
    BadEscape, BadPath, decode_path, escape_path, percent_decode, push_escaped_path,
    query_unescape, query_unescape_or_keep,
};
pub use method::{
    InvalidMethod, invoke_path, method_of_invoke_path, method_of_path, normalize_method,
};

#[cfg(test)]
mod tests;
