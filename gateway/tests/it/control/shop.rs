//! What the tests of orders and payments ask of the API.

use axum::body::Body;
use serde_json::{Value, json};
use spike_domain::{OrderId, Role, UserId};

use super::Api;
use super::api::Answer;

/// An API with two products of 10 units, 5.00 EUR each, and a buyer.
pub struct Shop {
    pub api: Api,
    pub products: [i64; 2],
    pub user: UserId,
    pub buyer: String,
    pub admin: String,
}

impl Shop {
    /// With patience for the provider short enough for a test.
    pub async fn open() -> Self {
        Self::open_with(&[]).await
    }

    /// With these settings besides.
    pub async fn open_with(settings: &[(&str, &str)]) -> Self {
        let patient = [("SPIKE_PAYMENTS_TIMEOUT_MS", "300"), ("SPIKE_PAYMENTS_SIMULATED_DELAY_MS", "900")];
        let api = Api::start_with(&[&patient[..], settings].concat()).await;
        let (_, admin) = api.account("admin", Role::Admin).await;
        let (user, buyer) = api.account("ann", Role::User).await;
        let mut products = [0; 2];
        for (number, product) in products.iter_mut().enumerate() {
            *product = Self::product(&api, &admin, &format!("p{number}"), "EUR").await;
        }
        Self { api, products, user, buyer, admin }
    }

    /// A product of 10 units, 5.00 each.
    pub async fn product(api: &Api, admin: &str, sku: &str, currency: &str) -> i64 {
        let price = json!({"minor": 500, "currency": currency});
        let body = json!({"sku": sku, "name": "Lamp", "price": price, "stock": 10});
        api.post("/products", Some(admin), &body).await.data()["id"].as_i64().unwrap()
    }

    /// A POST of the buyer's with a key.
    pub async fn press(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.press_as(&self.buyer, path, key, body).await
    }

    /// A POST with a key.
    pub async fn press_as(&self, token: &str, path: &str, key: &str, body: &Value) -> Answer {
        let request = Api::request("POST", path, Some(token)).header("content-type", "application/json");
        let request = request.header("idempotency-key", key);
        self.api.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// The body of an order of so many units of each product.
    pub fn wish(&self, units: [u32; 2]) -> Value {
        let item = |(product, units): (&i64, &u32)| json!({"product_id": product, "quantity": units});
        let wanted = self.products.iter().zip(&units).filter(|(_, units)| **units > 0);
        json!({ "items": wanted.map(item).collect::<Vec<_>>() })
    }

    /// Places an order that must succeed.
    pub async fn order(&self, units: [u32; 2]) -> OrderId {
        let key = OrderId::new(spike_domain::clock::now_ms()).to_string();
        let answer = self.press("/orders", &key, &self.wish(units)).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        OrderId::parse(answer.data()["order_id"].as_str().unwrap()).unwrap()
    }

    /// Pays as the simulated provider is told to.
    pub async fn pay(&self, order: OrderId, key: &str, simulate: &str) -> Answer {
        self.press(&format!("/orders/{order}/pay"), key, &json!({ "simulate": simulate })).await
    }

    /// The order as its buyer sees it.
    pub async fn look(&self, order: OrderId) -> Value {
        self.api.get(&format!("/orders/{order}"), Some(&self.buyer)).await.data().clone()
    }

    /// Status of the order, and of each attempt to pay it.
    pub async fn standing(&self, order: OrderId) -> (String, Vec<String>) {
        let seen = self.look(order).await;
        let word = |value: &Value| value["status"].as_str().unwrap().to_owned();
        (word(&seen), seen["payments"].as_array().unwrap().iter().map(word).collect())
    }

    /// Available, reserved and sold of each product, after the ledger has been found to add up.
    pub async fn figures(&self) -> [(u32, u32, u32); 2] {
        assert_eq!(self.api.store.inventory_audit().await.unwrap(), []);
        let mut figures = [(0, 0, 0); 2];
        for (figure, product) in figures.iter_mut().zip(self.products) {
            let units = self.api.store.inventory(spike_domain::ProductId(product)).await.unwrap().unwrap();
            *figure = (units.available, units.reserved, units.sold);
        }
        figures
    }
}
