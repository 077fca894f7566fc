//! Flags, environment and Configuration files, read once into values that cannot be wrong.
//!
//! The way of the settings: [`sidecar_flags::parse`] turns arguments into raw flags,
//! [`settings::Draft::try_new`] checks them, [`configuration::Configuration::load`] reads the
//! files, and [`settings::Draft::finish`] yields the immutable [`settings::Settings`]. Nothing here
//! reads the process environment, opens a socket or logs: values come in, values and texts go out.

pub mod configuration;
pub mod env;
pub mod flags;
pub mod resources;
pub mod settings;
pub mod sidecar_flags;
pub mod yaml;

mod go_text;
