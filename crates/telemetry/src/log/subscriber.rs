//! The `tracing` subscriber: which events become lines. Spans, and everything from other crates,
//! are switched off where they are written, so they cost one load each.

use std::cell::Cell;
use std::time::SystemTime;

use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

use super::layout::{Common, Layout, Line};
use super::level::Level;
use super::record::Record;
use super::scope;
use super::sink::Open;
use super::{Error, Format, Options};

/// Turns events into lines.
#[derive(Debug)]
pub struct Logger {
    level: Level,
    layout: Layout,
    common: Common,
    sink: Open,
    now: fn() -> SystemTime,
}

impl Logger {
    /// Opens the sink.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if the log file cannot be opened for appending.
    pub fn try_new(options: Options) -> Result<Self, Error> {
        let sink = options.sink.open()?;
        let layout = match options.format {
            Format::Json => Layout::Json,
            Format::Text if sink.is_terminal() => Layout::Terminal,
            Format::Text => Layout::Text,
        };
        Ok(Self {
            level: options.level,
            layout,
            common: Common {
                app_id: options.app_id,
                instance: options.instance,
                version: options.version,
                utc_offset: options.utc_offset,
                started: SystemTime::now(),
            },
            sink,
            now: SystemTime::now,
        })
    }

    /// The same logger under a fixed clock and, if wished, as on a terminal.
    #[cfg(test)]
    pub(super) fn for_test(mut self, now: fn() -> SystemTime, terminal: bool) -> Self {
        self.now = now;
        self.common.started = now() - std::time::Duration::from_secs(65);
        if terminal {
            self.layout = Layout::Terminal;
        }
        self
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && scope::is_ours(metadata.target())
            && Level::of(metadata).is_some_and(|level| level >= self.threshold(metadata.target()))
    }

    fn threshold(&self, target: &str) -> Level {
        if scope::is_always_info(target) {
            Level::Info
        } else {
            self.level
        }
    }
}

impl Subscriber for Logger {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // Never below info, for the scopes that always print there.
        Some(match self.level {
            Level::Debug => LevelFilter::DEBUG,
            _ => LevelFilter::INFO,
        })
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let Some(possible) = Level::of(metadata) else {
            return;
        };
        let mut buffers = BUFFERS.try_with(Cell::take).unwrap_or_default();
        buffers.record.clear();
        event.record(&mut buffers.record);
        let level = match possible {
            Level::Fatal if !buffers.record.fatal => Level::Error,
            other => other,
        };
        if level >= self.threshold(metadata.target()) {
            let line = Line {
                common: &self.common,
                scope: metadata.target(),
                level,
                at: (self.now)(),
            };
            line.push(&mut buffers.line, self.layout, &mut buffers.record);
            self.sink.write(&buffers.line);
        }
        buffers.line.clear();
        buffers.line.shrink_to(KEEP_BYTES);
        // Refused only while the thread ends.
        let _ = BUFFERS.try_with(|cell| cell.set(buffers));
    }

    // Spans are never enabled; these exist because the trait asks for them.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Buffers above this size are given back after the line.
const KEEP_BYTES: usize = 16 * 1024;

#[derive(Default)]
struct Buffers {
    record: Record,
    line: String,
}

thread_local! {
    // Taken out while in use: an event written while another is being formatted finds empty
    // buffers instead of a lock held by its own thread.
    static BUFFERS: Cell<Buffers> = Cell::default();
}
