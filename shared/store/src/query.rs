//! A statement with values, run on a connection of either database.

use sqlx::database::HasStatementCache;
use sqlx::mysql::MySqlQueryResult;
use sqlx::query::Query as Prepared;
use sqlx::sqlite::SqliteQueryResult;
use sqlx::{Database, Encode, MySql, SqlSafeStr, SqlStr, Sqlite, Type};

use crate::backend::{Conn, Row};

/// A statement and the values of its question marks, in order. It is prepared once a connection.
pub(crate) struct Query<'q> {
    text: SqlStr,
    values: Vec<Value<'q>>,
    persistent: bool,
}

/// What both databases take for a question mark.
pub(crate) enum Value<'q> {
    Number(Option<i64>),
    Text(Option<&'q str>),
    Bytes(Option<&'q [u8]>),
}

/// What a statement did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    /// Rows matched (MySQL) or changed (SQLite); no statement of this crate writes what is there already.
    pub rows: u64,
    /// The id of the row it inserted; of one of them, where it inserted several.
    pub last_id: i64,
}

/// A statement, still without values.
pub(crate) fn query<'q>(text: impl SqlSafeStr) -> Query<'q> {
    Query { text: text.into_sql_str(), values: Vec::new(), persistent: true }
}

impl<'q> Query<'q> {
    pub fn bind(mut self, value: impl Into<Value<'q>>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Whether the prepared statement is kept: not for text of every length.
    pub fn persistent(mut self, persistent: bool) -> Self {
        self.persistent = persistent;
        self
    }

    pub async fn execute(self, conn: &mut Conn) -> Result<Done, sqlx::Error> {
        match conn {
            Conn::MySql(conn) => self.prepared::<MySql>().execute(&mut **conn).await.map(Done::from),
            Conn::Sqlite(conn) => self.prepared::<Sqlite>().execute(&mut **conn).await.map(Done::from),
        }
    }

    pub async fn fetch_all(self, conn: &mut Conn) -> Result<Vec<Row>, sqlx::Error> {
        match conn {
            Conn::MySql(conn) => {
                let rows = self.prepared::<MySql>().fetch_all(&mut **conn).await?;
                Ok(rows.into_iter().map(Row::MySql).collect())
            }
            Conn::Sqlite(conn) => {
                let rows = self.prepared::<Sqlite>().fetch_all(&mut **conn).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
        }
    }

    pub async fn fetch_optional(self, conn: &mut Conn) -> Result<Option<Row>, sqlx::Error> {
        match conn {
            Conn::MySql(conn) => {
                self.prepared::<MySql>().fetch_optional(&mut **conn).await.map(|row| row.map(Row::MySql))
            }
            Conn::Sqlite(conn) => {
                self.prepared::<Sqlite>().fetch_optional(&mut **conn).await.map(|row| row.map(Row::Sqlite))
            }
        }
    }

    pub async fn fetch_one(self, conn: &mut Conn) -> Result<Row, sqlx::Error> {
        self.fetch_optional(conn).await?.ok_or(sqlx::Error::RowNotFound)
    }

    fn prepared<DB: Database + HasStatementCache>(self) -> Prepared<'q, DB, DB::Arguments>
    where
        Option<i64>: Encode<'q, DB> + Type<DB>,
        Option<&'q str>: Encode<'q, DB> + Type<DB>,
        Option<&'q [u8]>: Encode<'q, DB> + Type<DB>,
    {
        let query = sqlx::query::<DB>(self.text).persistent(self.persistent);
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Number(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
            Value::Bytes(bytes) => query.bind(bytes),
        })
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        i64::from(number).into()
    }
}

impl From<i8> for Value<'_> {
    fn from(number: i8) -> Self {
        i64::from(number).into()
    }
}

impl<'q> From<&'q str> for Value<'q> {
    fn from(text: &'q str) -> Self {
        Self::Text(Some(text))
    }
}

impl<'q> From<&'q String> for Value<'q> {
    fn from(text: &'q String) -> Self {
        Self::Text(Some(text))
    }
}

impl<'q> From<Option<&'q str>> for Value<'q> {
    fn from(text: Option<&'q str>) -> Self {
        Self::Text(text)
    }
}

impl<'q> From<&'q [u8]> for Value<'q> {
    fn from(bytes: &'q [u8]) -> Self {
        Self::Bytes(Some(bytes))
    }
}

impl<'q> From<Option<&'q [u8]>> for Value<'q> {
    fn from(bytes: Option<&'q [u8]>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<MySqlQueryResult> for Done {
    fn from(done: MySqlQueryResult) -> Self {
        // No id of this schema is beyond 63 bits; one that were would be told as no id at all.
        Self { rows: done.rows_affected(), last_id: i64::try_from(done.last_insert_id()).unwrap_or(0) }
    }
}

impl From<SqliteQueryResult> for Done {
    fn from(done: SqliteQueryResult) -> Self {
        Self { rows: done.rows_affected(), last_id: done.last_insert_rowid() }
    }
}
