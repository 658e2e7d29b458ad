//! What a load is made of: how much of each scenario a second.

use std::collections::BTreeMap;

use loadtest::Buyer;
use loadtest::open::{Scenario, Stream};

use crate::shop::Shop;

/// Users who hammer.
const BOTS: usize = 20;
/// Users who order beside the sale.
const ORDERING: usize = 10_000;
/// Products a page.
const PAGE_SIZE: u32 = 20;

/// Requests a second of each scenario; 0 leaves it out.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct MixArgs {
    /// Presses of buy a second, every user once before anyone presses again; 0: none.
    #[arg(long, value_parser = rate)]
    spike_per_s: Option<f64>,
    /// Presses of buy a second by a few users who hammer; 0: none.
    #[arg(long, value_parser = rate)]
    bots_per_s: Option<f64>,
    /// Pages of events and products a second; 0: none.
    #[arg(long, value_parser = rate)]
    browse_per_s: Option<f64>,
    /// Lists of products a second; 0: none.
    #[arg(long, value_parser = rate)]
    list_per_s: Option<f64>,
    /// Ordinary orders a second; 0: none.
    #[arg(long, value_parser = rate)]
    order_per_s: Option<f64>,
    /// Logins a second, a password hash each; 0: none.
    #[arg(long, value_parser = rate)]
    login_per_s: Option<f64>,
}

/// The same, decided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Presses of buy.
    pub spike: f64,
    /// Presses of those who hammer.
    pub bots: f64,
    /// Pages.
    pub browse: f64,
    /// Lists.
    pub list: f64,
    /// Ordinary orders.
    pub order: f64,
    /// Logins.
    pub login: f64,
}

impl MixArgs {
    /// What was asked for, and `otherwise` for the rest.
    pub fn rates(&self, otherwise: Rates) -> Rates {
        Rates {
            spike: self.spike_per_s.unwrap_or(otherwise.spike),
            bots: self.bots_per_s.unwrap_or(otherwise.bots),
            browse: self.browse_per_s.unwrap_or(otherwise.browse),
            list: self.list_per_s.unwrap_or(otherwise.list),
            order: self.order_per_s.unwrap_or(otherwise.order),
            login: self.login_per_s.unwrap_or(otherwise.login),
        }
    }
}

impl Rates {
    /// None of anything.
    pub const NONE: Self = Self { spike: 0.0, bots: 0.0, browse: 0.0, list: 0.0, order: 0.0, login: 0.0 };

    /// Requests a second in all.
    pub fn total(&self) -> f64 {
        self.named().iter().map(|(_, rate)| rate).sum()
    }

    /// For the parameters of a record.
    pub fn parameters(&self) -> BTreeMap<String, String> {
        self.named().iter().map(|(name, rate)| (format!("{name}, a second"), rate.to_string())).collect()
    }

    /// The streams against `shop`; those without a rate are left out. The last few users are the bots' own.
    pub fn streams(&self, shop: &Shop) -> Vec<Stream> {
        let (people, bots) = shop.buyers.split_at(people(shop.buyers.len(), self.bots > 0.0));
        let owned = |buyers: &[Buyer]| buyers.to_vec();
        let scenarios = [
            Scenario::Spike { event: shop.event, buyers: owned(people), quantity: 1 },
            Scenario::Bots { event: shop.event, buyers: owned(bots) },
            Scenario::Browse {
                events: vec![shop.event],
                products: shop.products.iter().map(|product| product.id).collect(),
            },
            Scenario::ProductList { pages: 1, page_size: PAGE_SIZE, searches: Vec::new() },
            Scenario::Order {
                buyers: owned(&people[..people.len().min(ORDERING)]),
                products: shop.products.clone(),
            },
            Scenario::Login { accounts: shop.accounts.clone() },
        ];
        let streams = self.named().into_iter().zip(scenarios);
        streams
            .filter(|((_, rate), _)| *rate > 0.0)
            .map(|((name, rate_per_s), scenario)| Stream { name: name.to_owned(), rate_per_s, scenario })
            .collect()
    }

    fn named(&self) -> [(&'static str, f64); 6] {
        let Self { spike, bots, browse, list, order, login } = *self;
        [
            ("spike", spike),
            ("bots", bots),
            ("browse", browse),
            ("list", list),
            ("order", order),
            ("login", login),
        ]
    }
}

/// How many of `users` are no bots.
fn people(users: usize, bots: bool) -> usize {
    if bots { users - BOTS.min(users / 2) } else { users }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.0..=1_000_000.0).contains(rate));
    rate.ok_or_else(|| "a number from 0 to 1000000".to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use spike_domain::{EventId, UserId};

    use super::*;

    fn shop(users: i64) -> Shop {
        let buyer = |user| Buyer { user: UserId(user), token: "t".into(), source: Ipv4Addr::UNSPECIFIED };
        Shop {
            event: EventId(1),
            buyers: (0..users).map(buyer).collect(),
            accounts: vec![("a@b".into(), "c".into())],
            products: Vec::new(),
        }
    }

    #[test]
    fn what_is_not_asked_for_is_the_default_and_nothing_is_left_out() {
        let args = MixArgs { spike_per_s: Some(5.0), login_per_s: Some(0.0), ..MixArgs::default() };
        let rates = args.rates(Rates { login: 3.0, list: 2.0, ..Rates::NONE });
        assert_eq!(rates, Rates { spike: 5.0, list: 2.0, ..Rates::NONE });
        assert!((rates.total() - 7.0).abs() < 1e-9);
        let names: Vec<String> = rates.streams(&shop(9)).into_iter().map(|stream| stream.name).collect();
        assert_eq!(names, ["spike", "list"]);
        assert_eq!(rates.parameters()["list, a second"], "2");
    }

    #[test]
    fn bots_are_a_few_users_of_their_own() {
        for (users, bots, want) in [(1000, true, 980), (1000, false, 1000), (3, true, 2), (1, true, 1)] {
            assert_eq!(people(users, bots), want);
        }
        let streams = Rates { spike: 1.0, bots: 1.0, ..Rates::NONE }.streams(&shop(100));
        let users = |at: usize| match &streams[at].scenario {
            Scenario::Spike { buyers, .. } | Scenario::Bots { buyers, .. } => buyers.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!((users(0).len(), users(1).len(), users(1)[0].user), (80, 20, UserId(80)));
    }

    #[test]
    fn a_rate_is_a_number_in_its_bounds() {
        assert_eq!(rate("0.5"), Ok(0.5));
        for bad in ["-1", "NaN", "many", "1e9"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }
}
