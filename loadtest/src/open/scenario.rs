//! What a stream of arrivals asks for.

use spike_domain::{EventId, Money, ProductId};

use crate::sale::Buyer;

/// The requests of one stream.
#[derive(Debug, Clone)]
pub enum Scenario {
    /// POST `/api/v1/auth/login`, an account at random.
    Login {
        /// E-mail and password.
        accounts: Vec<(String, String)>,
    },
    /// GET `/api/v1/products`: seven in ten a plain page, the others sorted or, where there are `searches`, searched.
    ProductList {
        /// Pages to choose from, beginning with the first.
        pages: u32,
        /// Products a page.
        page_size: u32,
        /// Beginnings of names, for `q`; may be empty.
        searches: Vec<String>,
    },
    /// GET the page of an event or of a product, half and half; one of the lists may be empty.
    Browse {
        /// The events.
        events: Vec<EventId>,
        /// The products.
        products: Vec<ProductId>,
    },
    /// POST `/api/v1/orders`: one unit of a product at random, for a buyer at random, with a key of its own.
    Order {
        /// Who orders.
        buyers: Vec<Buyer>,
        /// What is ordered.
        products: Vec<ProductToOrder>,
    },
    /// POST the buy of an event: each buyer once in random order, then again at random.
    Spike {
        /// What is sold.
        event: EventId,
        /// Who presses; each user once.
        buyers: Vec<Buyer>,
        /// Units a press asks for.
        quantity: u32,
    },
    /// POST the buy of one unit, always by the same few: what the buckets of users are there for.
    Bots {
        /// What is sold.
        event: EventId,
        /// Whose tokens are used.
        buyers: Vec<Buyer>,
    },
}

/// A product and what the client believes it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProductToOrder {
    /// The product.
    pub id: ProductId,
    /// The price of one unit; the server holds it against the true one.
    pub price: Money,
}

impl Scenario {
    const PAGES_MAX: u32 = 10_000;
    const PAGE_SIZE_MAX: u32 = 100;

    /// The bad field and what is wrong with it.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        match self {
            Self::Login { accounts } => some("accounts", accounts.len()),
            Self::ProductList { pages, page_size, searches } => {
                within("pages", *pages, Self::PAGES_MAX)?;
                within("page_size", *page_size, Self::PAGE_SIZE_MAX)?;
                match searches.iter().position(String::is_empty) {
                    Some(at) => Err((format!("searches[{at}]"), "empty".to_owned())),
                    None => Ok(()),
                }
            }
            Self::Browse { events, products } => some("events", events.len() + products.len()),
            Self::Order { buyers, products } => {
                check_buyers(buyers)?;
                some("products", products.len())
            }
            Self::Spike { buyers, quantity, .. } => {
                check_buyers(buyers)?;
                within("quantity", *quantity, u32::MAX)
            }
            Self::Bots { buyers, .. } => check_buyers(buyers),
        }
    }

    /// The event whose buys this is.
    pub(super) fn sale(&self) -> Option<(EventId, &[Buyer])> {
        match self {
            Self::Spike { event, buyers, .. } | Self::Bots { event, buyers } => Some((*event, buyers)),
            _ => None,
        }
    }
}

fn some(field: &str, count: usize) -> Result<(), (String, String)> {
    if count == 0 || u32::try_from(count).is_err() {
        return Err((field.to_owned(), format!("{count} of them; allowed are 1 to {}", u32::MAX)));
    }
    Ok(())
}

fn within(field: &str, value: u32, most: u32) -> Result<(), (String, String)> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err((field.to_owned(), format!("{value}; from 1 to {most}")))
}

/// Tokens become header values as they are.
fn check_buyers(buyers: &[Buyer]) -> Result<(), (String, String)> {
    some("buyers", buyers.len())?;
    match buyers.iter().position(|buyer| buyer.token.is_empty() || buyer.token.contains(char::is_control)) {
        Some(at) => Err((format!("buyers[{at}].token"), "empty, or with a control character".to_owned())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use spike_domain::UserId;

    use super::*;

    #[test]
    fn a_scenario_that_asks_for_nothing_names_its_field() {
        let buyer =
            |token: &str| Buyer { user: UserId(1), token: token.into(), source: Ipv4Addr::UNSPECIFIED };
        let event = EventId(1);
        let list = |pages, page_size, search: &str| Scenario::ProductList {
            pages,
            page_size,
            searches: vec![search.into()],
        };
        let cases = [
            (Scenario::Login { accounts: vec![] }, "accounts"),
            (list(0, 20, "a"), "pages"),
            (list(1, 101, "a"), "page_size"),
            (list(1, 20, ""), "searches[0]"),
            (Scenario::Browse { events: vec![], products: vec![] }, "events"),
            (Scenario::Order { buyers: vec![], products: vec![] }, "buyers"),
            (Scenario::Order { buyers: vec![buyer("t")], products: vec![] }, "products"),
            (Scenario::Spike { event, buyers: vec![buyer("t")], quantity: 0 }, "quantity"),
            (Scenario::Bots { event, buyers: vec![buyer("t"), buyer("a\r\nX: b")] }, "buyers[1].token"),
        ];
        for (scenario, want) in cases {
            assert_eq!(scenario.check().unwrap_err().0, want);
        }
        assert!(Scenario::Browse { events: vec![event], products: vec![] }.check().is_ok());
    }
}
