//! What is refused first when the sidecar falls behind: browsing, then logging in, then ordering, and last of all paying,
//! asking after one's order, and the operators.

use http::Method;

/// Places of the bridge, of which each class may find some taken by anybody before it is refused.
const PARTS: usize = 16;

/// How dear a request is. In the order in which requests are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The catalogue, documents, whatever is nowhere.
    Browse,
    /// Accounts and sessions.
    Login,
    /// New orders.
    Buy,
    /// Payments, the state of orders, cancelling, and all of the administration.
    Last,
}

impl Class {
    /// The class of a request to the control API; `path` is without the query.
    pub fn of(method: &Method, path: &str) -> Self {
        let Some(rest) = path.strip_prefix("/api/v1/") else { return Self::Browse };
        let first = rest.split('/').next().unwrap_or_default();
        match first {
            "auth" | "users" => Self::Login,
            "orders" if method == Method::POST && rest == "orders" => Self::Buy,
            "orders" | "payments" | "admin" => Self::Last,
            "products" | "spike" if method != Method::GET => Self::Last,
            "spike" if rest.starts_with("spike/orders") || rest.contains("/orders/") => Self::Last,
            _ => Self::Browse,
        }
    }

    /// Of `places`, how many may be taken while a request of this class still comes in; at least one.
    pub fn share(self, places: usize) -> usize {
        let parts = match self {
            Self::Browse => 8,
            Self::Login => 11,
            Self::Buy => 14,
            Self::Last => PARTS,
        };
        (places * parts / PARTS).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ROUTES;

    #[test]
    fn every_route_of_the_table_has_the_class_its_subject_asks_for() {
        for row in ROUTES {
            let method: Method = row.method.parse().unwrap();
            let path = row.path.replace("{event}", "7").replace(['{', '}'], "");
            let want = match (row.method, row.path) {
                (_, path) if path.contains("/auth/") || path.contains("/users/me") => Class::Login,
                ("POST", "/api/v1/orders") => Class::Buy,
                // Hot: crosses only with ids that are none, and is a 404 then.
                ("POST", "/api/v1/spike/events/{event}/orders") => Class::Last,
                (_, path) if path.contains("orders") || path.contains("payments") => Class::Last,
                (_, path) if path.contains("/admin/") => Class::Last,
                ("GET", _) => Class::Browse,
                _ => Class::Last,
            };
            assert_eq!(Class::of(&method, &path), want, "{} {}", row.method, row.path);
        }
        assert_eq!(Class::of(&Method::GET, "/nowhere"), Class::Browse);
    }

    #[test]
    fn who_is_dearer_finds_room_where_another_does_not() {
        let shares =
            |places| [Class::Browse, Class::Login, Class::Buy, Class::Last].map(|class| class.share(places));
        assert_eq!(shares(32), [16, 22, 28, 32]);
        assert_eq!(shares(1), [1, 1, 1, 1]);
    }
}
