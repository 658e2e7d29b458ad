//! Method and path to a hot route, without allocating. Whatever is not one goes over the bridge as it is.

use http::Method;
use spike_domain::{EventId, OrderId};

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `POST /api/v1/spike/events/{id}/orders`
    Buy(EventId),
    /// `GET /api/v1/spike/events/{id}/orders/mine`
    Mine(EventId),
    /// `GET /api/v1/spike/events/{id}/orders/{order}`
    Status(EventId, OrderId),
    /// `GET /api/v1/spike/events/{id}/orders/{order}/events`
    Stream(EventId, OrderId),
    /// `GET /api/v1/spike/events/{id}`
    Page(EventId),
    /// The control API.
    Cold,
}

const PREFIX: &str = "/api/v1/spike/events/";

/// Recognises the hot routes; `path` is without the query.
pub fn route(method: &Method, path: &str) -> Route {
    let Some(rest) = path.strip_prefix(PREFIX) else { return Route::Cold };
    let (id, tail) = rest.split_once('/').map_or((rest, None), |(id, tail)| (id, Some(tail)));
    let Some(event) = EventId::parse(id) else { return Route::Cold };
    match (method, tail) {
        (&Method::POST, Some("orders")) => Route::Buy(event),
        (&Method::GET, None) => Route::Page(event),
        (&Method::GET, Some("orders/mine")) => Route::Mine(event),
        (&Method::GET, Some(tail)) => {
            let Some(tail) = tail.strip_prefix("orders/") else { return Route::Cold };
            let (order, tail) = tail.split_once('/').map_or((tail, None), |(id, tail)| (id, Some(tail)));
            match (OrderId::parse(order), tail) {
                (Some(order), None) => Route::Status(event, order),
                (Some(order), Some("events")) => Route::Stream(event, order),
                _ => Route::Cold,
            }
        }
        _ => Route::Cold,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hot_routes_are_exact() {
        let order = OrderId::new(1);
        let event = EventId(42);
        let status = format!("/api/v1/spike/events/42/orders/{order}");
        let (stream, deeper) = (format!("{status}/events"), format!("{status}/events/"));
        let cases = [
            (Method::POST, "/api/v1/spike/events/42/orders", Route::Buy(event)),
            (Method::GET, "/api/v1/spike/events/42", Route::Page(event)),
            (Method::GET, "/api/v1/spike/events/42/orders/mine", Route::Mine(event)),
            (Method::GET, &status, Route::Status(event, order)),
            (Method::GET, &stream, Route::Stream(event, order)),
            (Method::GET, &deeper, Route::Cold),
            (Method::POST, &stream, Route::Cold),
            (Method::GET, "/api/v1/spike/events/42/orders/mine/events", Route::Cold),
            (Method::GET, "/api/v1/spike/events/42/orders", Route::Cold),
            (Method::POST, "/api/v1/spike/events/42", Route::Cold),
            (Method::POST, "/api/v1/spike/events/42/orders/", Route::Cold),
            (Method::POST, "/api/v1/spike/events/042/orders", Route::Cold),
            (Method::POST, "/api/v1/spike/events//orders", Route::Cold),
            (Method::POST, "//api/v1/spike/events/42/orders", Route::Cold),
            (Method::POST, "/api/v1/spike/events/99999999999999999999/orders", Route::Cold),
            (Method::GET, "/api/v1/spike/events", Route::Cold),
            (Method::GET, "/api/v1/spike/events/42/stats", Route::Cold),
            (Method::GET, "/api/v1/spike/events/42/orders/xyz", Route::Cold),
            (Method::HEAD, "/api/v1/spike/events/42", Route::Cold),
        ];
        for (method, path, want) in cases {
            assert_eq!(route(&method, path), want, "{method} {path}");
        }
    }
}
