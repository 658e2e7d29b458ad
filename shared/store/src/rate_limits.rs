//! Table `rate_limits`: the one row of limits that an administrator has set in place of each gateway's configuration.

use spike_domain::{Rate, RateLimits};
use sqlx::AssertSqlSafe;

use crate::backend::{Conn, Row};
use crate::query::query;
use crate::sql::{at, u32_at};
use crate::transaction::{read, transact};
use crate::{Expected, Result, Store, StoreError};

/// The limits as they are in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitsRow {
    /// From 1; rises with every change, also with the one that gives the limits back to the configuration.
    pub version: u32,
    /// What an administrator has set; `None`: each gateway's configuration holds.
    pub set: Option<RateLimits>,
}

const SELECT: &str = "SELECT version, global_per_s, global_burst, event_per_s, event_burst, user_per_s, user_burst, \
     address_per_s, address_burst, debounce_ms FROM rate_limits WHERE id = 1";

impl Store {
    /// The limits now.
    pub async fn rate_limits(&self) -> Result<RateLimitsRow> {
        read!(self, |conn| { one(conn, SELECT.to_owned()).await })
    }

    /// Sets the limits, or with `None` gives them back to the configuration, and returns the row after it; what is so already
    /// changes nothing. Errors: `Conflict(Version)`, `Corrupt` (a limit out of its range).
    pub async fn set_rate_limits(
        &self,
        expected: &Expected,
        set: Option<&RateLimits>,
    ) -> Result<RateLimitsRow> {
        transact!(self, |tx| { change(tx, expected, set).await })
    }
}

impl RateLimitsRow {
    fn read(row: &Row) -> Result<Self> {
        let set = at::<Option<i64>>(row, "debounce_ms")?.map(|_| limits_at(row)).transpose()?;
        Ok(Self { version: u32_at(row, "version")?, set })
    }
}

fn limits_at(row: &Row) -> Result<RateLimits> {
    let rate = |per_s, burst| -> Result<Rate> {
        Ok(Rate { per_s: u32_at(row, per_s)?, burst: u32_at(row, burst)? })
    };
    Ok(RateLimits {
        global: rate("global_per_s", "global_burst")?,
        event: rate("event_per_s", "event_burst")?,
        user: rate("user_per_s", "user_burst")?,
        address: rate("address_per_s", "address_burst")?,
        debounce_ms: u32_at(row, "debounce_ms")?,
    })
}

async fn one(conn: &mut Conn, text: String) -> Result<RateLimitsRow> {
    let row = query(AssertSqlSafe(text)).fetch_optional(conn).await?;
    let row = row.ok_or_else(|| StoreError::corrupt("the row of rate_limits is gone"))?;
    RateLimitsRow::read(&row)
}

async fn change(tx: &mut Conn, expected: &Expected, set: Option<&RateLimits>) -> Result<RateLimitsRow> {
    let locked = format!("{SELECT} {}", tx.dialect().for_update());
    let before = one(tx, locked).await?;
    expected.demand(before.version)?;
    if before.set.as_ref() == set {
        return Ok(before);
    }
    let text = format!(
        "UPDATE rate_limits SET version = version + 1, updated_at_ms = {now}, global_per_s = ?, global_burst = ?, \
         event_per_s = ?, event_burst = ?, user_per_s = ?, user_burst = ?, address_per_s = ?, address_burst = ?, \
         debounce_ms = ? WHERE id = 1",
        now = tx.dialect().now_ms(),
    );
    let column = |of: fn(&RateLimits) -> u32| set.map(of).map(i64::from);
    let update = query(AssertSqlSafe(text))
        .bind(column(|limits| limits.global.per_s))
        .bind(column(|limits| limits.global.burst))
        .bind(column(|limits| limits.event.per_s))
        .bind(column(|limits| limits.event.burst))
        .bind(column(|limits| limits.user.per_s))
        .bind(column(|limits| limits.user.burst))
        .bind(column(|limits| limits.address.per_s))
        .bind(column(|limits| limits.address.burst))
        .bind(column(|limits| limits.debounce_ms));
    update.execute(tx).await?;
    Ok(RateLimitsRow { version: before.version + 1, set: set.copied() })
}
