//! The catalogue's list: pages in five orders, with filters, or the products whose name or SKU begins with some
//! words.
//!
//! Each order has an index that holds everything the filters look at, and the list is read by that index and no
//! other: its entries are skipped and filtered without their rows, and only the rows of the page are fetched.
//! A page is one statement, its total another over the same index.
//!
//! A search is a range of `name_key` and one of `sku_key`, lower case by Unicode in every database alike; there
//! is no pattern in it, so that no character means anything but itself. It takes the first [`HITS_MAX`] of either
//! and sorts those, so that one letter costs no more than a rare word.

use std::fmt::Write as _;

use spike_domain::Currency;

use sqlx::AssertSqlSafe;

use crate::backend::Row;
use crate::dialect::Dialect;
use crate::products::{COLUMNS, ProductRow};
use crate::query::{Query, Value, query};
use crate::sql::{offset, u64_at};
use crate::transaction::read;
use crate::{Page, Result, Store};

/// Most products a search finds by name, and most by SKU.
pub const HITS_MAX: u32 = 1000;
/// What a name's and a SKU's key can hold, in characters.
const NAME_KEY_CHARS: usize = 200;
const SKU_KEY_CHARS: usize = 64;

/// Which products, and which page of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductList {
    /// What they are sorted by.
    pub sort: ProductSort,
    /// From the largest to the smallest.
    pub descending: bool,
    /// Price of at least so many minor units, of whatever currency unless one is given.
    pub price_min: Option<i64>,
    /// Price of at most so many minor units.
    pub price_max: Option<i64>,
    /// Priced in this currency.
    pub currency: Option<Currency>,
    /// With units available, or without.
    pub in_stock: Option<bool>,
    /// Name or SKU begins with this, in any case. Of many more than a thousand, the first by name and by SKU.
    pub search: Option<String>,
    /// From 1.
    pub page: u32,
    /// Products of a page.
    pub page_size: u32,
}

/// What products are sorted by; those that are equal in it, by id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ProductSort {
    /// The order in which they were created.
    #[default]
    Id,
    /// The title, in lower case.
    Name,
    /// The price in minor units.
    Price,
    /// When they were created.
    CreatedAt,
    /// The SKU, in lower case.
    Sku,
}

impl Store {
    /// A page of the products that are not deleted, and how many there are on all pages.
    pub async fn list_products(&self, list: &ProductList) -> Result<Page<ProductRow>> {
        read!(self, |conn| {
            let (page, total) =
                (Statement::page(list, conn.dialect()), Statement::total(list, conn.dialect()));
            let rows = page.query().fetch_all(&mut *conn).await?;
            let total = u64_at(&total.query().fetch_one(conn).await?, "total")?;
            Ok(Page { items: rows.iter().map(ProductRow::read).collect::<Result<_>>()?, total })
        })
    }

    /// How the database would run the statements of [`Store::list_products`], a line a step, in its own words.
    pub async fn product_list_plan(&self, list: &ProductList) -> Result<Vec<String>> {
        read!(self, |conn| {
            let dialect = conn.dialect();
            let mut steps = Vec::new();
            for mut statement in [Statement::page(list, dialect), Statement::total(list, dialect)] {
                statement.text.insert_str(0, &format!("{} ", dialect.explain()));
                let rows = statement.query().fetch_all(&mut *conn).await?;
                steps.extend(rows.iter().map(step).collect::<Result<Vec<_>, _>>()?);
            }
            Ok(steps)
        })
    }
}

/// A name as it is searched and sorted.
pub(crate) fn name_key(name: &str) -> String {
    key(name, NAME_KEY_CHARS)
}

/// A SKU as it is searched and sorted.
pub(crate) fn sku_key(sku: &str) -> String {
    key(sku, SKU_KEY_CHARS)
}

/// Some letters are longer in lower case; what is beyond the column is cut.
fn key(text: &str, chars: usize) -> String {
    text.to_lowercase().chars().take(chars).collect()
}

impl ProductSort {
    /// Every order there is.
    pub const ALL: [Self; 5] = [Self::Id, Self::Name, Self::Price, Self::CreatedAt, Self::Sku];

    /// The field's name, as a client gives it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Name => "name",
            Self::Price => "price",
            Self::CreatedAt => "created_at",
            Self::Sku => "sku",
        }
    }

    fn index(self) -> &'static str {
        match self {
            Self::Id => "products_by_id",
            Self::Name => "products_by_name",
            Self::Price => "products_by_price",
            Self::CreatedAt => "products_by_created_at",
            Self::Sku => "products_by_sku",
        }
    }

    /// The columns of an ORDER BY.
    fn order(self, table: &str, descending: bool) -> String {
        let way = if descending { "DESC" } else { "ASC" };
        let column = match self {
            Self::Id => return format!("{table}id {way}"),
            Self::Name => "name_key",
            Self::Price => "price_minor",
            Self::CreatedAt => "created_at_ms",
            Self::Sku => "sku_key",
        };
        format!("{table}{column} {way}, {table}id {way}")
    }
}

/// Text and the values of its question marks.
struct Statement {
    text: String,
    values: Vec<Bound>,
}

enum Bound {
    Number(i64),
    Text(String),
}

impl Statement {
    /// The rows of a page: their ids by the index, then themselves.
    fn page(list: &ProductList, dialect: Dialect) -> Self {
        let mut ids = match &list.search {
            Some(words) => {
                let mut hits = Self::hits(list, words, dialect);
                let order = list.sort.order("s.", list.descending);
                hits.text = format!(
                    "SELECT s.id FROM ({}) hits JOIN products s ON s.id = hits.id ORDER BY {order}",
                    hits.text
                );
                hits
            }
            None => {
                let mut ids = Self::scan(list, dialect, "id");
                write!(ids.text, " ORDER BY {}", list.sort.order("", list.descending)).expect(WRITES);
                ids
            }
        };
        let columns: Vec<_> = COLUMNS.split(", ").map(|column| format!("p.{column}")).collect();
        ids.text = format!(
            "SELECT {} FROM ({} LIMIT ? OFFSET ?) page JOIN products p ON p.id = page.id ORDER BY {}",
            columns.join(", "),
            ids.text,
            list.sort.order("p.", list.descending)
        );
        ids.values.push(Bound::Number(i64::from(list.page_size)));
        ids.values.push(Bound::Number(offset(list.page, list.page_size)));
        ids
    }

    fn total(list: &ProductList, dialect: Dialect) -> Self {
        match &list.search {
            Some(words) => {
                let mut hits = Self::hits(list, words, dialect);
                hits.text = format!("SELECT COUNT(*) AS total FROM ({}) hits", hits.text);
                hits
            }
            None => Self::scan(list, dialect, "COUNT(*) AS total"),
        }
    }

    /// `SELECT what` of the products that pass the filters, by the order's index.
    fn scan(list: &ProductList, dialect: Dialect, what: &str) -> Self {
        let index = dialect.by_index(list.sort.index());
        let text = format!("SELECT {what} FROM products {index} WHERE deleted_at_ms IS NULL");
        let mut scan = Self { text, values: Vec::new() };
        scan.filter(list);
        scan
    }

    /// The ids of the first products, by name and by SKU, that begin with `words`.
    fn hits(list: &ProductList, words: &str, dialect: Dialect) -> Self {
        let mut hits = Self { text: String::new(), values: Vec::new() };
        for (alias, column, index, key) in [
            ("by_name", "name_key", "products_by_name", name_key(words)),
            ("by_sku", "sku_key", "products_by_sku", sku_key(words)),
        ] {
            let union = if hits.text.is_empty() { "" } else { " UNION " };
            let index = dialect.by_index(index);
            write!(
                hits.text,
                "{union}SELECT id FROM (SELECT id FROM products {index} WHERE deleted_at_ms IS NULL \
                 AND {column} >= ? AND {column} < ?"
            )
            .expect(WRITES);
            // The last character of all: every text that begins with the key is before it.
            hits.values.push(Bound::Text(key.clone()));
            hits.values.push(Bound::Text(format!("{key}{}", char::MAX)));
            hits.filter(list);
            write!(hits.text, " ORDER BY {column}, id LIMIT {HITS_MAX}) {alias}").expect(WRITES);
        }
        hits
    }

    fn filter(&mut self, list: &ProductList) {
        let mut and = |condition: &str, value: Option<Bound>| {
            self.text.push_str(" AND ");
            self.text.push_str(condition);
            self.values.extend(value);
        };
        if let Some(least) = list.price_min {
            and("price_minor >= ?", Some(Bound::Number(least)));
        }
        if let Some(most) = list.price_max {
            and("price_minor <= ?", Some(Bound::Number(most)));
        }
        if let Some(currency) = &list.currency {
            and("currency = ?", Some(Bound::Text(currency.to_string())));
        }
        // Not EXISTS: a server may turn that into a join that begins at the inventory and sorts the whole of it.
        if let Some(in_stock) = list.in_stock {
            let sign = if in_stock { ">" } else { "=" };
            and(&format!("(SELECT available FROM inventory WHERE product_id = products.id) {sign} 0"), None);
        }
    }

    fn query(&self) -> Query<'_> {
        let statement = query(AssertSqlSafe(self.text.clone()));
        self.values.iter().fold(statement, |statement, value| match value {
            Bound::Number(number) => statement.bind(*number),
            Bound::Text(text) => statement.bind(Value::from(text)),
        })
    }
}

const WRITES: &str = "writing to a String cannot fail";

/// One line of a plan.
fn step(row: &Row) -> Result<String, sqlx::Error> {
    let Row::MySql(_) = row else { return row.get("detail") };
    let mut line = String::new();
    for column in ["select_type", "table", "type", "key", "Extra"] {
        let value: Option<String> = row.get(column)?;
        write!(line, "{column}={} ", value.as_deref().unwrap_or("-")).expect(WRITES);
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_has_a_value_for_every_question_mark() {
        let plain = ProductList { page: 3, page_size: 20, ..ProductList::default() };
        let full = ProductList {
            sort: ProductSort::Name,
            descending: true,
            price_min: Some(1),
            price_max: Some(2),
            currency: Currency::parse("EUR"),
            in_stock: Some(true),
            ..plain.clone()
        };
        let search = ProductList { search: Some("100%_'".into()), ..full.clone() };
        for dialect in [Dialect::MySql, Dialect::Sqlite] {
            for list in [&plain, &full, &search] {
                for statement in [Statement::page(list, dialect), Statement::total(list, dialect)] {
                    let marks = statement.text.matches('?').count();
                    assert_eq!(marks, statement.values.len(), "{}", statement.text);
                    assert!(!statement.text.contains('%'), "words are values: {}", statement.text);
                }
            }
        }
    }

    #[test]
    fn keys_are_lower_case_and_fit_their_column() {
        assert_eq!(name_key("ÄPFEL Σ 7%"), "äpfel σ 7%");
        assert_eq!(sku_key(&"İ".repeat(64)).chars().count(), 64, "two characters each in lower case");
    }
}
