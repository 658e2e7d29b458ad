//! What a load needs of a running shop: a sale, buyers with tokens, accounts to log in with, products to order. Made through the API
//! of a gateway of our own, or read from the file of `spike admin load-users`.

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::Context;
use loadtest::Buyer;
use loadtest::http::Json;
use loadtest::open::ProductToOrder;
use serde::Deserialize;
use spike_arena::stage::{self, CALL, OnSale};
use spike_arena::{crowd, process::Process};
use spike_domain::{EventId, Money, ProductId, UserId};
use spike_gateway::tokens::Tokens;
use tokio::time::{Instant, sleep_until};

use crate::misuse::Misuse;
use crate::ring::Ring;

/// Accounts that log in while a load runs.
const LOGGING_IN: usize = 500;
/// Products for ordinary orders, and units of each.
const PRODUCTS: u32 = 20;
const PRODUCT_UNITS: u32 = 1_000_000;

/// A shop to press.
#[derive(Debug, Clone)]
pub struct Shop {
    /// What is on sale.
    pub event: EventId,
    /// Who buys.
    pub buyers: Vec<Buyer>,
    /// E-mail and password.
    pub accounts: Vec<(String, String)>,
    /// What is ordered beside the sale.
    pub products: Vec<ProductToOrder>,
}

/// The processes of a shop of our own.
pub struct Processes {
    /// `spike gateway`.
    pub gateway: Process,
    /// `spike worker`.
    pub worker: Process,
}

impl Processes {
    /// Starts both and waits until they are ready.
    ///
    /// # Errors
    /// When one does not become ready.
    pub async fn start(ring: &Ring, cpu: Option<usize>) -> anyhow::Result<Self> {
        let worker = ring.worker(cpu).await?;
        Ok(Self { worker, gateway: ring.gateway(cpu).await? })
    }

    /// # Errors
    /// When one has ended though nobody told it to.
    pub fn check(&mut self) -> anyhow::Result<()> {
        self.gateway.check().and_then(|()| self.worker.check())
    }

    /// Lets both drain, the gateway first: what its relay publishes while it drains still finds a worker.
    pub async fn leave(self) {
        self.gateway.leave().await;
        self.worker.leave().await;
    }
}

impl Shop {
    /// Puts `units` on sale to `users`, who have accounts, and waits until the sale is open. Some users register and log in over
    /// HTTP, the others' tokens are minted with the gateway's own key.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub async fn open(ring: &Ring, users: u32, units: u32) -> anyhow::Result<Self> {
        let base = format!("http://{}/api/v1", ring.base());
        let admin = ring.admin_token().await?;
        let mut api = Json::new(&base, CALL).await?;
        let price: Money = serde_json::from_value(stage::price())?;
        let mut products = Vec::new();
        for _ in 0..PRODUCTS {
            let id = stage::create_product(&mut api, &admin, PRODUCT_UNITS).await?;
            products.push(ProductToOrder { id, price });
        }
        let crowd = crowd::insert(&ring.store, &ring.config.auth, users).await?;
        let accounts = crowd.accounts(LOGGING_IN);
        let tokens = Tokens::new(&ring.config.auth);
        let buyers = crowd::gather(crowd, &tokens, &base, 1).await?;
        let opening = stage::open(&base, &admin, OnSale { units, quantity: 1 }, 500).await?;
        let left_ms = opening.start_at_ms.saturating_sub(spike_domain::clock::now_ms());
        sleep_until(Instant::now() + std::time::Duration::from_millis(left_ms)).await;
        stage::sells(&mut api, opening.event).await?;
        Ok(Self { event: opening.event, buyers, accounts, products })
    }
}

/// The file of `spike admin load-users`.
#[derive(Debug, Deserialize)]
pub struct UsersFile {
    /// The base of the API it was made for.
    pub base: String,
    /// The sale it was made with.
    pub event: EventId,
    /// When its tokens are over, Unix milliseconds.
    pub expires_at_ms: u64,
    password: String,
    products: Vec<ListedProduct>,
    users: Vec<ListedUser>,
}

#[derive(Debug, Deserialize)]
struct ListedProduct {
    id: ProductId,
    price: Money,
}

#[derive(Debug, Deserialize)]
struct ListedUser {
    id: UserId,
    email: String,
    token: String,
}

impl UsersFile {
    /// Reads it.
    ///
    /// # Errors
    /// [`Misuse`] of a file that is none.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        let text =
            std::fs::read_to_string(path).map_err(|error| Misuse(format!("--users {name}: {error}")))?;
        let file: Self = serde_json::from_str(&text).map_err(|error| {
            Misuse(format!("--users {name} is no file of `spike admin load-users`: {error}"))
        })?;
        if file.users.is_empty() {
            return Err(Misuse(format!("--users {name} has no users")).into());
        }
        Ok(file)
    }

    /// The shop that it is of, with another event where one is given.
    pub fn into_shop(self, event: Option<EventId>) -> Shop {
        let Self { users, products, password, .. } = self;
        let accounts = users.iter().take(LOGGING_IN).map(|user| (user.email.clone(), password.clone()));
        let product = |listed: ListedProduct| ProductToOrder { id: listed.id, price: listed.price };
        Shop {
            event: event.unwrap_or(self.event),
            accounts: accounts.collect(),
            products: products.into_iter().map(product).collect(),
            buyers: users
                .into_iter()
                .map(|user| Buyer { user: user.id, token: user.token, source: Ipv4Addr::UNSPECIFIED })
                .collect(),
        }
    }
}

/// Asks whether there is such an event.
///
/// # Errors
/// [`Misuse`] where there is none.
pub async fn known(api: &mut Json, event: EventId) -> anyhow::Result<()> {
    let answer = api.get(&format!("/spike/events/{event}"), None).await.context("ask for the event")?;
    match answer.status {
        200 => Ok(()),
        404 => Err(Misuse(format!("there is no event {event} at this gateway")).into()),
        status => anyhow::bail!("the gateway answers {status} for event {event}: {}", answer.body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_load_users_is_read_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("users-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("users.json");
        let head = r#"{"base":"http://h/api/v1","event":7,"expires_at_ms":5,"password":"p""#;
        let products = r#""products":[{"id":3,"price":{"currency":"EUR","minor":4999}}]"#;
        let users = r#""users":[{"email":"a@b","id":2,"token":"t"}]"#;
        std::fs::write(&path, format!("{head},{products},{users}}}")).unwrap();
        let shop = UsersFile::read(&path).unwrap().into_shop(None);
        assert_eq!(
            (shop.event, shop.buyers[0].user, shop.products[0].id),
            (EventId(7), UserId(2), ProductId(3))
        );
        assert_eq!(shop.accounts, [("a@b".to_owned(), "p".to_owned())]);
        let other = UsersFile::read(&path).unwrap().into_shop(Some(EventId(9)));
        assert_eq!(other.event, EventId(9));

        for text in ["", "[]", &format!("{head},{products},\"users\":[]}}")] {
            std::fs::write(&path, text).unwrap();
            let error = UsersFile::read(&path).unwrap_err();
            assert!(error.is::<Misuse>() && error.to_string().contains("users.json"), "{error}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(UsersFile::read(&path).unwrap_err().is::<Misuse>());
    }
}
