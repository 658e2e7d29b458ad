//! Table `dead_letters`: what could not be used, kept until an operator replays or drops it.
//!
//! A letter is known by its bytes: the same message parked again, by a replay or by a broker that delivers twice, is the same
//! row with a higher count.

use sha2::{Digest, Sha256};
use spike_domain::{EventId, OrderId};
use sqlx::AssertSqlSafe;

use crate::backend::{Conn, Row};
use crate::error::duplicate;
use crate::query::query;
use crate::sql::{at, rows_of_text, u32_at, u64_at};
use crate::transaction::{read, transact};
use crate::{Result, Store, StoreError};

/// Longest texts that their columns hold, in characters.
const SOURCE_MAX: usize = 64;
const MESSAGE_ID_MAX: usize = 128;
const REASON_MAX: usize = 500;
const BY_MAX: usize = 128;
/// Largest payload that is kept whole, in bytes: no message of ours comes near, and a server takes it in one packet.
const PAYLOAD_MAX: usize = 8 << 20;
/// What is kept of a larger one.
const PAYLOAD_HEAD: usize = 64 << 10;

/// Where a letter is in its life. The codes are those of the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterState {
    /// Nobody has decided yet; also after a replay that ended here again.
    Open = 1,
    /// Its bytes are back in the queue.
    Replayed = 2,
    /// Given up by somebody.
    Dropped = 3,
}

/// A row without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Rises with every row; the cursor.
    pub id: i64,
    /// The queue it came from.
    pub source: String,
    /// The publisher's name of it.
    pub message_id: String,
    /// Why it could not be used, the last time.
    pub reason: String,
    /// Bytes of the message; of a very large one fewer are kept.
    pub size_bytes: u64,
    /// The event, where the message says which.
    pub event: Option<EventId>,
    /// The one order that could not be written; `None` when it is the whole message.
    pub order: Option<OrderId>,
    /// Where it is.
    pub state: LetterState,
    /// Times it was parked.
    pub parks: u32,
    /// The first time, Unix milliseconds by the database's clock, as in all that follow.
    pub created_at_ms: u64,
    /// The last time.
    pub parked_at_ms: u64,
    /// When it was replayed or dropped.
    pub changed_at_ms: Option<u64>,
    /// By whom.
    pub changed_by: Option<String>,
    /// Why.
    pub changed_why: Option<String>,
}

/// Which letters; `None` takes all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// Of this event.
    pub event: Option<EventId>,
    /// With these words in the reason, whatever their case.
    pub reason: Option<String>,
    /// In this state.
    pub state: Option<LetterState>,
}

/// A letter to keep.
pub(crate) struct Letter<'a> {
    pub source: &'a str,
    pub message_id: &'a str,
    pub reason: &'a str,
    pub payload: &'a [u8],
    pub event: Option<EventId>,
    pub order: Option<OrderId>,
}

impl Store {
    /// Keeps a message that nobody could use, with its event if that is known. The same bytes from the same source are one
    /// letter: kept before, it is open again unless it was dropped, with this reason.
    pub async fn park_message(
        &self,
        source: &str,
        message_id: &str,
        reason: &str,
        payload: &[u8],
        event: Option<EventId>,
    ) -> Result<()> {
        let letter = Letter { source, message_id, reason, payload, event, order: None };
        transact!(self, |tx| { letter.keep(tx).await })
    }

    /// Letters, newest first, at most `limit`, those before the cursor `before` (the last id of the page before).
    pub async fn dead_letters(
        &self,
        filter: &LetterFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>> {
        let mut text = format!("SELECT {COLUMNS} FROM dead_letters WHERE id < ?");
        for (asked, condition) in [
            (filter.event.is_some(), " AND event_id = ?"),
            (filter.reason.is_some(), " AND reason LIKE ? ESCAPE '!'"),
            (filter.state.is_some(), " AND state = ?"),
        ] {
            text.push_str(if asked { condition } else { "" });
        }
        text.push_str(" ORDER BY id DESC LIMIT ?");
        let pattern = filter.reason.as_deref().map(containing);
        read!(self, |conn| {
            let mut query = query(AssertSqlSafe(text)).bind(before.unwrap_or(i64::MAX));
            if let Some(event) = filter.event {
                query = query.bind(event.0);
            }
            if let Some(pattern) = &pattern {
                query = query.bind(pattern);
            }
            if let Some(state) = filter.state {
                query = query.bind(state as i8);
            }
            query.bind(limit).fetch_all(conn).await?.iter().map(DeadLetter::read).collect()
        })
    }

    /// How many letters are open, counted up to `most`.
    pub async fn open_letters(&self, most: u32) -> Result<u64> {
        let open = LetterState::Open as i8;
        let text = format!(
            "SELECT COUNT(*) AS letters FROM (SELECT 1 FROM dead_letters WHERE state = {open} LIMIT {most}) AS some"
        );
        read!(self, |conn| {
            let rows = rows_of_text(conn, text).await?;
            u64_at(rows.first().ok_or(StoreError::NotFound)?, "letters")
        })
    }

    /// A letter with its bytes. Errors: `NotFound`.
    pub async fn dead_letter(&self, id: i64) -> Result<(DeadLetter, Vec<u8>)> {
        let text = AssertSqlSafe(format!("SELECT {COLUMNS}, payload FROM dead_letters WHERE id = ?"));
        read!(self, |conn| {
            let row = query(text).bind(id).fetch_optional(conn).await?.ok_or(StoreError::NotFound)?;
            let payload: &[u8] = at(&row, "payload")?;
            Ok((DeadLetter::read(&row)?, payload.to_vec()))
        })
    }

    /// Notes that `by` has published the letter again after reading it with `parks`. False when it was parked once more since
    /// (it stays open), or dropped.
    pub async fn letter_replayed(&self, id: i64, parks: u32, by: &str) -> Result<bool> {
        let condition = format!("parks = {parks} AND state <> {}", LetterState::Dropped as i8);
        self.change_letter(id, LetterState::Replayed, &condition, by, "").await
    }

    /// Gives a letter up for good; its row stays, with who and why. False when it is dropped already or there is none.
    pub async fn drop_letter(&self, id: i64, by: &str, why: &str) -> Result<bool> {
        let condition = format!("state <> {}", LetterState::Dropped as i8);
        self.change_letter(id, LetterState::Dropped, &condition, by, why).await
    }

    async fn change_letter(
        &self,
        id: i64,
        to: LetterState,
        condition: &str,
        by: &str,
        why: &str,
    ) -> Result<bool> {
        let now = self.dialect().now_ms();
        let text = format!(
            "UPDATE dead_letters SET state = {}, changed_at_ms = {now}, changed_by = ?, changed_why = ? \
             WHERE id = ? AND {condition}",
            to as i8
        );
        transact!(self, |tx| {
            let query = query(AssertSqlSafe(text.clone())).bind(cut(by, BY_MAX)).bind(cut(why, REASON_MAX));
            Ok(query.bind(id).execute(tx).await?.rows == 1)
        })
    }
}

const COLUMNS: &str = "id, source, message_id, reason, size_bytes, event_id, order_id, state, parks, created_at_ms, \
     parked_at_ms, changed_at_ms, changed_by, changed_why";

impl LetterState {
    fn from_code(code: i8) -> Option<Self> {
        [Self::Open, Self::Replayed, Self::Dropped].into_iter().find(|state| *state as i8 == code)
    }
}

impl DeadLetter {
    /// Whether all bytes of the message are in `payload`.
    pub fn is_whole(&self, payload: &[u8]) -> bool {
        payload.len() as u64 == self.size_bytes
    }

    fn read(row: &Row) -> Result<Self> {
        let code: i8 = at(row, "state")?;
        let state = LetterState::from_code(code)
            .ok_or_else(|| StoreError::corrupt(format!("column state: no dead letter is in {code}")))?;
        let order: Option<&[u8]> = at(row, "order_id")?;
        let text = |column| at::<&str>(row, column).map(str::to_owned);
        let maybe = |column| at::<Option<&str>>(row, column).map(|text| text.map(str::to_owned));
        let changed: Option<i64> = at(row, "changed_at_ms")?;
        Ok(Self {
            id: at(row, "id")?,
            source: text("source")?,
            message_id: text("message_id")?,
            reason: text("reason")?,
            size_bytes: u64_at(row, "size_bytes")?,
            event: at::<Option<i64>>(row, "event_id")?.map(EventId),
            order: order.is_some().then(|| crate::sql::order_at(row, "order_id")).transpose()?,
            state,
            parks: u32_at(row, "parks")?,
            created_at_ms: u64_at(row, "created_at_ms")?,
            parked_at_ms: u64_at(row, "parked_at_ms")?,
            changed_at_ms: changed.and_then(|at| u64::try_from(at).ok()),
            changed_by: maybe("changed_by")?,
            changed_why: maybe("changed_why")?,
        })
    }
}

impl Letter<'_> {
    /// Within a transaction: a new row, or one time more for the one that is there.
    pub(crate) async fn keep(&self, tx: &mut Conn) -> Result<()> {
        if self.count_again(tx).await? {
            return Ok(());
        }
        match self.insert(tx).await {
            Ok(()) => Ok(()),
            // Somebody has kept the same one in between; a failed INSERT leaves the transaction as it was.
            Err(error) if duplicate(&error) => self.count_again(tx).await.map(drop),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether it is there.
    async fn count_again(&self, tx: &mut Conn) -> Result<bool> {
        let (now, dropped, open) =
            (tx.dialect().now_ms(), LetterState::Dropped as i8, LetterState::Open as i8);
        let text = AssertSqlSafe(format!(
            "UPDATE dead_letters SET parks = parks + 1, parked_at_ms = {now}, reason = ?, \
             state = CASE WHEN state = {dropped} THEN {dropped} ELSE {open} END WHERE identity = ?"
        ));
        let identity = self.identity();
        let done = query(text).bind(cut(self.reason, REASON_MAX)).bind(&identity[..]).execute(tx).await?;
        Ok(done.rows > 0)
    }

    async fn insert(&self, tx: &mut Conn) -> Result<(), sqlx::Error> {
        let now = tx.dialect().now_ms();
        let text = AssertSqlSafe(format!(
            "INSERT INTO dead_letters (source, message_id, reason, payload, size_bytes, event_id, order_id, identity, \
             created_at_ms, parked_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, {now}, {now})"
        ));
        let kept = if self.payload.len() > PAYLOAD_MAX { PAYLOAD_HEAD } else { self.payload.len() };
        let identity = self.identity();
        let query = query(text)
            .bind(cut(self.source, SOURCE_MAX))
            .bind(cut(self.message_id, MESSAGE_ID_MAX))
            .bind(cut(self.reason, REASON_MAX))
            .bind(&self.payload[..kept])
            .bind(i64::try_from(self.payload.len()).unwrap_or(i64::MAX))
            .bind(self.event.map(|event| event.0))
            .bind(self.order.as_ref().map(|order| &order.bytes()[..]))
            .bind(&identity[..]);
        query.execute(tx).await?;
        Ok(())
    }

    /// What makes it this letter and no other: where from, the order if it is one, and every byte.
    fn identity(&self) -> [u8; 32] {
        let order = self.order.as_ref().map_or(&[][..], |order| &order.bytes()[..]);
        let hash = Sha256::new().chain_update(self.source).chain_update([0, u8::from(self.order.is_some())]);
        hash.chain_update(order).chain_update(self.payload).finalize().into()
    }
}

/// A pattern for LIKE with `!` as its escape.
fn containing(words: &str) -> String {
    let mut pattern = String::from("%");
    for character in words.chars() {
        if matches!(character, '!' | '%' | '_') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

fn cut(text: &str, characters_max: usize) -> &str {
    let end = text.char_indices().nth(characters_max).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("äöü", 2), "äö");
        assert_eq!(cut("äö", 2), "äö");
        assert_eq!(cut("", 2), "");
    }

    #[test]
    fn words_are_searched_as_they_are() {
        assert_eq!(containing("100% a_b!"), "%100!% a!_b!!%");
    }

    #[test]
    fn a_letter_is_its_source_its_order_and_its_bytes() {
        let order = Some(OrderId::new(1));
        let identity = |source, order, payload| {
            Letter { source, message_id: "m", reason: "r", payload, event: None, order }.identity()
        };
        let one = identity("q", order, b"bytes");
        assert_eq!(one, identity("q", order, b"bytes"));
        for other in
            [identity("p", order, b"bytes"), identity("q", None, b"bytes"), identity("q", order, b"byte")]
        {
            assert_ne!(one, other);
        }
    }
}
