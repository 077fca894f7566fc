//! `nameformat`: the address is a pattern with the app id in it (contract, naming 9).
//!
//! Nothing is checked or looked up: whether the result can be dialled shows when it is dialled.

use std::future::pending;

use super::{REMEMBER_UNKNOWN, kept::Kept, unknown};
use crate::table::{Listing, Table};

/// What stands for the id.
const PLACEHOLDER: &str = "{appid}";

/// Lists every id that is asked for under its address. Runs until dropped.
pub async fn run(format: &str, table: &Table) {
    let mut asked = table.asked();
    let source = table.source("nameformat");
    let mut kept: Kept<Box<str>, Box<str>> = Kept::new();
    while let Some(query) = asked.next().await {
        let app_id = query.app_id();
        if app_id.is_empty() {
            table.refuse(&query, unknown("empty ID not allowed"), REMEMBER_UNKNOWN);
            continue;
        }
        if kept.get_mut(app_id).is_some() {
            // Asked for again because it can't be reached; there is nothing new to say.
            continue;
        }
        let address = format.replace(PLACEHOLDER, app_id);
        if let Some((oldest, address)) = kept.insert(app_id.into(), address.as_str().into()) {
            source.remove(None, &oldest, &address);
        }
        source.upsert(Listing::new(None, app_id, &address));
    }
    pending().await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::resolvers::MOST_KEPT;

    #[tokio::test(start_paused = true)]
    async fn every_id_has_an_address_and_few_are_kept() {
        let table = Table::new();
        let running = table.clone();
        let task = tokio::spawn(async move { run("{appid}.{appid}.svc:1", &running).await });
        let second = Duration::from_secs(1);
        let found = table.wait_for("any", "cart", second).await.unwrap();
        assert_eq!(found.all()[0].addr(), "cart.cart.svc:1");
        let none = table.wait_for("any", "", second).await.unwrap_err();
        assert_eq!(none.to_string(), "empty ID not allowed");
        for n in 0..MOST_KEPT {
            let id = format!("made-up-{n}");
            table.wait_for("any", &id, second).await.unwrap();
        }
        assert!(table.peek("any", "cart").is_none());
        assert_eq!(table.snapshot().instances().count(), MOST_KEPT);
        table.wait_for("any", "cart", second).await.unwrap();
        task.abort();
    }
}
