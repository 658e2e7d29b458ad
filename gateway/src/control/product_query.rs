//! The query of the catalogue's list: `page`, `page_size`, `sort`, filters and `q`.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use spike_domain::Currency;
use spike_store::{ProductList, ProductSort};

use super::products::PRICE_MINOR_MAX;
use super::query::{PAGE_MAX, PAGE_SIZE, PAGE_SIZE_MAX, Parameters};
use super::refusal::{Refusal, Result};

/// Most characters of a search.
pub(super) const SEARCH_CHARS_MAX: usize = 200;

/// What a client may ask of the catalogue's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProductQuery(pub ProductList);

impl<S: Sync> FromRequestParts<S> for ProductQuery {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let mut query = Parameters::of(parts)?;
        let (sort, descending) = sort(&mut query);
        let (price_min, price_max) = (price(&mut query, "price_min"), price(&mut query, "price_max"));
        if price_min.zip(price_max).is_some_and(|(least, most)| most < least) {
            query.wrong("price_max", "must not be below price_min");
        }
        let list = ProductList {
            sort,
            descending,
            price_min,
            price_max,
            currency: currency(&mut query),
            in_stock: in_stock(&mut query),
            search: search(&mut query),
            page: query.number("page", PAGE_MAX).unwrap_or(1),
            page_size: query.number("page_size", PAGE_SIZE_MAX).unwrap_or(PAGE_SIZE),
        };
        query.finish(Self(list))
    }
}

/// `field,asc` or `field,desc`; `field` alone is ascending; nothing at all is newest first.
fn sort(query: &mut Parameters) -> (ProductSort, bool) {
    let Some(text) = query.take("sort") else { return (ProductSort::Id, true) };
    let (field, way) = text.split_once(',').unwrap_or((&text, "asc"));
    let field = ProductSort::ALL.into_iter().find(|sort| sort.as_str() == field);
    match (field, way) {
        (Some(field), "asc") => (field, false),
        (Some(field), "desc") => (field, true),
        _ => {
            let fields = ProductSort::ALL.map(ProductSort::as_str).join(", ");
            query.wrong("sort", &format!("must be one of {fields}, then ,asc or ,desc"));
            (ProductSort::Id, true)
        }
    }
}

fn price(query: &mut Parameters, name: &str) -> Option<i64> {
    let text = query.take(name)?;
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    let price = text.parse().ok().filter(|price| plain && (0..=PRICE_MINOR_MAX).contains(price));
    if price.is_none() {
        query.wrong(name, &format!("must be an integer of minor units from 0 to {PRICE_MINOR_MAX}"));
    }
    price
}

fn currency(query: &mut Parameters) -> Option<Currency> {
    let currency = Currency::parse(&query.take("currency")?);
    if currency.is_none() {
        query.wrong("currency", "must be three upper-case letters (ISO 4217)");
    }
    currency
}

fn in_stock(query: &mut Parameters) -> Option<bool> {
    let in_stock = query.take("in_stock")?.parse().ok();
    if in_stock.is_none() {
        query.wrong("in_stock", "must be true or false");
    }
    in_stock
}

fn search(query: &mut Parameters) -> Option<String> {
    let words = query.take("q")?;
    let trimmed = words.trim();
    if trimmed.is_empty() || words.chars().count() > SEARCH_CHARS_MAX || words.contains('\0') {
        let allowed = format!("must have 1 to {SEARCH_CHARS_MAX} characters, not all blank, and no NUL");
        query.wrong("q", &allowed);
        return None;
    }
    Some(trimmed.to_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn list(query: &str) -> Result<ProductList> {
        let (mut parts, ()) = Request::get(format!("/x?{query}")).body(()).unwrap().into_parts();
        ProductQuery::from_request_parts(&mut parts, &()).await.map(|ProductQuery(list)| list)
    }

    #[tokio::test]
    async fn a_query_is_read_whole() {
        let newest = ProductList { descending: true, page: 1, page_size: 20, ..ProductList::default() };
        assert_eq!(list("").await.unwrap(), newest);
        let query = "page=2&page_size=5&sort=price,desc&price_min=0&price_max=10&currency=EUR&in_stock=false&q=%20a%25_";
        let want = ProductList {
            sort: ProductSort::Price,
            descending: true,
            price_min: Some(0),
            price_max: Some(10),
            currency: Currency::parse("EUR"),
            in_stock: Some(false),
            search: Some("a%_".into()),
            page: 2,
            page_size: 5,
        };
        assert_eq!(list(query).await.unwrap(), want);
        for (query, sort, descending) in [
            ("sort=name", ProductSort::Name, false),
            ("sort=sku,asc", ProductSort::Sku, false),
            ("sort=created_at%2Cdesc", ProductSort::CreatedAt, true),
            ("sort=id,asc", ProductSort::Id, false),
        ] {
            let list = list(query).await.unwrap();
            assert_eq!((list.sort, list.descending), (sort, descending), "{query}");
        }
    }

    #[tokio::test]
    async fn every_mistake_is_named() {
        let long = format!("q={}", "x".repeat(201));
        for (query, fields) in [
            ("sort=", &["sort"][..]),
            ("sort=password", &["sort"]),
            ("sort=name,up", &["sort"]),
            ("sort=name,asc,id", &["sort"]),
            ("sort=name;DROP%20TABLE", &["sort"]),
            ("sort=name&sort=id", &["sort"]),
            ("price_min=-1", &["price_min"]),
            ("price_max=1.5", &["price_max"]),
            ("price_min=1000000000001", &["price_min"]),
            ("price_min=2&price_max=1", &["price_max"]),
            ("currency=eur", &["currency"]),
            ("in_stock=1", &["in_stock"]),
            ("q=", &["q"]),
            ("q=%20", &["q"]),
            ("q=a%00", &["q"]),
            (&long, &["q"]),
            ("page=0&page_size=101&sort=x&Q=1", &["sort", "page", "page_size", "Q"]),
        ] {
            let refusal = list(query).await.unwrap_err();
            let named: Vec<_> = refusal.errors.iter().map(|error| error.field.as_str()).collect();
            assert_eq!(named, fields, "{query}");
        }
    }
}
