//! A growing record that tests can wait on.

use std::io;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::LIMIT;

/// Shared, append-mostly record of type `T`.
#[derive(Debug)]
pub(crate) struct Log<T>(watch::Sender<T>);

impl<T: Default> Default for Log<T> {
    fn default() -> Self {
        Self(watch::Sender::new(T::default()))
    }
}

impl<T> Log<T> {
    pub(crate) fn change<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let mut result = None;
        self.0.send_modify(|state| result = Some(f(state)));
        result.expect("send_modify runs its closure exactly once")
    }

    pub(crate) fn look<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.0.borrow())
    }

    /// Waits until `pick` finds something; `what` names it in the error.
    pub(crate) async fn wait<R>(
        &self,
        what: &str,
        mut pick: impl FnMut(&T) -> Option<R>,
    ) -> io::Result<R> {
        let mut seen = self.0.subscribe();
        let mut found = None;
        let waiting = seen.wait_for(|state| {
            found = pick(state);
            found.is_some()
        });
        let ended = timeout(LIMIT, waiting).await.map(|r| r.is_ok());
        match (ended, found) {
            (Ok(true), Some(found)) => Ok(found),
            _ => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("waited in vain for {what}"),
            )),
        }
    }
}
