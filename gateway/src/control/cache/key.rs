//! What is kept under which name, and what a change makes worthless.

use std::fmt;

use spike_domain::ProductId;
use spike_store::{EventList, ProductList};

/// Slots of generations; topics that share one are only invalidated together.
pub(super) const SLOTS: usize = 1024;

/// What a change is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// One product.
    Product(ProductId),
    /// Where the units of one product are.
    Inventory(ProductId),
    /// Every list of products.
    Products,
    /// Every list of events.
    Events,
}

/// The name of one answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// What makes it worthless.
    pub topic: Topic,
    /// Changes besides by what tells nobody, such as an order that takes the last unit: kept for a short time only.
    pub brief: bool,
    /// Unique among all keys.
    pub name: String,
}

impl Key {
    /// One product.
    pub fn product(product: ProductId) -> Self {
        let topic = Topic::Product(product);
        Self { topic, brief: false, name: topic.to_string() }
    }

    /// Where a product's units are. Workers move them too, and tell nobody here.
    pub fn inventory(product: ProductId) -> Self {
        let topic = Topic::Inventory(product);
        Self { topic, brief: true, name: topic.to_string() }
    }

    /// A page of the catalogue. What is in stock changes with every order.
    pub fn products(list: &ProductList) -> Self {
        let name = format!("{}:{list:?}", Topic::Products);
        Self { topic: Topic::Products, brief: list.in_stock.is_some(), name }
    }

    /// A page of the events. Workers change their states too, and tell nobody here.
    pub fn events(list: &EventList) -> Self {
        let name = format!("{}:{list:?}", Topic::Events);
        Self { topic: Topic::Events, brief: true, name }
    }
}

impl Topic {
    /// Where its generation is counted.
    pub(super) fn slot(self) -> usize {
        match self {
            Self::Products => 0,
            Self::Events => 1,
            Self::Product(product) => of_product(product),
            // Half of them away, so that the two of a product do not share one.
            Self::Inventory(product) => 2 + (of_product(product) - 2 + (SLOTS - 2) / 2) % (SLOTS - 2),
        }
    }

    /// The topic of that text.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "products" => Some(Self::Products),
            "events" => Some(Self::Events),
            _ => match text.split_once(':')? {
                ("product", id) => ProductId::parse(id).map(Self::Product),
                ("inventory", id) => ProductId::parse(id).map(Self::Inventory),
                _ => None,
            },
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Product(product) => write!(f, "product:{product}"),
            Self::Inventory(product) => write!(f, "inventory:{product}"),
            Self::Products => f.write_str("products"),
            Self::Events => f.write_str("events"),
        }
    }
}

fn of_product(product: ProductId) -> usize {
    let others = i64::try_from(SLOTS - 2).expect("few");
    2 + usize::try_from(product.0.rem_euclid(others)).expect("below the slots")
}

#[cfg(test)]
mod tests {
    use spike_store::EventSort;

    use super::*;

    #[test]
    fn a_topic_is_read_back_and_has_a_slot() {
        for topic in [
            Topic::Products,
            Topic::Events,
            Topic::Product(ProductId(7)),
            Topic::Product(ProductId(i64::MAX)),
            Topic::Inventory(ProductId(7)),
            Topic::Inventory(ProductId(i64::MAX)),
        ] {
            assert_eq!(Topic::parse(&topic.to_string()), Some(topic));
            assert!(topic.slot() < SLOTS);
        }
        for text in ["", "product", "product:0", "product:x", "events "] {
            assert_eq!(Topic::parse(text), None, "{text:?}");
        }
        assert_ne!(Topic::Product(ProductId(1)).slot(), Topic::Products.slot());
        assert_ne!(Topic::Product(ProductId(1)).slot(), Topic::Inventory(ProductId(1)).slot());
    }

    #[test]
    fn pages_have_names_of_their_own() {
        let list = ProductList { page: 1, page_size: 20, ..ProductList::default() };
        let other = ProductList { search: Some("page: 1".into()), ..list.clone() };
        assert_ne!(Key::products(&list).name, Key::products(&other).name);
        assert!(
            !Key::products(&list).brief && Key::products(&ProductList { in_stock: Some(true), ..list }).brief
        );
        let (state, sort, descending) = (None, EventSort::Id, true);
        let page = |page, page_size| Key::events(&EventList { state, sort, descending, page, page_size });
        assert_ne!(page(1, 11).name, page(11, 1).name);
        assert!(page(1, 1).brief);
    }
}
