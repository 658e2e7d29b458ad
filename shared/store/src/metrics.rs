//! What is measured of the database: calls by what they are about, waits for a connection, failures, the pool.

use std::sync::Arc;
use std::time::Duration;

use spike_metrics::catalogue::common::{
    DATABASE_ACQUIRE_DURATION, DATABASE_BREAKER_OPEN, DATABASE_CALL_DURATION, DATABASE_CONNECTIONS,
    DATABASE_ERRORS,
};
use spike_metrics::words::{DatabaseError, PoolUse, Statements};
use spike_metrics::{Counts, Page, Spreads};

use crate::{Result, Store, StoreError};

/// The instruments of one database; stores that share a database may share them.
#[derive(Debug)]
pub(crate) struct DatabaseMetrics {
    calls: Spreads,
    acquires: Spreads,
    errors: Counts,
}

impl Default for DatabaseMetrics {
    fn default() -> Self {
        Self {
            calls: Spreads::new(&DATABASE_CALL_DURATION),
            acquires: Spreads::new(&DATABASE_ACQUIRE_DURATION),
            errors: Counts::new(&DATABASE_ERRORS),
        }
    }
}

impl DatabaseMetrics {
    pub fn acquired(&self, waited: Duration) {
        self.acquires.took_at(0, waited);
    }

    pub fn called<T>(&self, about: Statements, took: Duration, result: &Result<T>) {
        self.calls.took_at(about as usize, took);
        if let Err(error) = result {
            self.failed(error);
        }
    }

    /// Counts a failure; what a caller got wrong is none.
    pub fn failed(&self, error: &StoreError) {
        let cause = match error {
            StoreError::Unavailable(_) => DatabaseError::Unavailable,
            StoreError::Retry(_) => DatabaseError::LockConflict,
            StoreError::Corrupt(_) | StoreError::Other(_) => DatabaseError::Other,
            StoreError::Conflict { .. } | StoreError::NotFound => return,
        };
        self.errors.add_at(cause as usize, 1);
    }
}

impl Store {
    /// The same store, counting together with `other`: a second pool of one database.
    #[must_use]
    pub fn counting_with(self, other: &Self) -> Self {
        Self { metrics: Arc::clone(&other.metrics), ..self }
    }

    /// Shows what is measured, and the pool of this store.
    pub fn write_metrics(&self, page: &mut Page) {
        self.metrics.calls.write(page);
        self.metrics.acquires.write(page);
        self.metrics.errors.write(page);
        let (idle, in_use) = self.backend.connections();
        let mut pool = page.family(&DATABASE_CONNECTIONS);
        pool.sample(&[PoolUse::Idle.word()], idle);
        pool.sample(&[PoolUse::InUse.word()], in_use);
        page.value(&DATABASE_BREAKER_OPEN, u8::from(self.breaker_open()));
    }
}

/// What the statements of a file are about.
pub(crate) fn about(module: &str) -> Statements {
    let file = module.rsplit("::").next().unwrap_or_default();
    match file {
        "accounts" | "password" | "refresh" | "revocations" | "sessions" | "users" => Statements::Accounts,
        "inventory" | "movements" | "product_list" | "products" => Statements::Catalogue,
        "event_archive" | "event_changes" | "event_schedule" | "event_units" | "events" | "returns" => {
            Statements::Events
        }
        "adopt" | "insert" | "order_life" | "order_rows" | "orders" | "poison" | "presence" => {
            Statements::SpikeOrders
        }
        "shop_expiry" | "shop_order_life" | "shop_orders" | "idempotency" => Statements::ShopOrders,
        "payments" | "refunds" | "simulated_payments" | "untold" => Statements::Payments,
        "audit" | "rebuild" => Statements::Rebuild,
        "restock" => Statements::Restock,
        "rate_limits" => Statements::Settings,
        "audit_log" | "dead_letters" | "purge" => Statements::Upkeep,
        _ => Statements::Health,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_with_statements_is_about_something() {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
        for file in files.map(|file| file.unwrap().path()) {
            let (text, name) =
                (std::fs::read_to_string(&file).unwrap(), file.file_stem().unwrap().to_str().unwrap());
            let calls = ["read!(", "transact!(", "under_lock!("];
            if !["transaction", "connection", "metrics"].contains(&name)
                && calls.iter().any(|call| text.contains(call))
            {
                assert_ne!(about(&format!("spike_store::{name}")), Statements::Health, "{name}");
            }
        }
        assert_eq!(about(module_path!()), Statements::Health, "the caller's path, in full");
    }
}
