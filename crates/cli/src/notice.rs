//! Waiting that is told of when it takes long.

use std::time::Duration;

use tokio::time::timeout;

/// The work; `late` is called once if it takes longer than `patience`.
pub(crate) async fn with_notice<T>(
    work: impl Future<Output = T>,
    patience: Duration,
    late: impl FnOnce(),
) -> T {
    let mut work = std::pin::pin!(work);
    match timeout(patience, &mut work).await {
        Ok(done) => done,
        Err(_) => {
            late();
            work.await
        }
    }
}
