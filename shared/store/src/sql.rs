//! Between SQL and the domain: literals that need no escaping, and columns read as domain values.
//!
//! Statements of varying length (rows, lists of ids) are sent as text, because a prepared one of every length
//! would fill the statement cache. Only integers and hexadecimal bytes are ever written into them.

use std::fmt::Write as _;

use spike_domain::{Currency, Money, OrderId, OrderStatus, SessionId};
use sqlx::AssertSqlSafe;

use crate::backend::{Column, Conn, Row};
use crate::query::Done;
use crate::{Result, StoreError};

/// Most rows or ids in one statement.
pub(crate) const CHUNK: usize = 500;

/// Appends bytes as `x'…'`.
pub(crate) fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.push_str("x'");
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text.push('\'');
}

/// `x'…', x'…'` for an IN list. Callers chunk; an empty list is no SQL.
pub(crate) fn order_list(orders: &[OrderId]) -> String {
    hex_list(orders.iter().map(|order| &order.bytes()[..]))
}

/// The same of sessions.
pub(crate) fn session_list(sessions: &[SessionId]) -> String {
    hex_list(sessions.iter().map(|session| &session.bytes()[..]))
}

/// The same of any bytes.
pub(crate) fn hex_list<'a>(items: impl ExactSizeIterator<Item = &'a [u8]>) -> String {
    let mut text = String::with_capacity(items.len() * 36);
    for bytes in items {
        if !text.is_empty() {
            text.push(',');
        }
        push_hex(&mut text, bytes);
    }
    text
}

/// `1,2,3` for an IN list.
pub(crate) fn number_list(numbers: impl Iterator<Item = i64>) -> String {
    let mut text = String::new();
    for number in numbers {
        let comma = if text.is_empty() { "" } else { "," };
        write!(text, "{comma}{number}").expect("writing to a String cannot fail");
    }
    text
}

/// Runs text made of this file's literals.
pub(crate) async fn run_text(conn: &mut Conn, text: String) -> Result<u64, sqlx::Error> {
    let text = sqlx::raw_sql(AssertSqlSafe(text));
    let done: Done = match conn {
        Conn::MySql(conn) => text.execute(&mut **conn).await?.into(),
        Conn::Sqlite(conn) => text.execute(&mut **conn).await?.into(),
    };
    Ok(done.rows)
}

/// Reads rows by text made of this file's literals.
pub(crate) async fn rows_of_text(conn: &mut Conn, text: String) -> Result<Vec<Row>, sqlx::Error> {
    let text = sqlx::raw_sql(AssertSqlSafe(text));
    Ok(match conn {
        Conn::MySql(conn) => text.fetch_all(&mut **conn).await?.into_iter().map(Row::MySql).collect(),
        Conn::Sqlite(conn) => text.fetch_all(&mut **conn).await?.into_iter().map(Row::Sqlite).collect(),
    })
}

/// A column as the driver reads it.
pub(crate) fn at<'r, T: Column<'r>>(row: &'r Row, column: &str) -> Result<T> {
    row.get(column).map_err(|error| StoreError::corrupt(format!("column {column}: {error}")))
}

/// A non-negative BIGINT.
pub(crate) fn u64_at(row: &Row, column: &str) -> Result<u64> {
    let value: i64 = at(row, column)?;
    u64::try_from(value).map_err(|_| StoreError::corrupt(format!("column {column}: {value} below zero")))
}

/// A non-negative integer of at most 32 bits.
pub(crate) fn u32_at(row: &Row, column: &str) -> Result<u32> {
    let value: i64 = at(row, column)?;
    u32::try_from(value).map_err(|_| StoreError::corrupt(format!("column {column}: {value} out of range")))
}

/// An order's BINARY(16) id.
pub(crate) fn order_at(row: &Row, column: &str) -> Result<OrderId> {
    uuid_at(row, column).map(OrderId)
}

/// A session's BINARY(16) id.
pub(crate) fn session_at(row: &Row, column: &str) -> Result<SessionId> {
    uuid_at(row, column).map(SessionId)
}

fn uuid_at(row: &Row, column: &str) -> Result<uuid::Uuid> {
    let bytes: &[u8] = at(row, column)?;
    let id = uuid::Uuid::from_slice(bytes);
    id.map_err(|_| StoreError::corrupt(format!("column {column}: {} bytes", bytes.len())))
}

/// An order's status.
pub(crate) fn status_at(row: &Row, column: &str) -> Result<OrderStatus> {
    let code: i8 = at(row, column)?;
    OrderStatus::from_code(code).ok_or_else(|| StoreError::corrupt(format!("column {column}: status {code}")))
}

/// An amount, with the row's `currency`.
pub(crate) fn money_at(row: &Row, column: &str) -> Result<Money> {
    let word: &str = at(row, "currency")?;
    let currency = Currency::parse(word).ok_or_else(|| StoreError::corrupt(format!("currency {word:?}")))?;
    Ok(Money { minor: at(row, column)?, currency })
}

/// Milliseconds or an epoch as the signed number a BIGINT holds.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A limit given as a page: rows to skip.
pub(crate) fn offset(page: u32, page_size: u32) -> i64 {
    i64::from(page.max(1) - 1).saturating_mul(i64::from(page_size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_hold_nothing_but_digits() {
        let mut text = String::new();
        push_hex(&mut text, b"';--\xff\0");
        assert_eq!(text, "x'273b2d2dff00'");
        assert_eq!(number_list([1, -2, i64::MAX].into_iter()), "1,-2,9223372036854775807");
        let order = OrderId::parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        assert_eq!(
            order_list(&[order, order]),
            "x'01890a5dac96774bbcceb302099a8057',x'01890a5dac96774bbcceb302099a8057'"
        );
    }

    #[test]
    fn pages_count_from_one() {
        assert_eq!([offset(0, 20), offset(1, 20), offset(3, 20)], [0, 0, 40]);
        assert_eq!(offset(u32::MAX, u32::MAX), i64::MAX, "an absurd page is empty, not an overflow");
    }
}
