//! The one table of routes: method, path, who may call it, and which handler answers.
//!
//! The router is built from it, the guard in front of each handler reads it, the OpenAPI document and the exhaustive
//! test of roles are held against it. A route that is not here does not exist.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use spike_domain::{Reason, Role};

use super::contract::{self, dictionary, viewer};
use super::identity::Identity;
use super::refusal::{Refusal, Result};
use super::{
    Control, audit, auth, events, inventory, limits, me, operations, order_history, orders, payments,
    products, reconcile, recorded, sessions, shop_orders, users,
};

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Everybody; a token is not looked at.
    Anyone,
    /// Whoever has a valid access token, of any role.
    User,
    /// An administrator.
    Admin,
}

/// Which side of the bridge answers, and how long a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// A handler of the control API within `http.request_timeout_ms`.
    Cold,
    /// The same, and it may wait for a worker besides.
    Waiting,
    /// The hot cores; what they pass on is answered by the handler, where there is one.
    Hot,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Route {
    /// In capitals.
    pub method: &'static str,
    /// With ids in braces, as axum and OpenAPI write them.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// Who answers.
    pub side: Side,
}

impl Route {
    /// Whether what is done here is put on record: an administrator changes something.
    pub fn on_record(&self) -> bool {
        self.access == Access::Admin && self.method != "GET"
    }

    /// Whether the handler records its change in the transaction that makes it.
    pub(super) fn in_its_transaction(&self) -> bool {
        (self.method, self.path) == ("PATCH", "/api/v1/admin/users/{user}")
    }
}

impl Access {
    /// Whether the table lets `role` in; `None` is a request without a valid token.
    pub fn admits(self, role: Option<Role>) -> bool {
        match self {
            Self::Anyone => true,
            Self::User => role.is_some(),
            Self::Admin => role == Some(Role::Admin),
        }
    }
}

/// Declares the table once: the list, and the routers built from it.
macro_rules! routes {
    ($($method:ident $path:literal $access:ident $side:ident => $handler:expr;)*) => {
        /// Every route of the gateway, hot and cold.
        pub const ROUTES: &[Route] = &[$(Route {
            method: stringify!($method),
            path: $path,
            access: Access::$access,
            side: Side::$side,
        },)*];

        /// The routes whose `Side` is `Waiting`, and all the others.
        pub(super) fn routers(control: &Arc<Control>) -> (Router<Arc<Control>>, Router<Arc<Control>>) {
            let (mut waiting, mut others) = (Router::new(), Router::new());
            $({
                let row = Route {
                    method: stringify!($method),
                    path: $path,
                    access: Access::$access,
                    side: Side::$side,
                };
                let guarded = on(MethodFilter::$method, $handler)
                    .route_layer(from_fn_with_state((control.clone(), row), guard));
                match Side::$side {
                    Side::Waiting => waiting = waiting.route($path, guarded),
                    Side::Cold | Side::Hot => others = others.route($path, guarded),
                }
            })*
            (waiting, others)
        }
    };
}

routes! {
    GET "/errors" Anyone Cold => dictionary::all;
    GET "/errors/{reason}" Anyone Cold => dictionary::one;
    GET "/openapi.json" Anyone Cold => contract::openapi;
    GET "/docs" Anyone Cold => viewer::docs;
    GET "/docs/{file}" Anyone Cold => viewer::file;
    POST "/api/v1/auth/register" Anyone Cold => auth::register;
    POST "/api/v1/auth/login" Anyone Cold => auth::login;
    POST "/api/v1/auth/refresh" Anyone Cold => sessions::refresh;
    POST "/api/v1/auth/logout" Anyone Cold => sessions::logout;
    GET "/api/v1/users/me" User Cold => me::me;
    PATCH "/api/v1/users/me/password" User Cold => me::change_password;
    GET "/api/v1/products" Anyone Cold => products::list;
    POST "/api/v1/products" Admin Cold => products::create;
    GET "/api/v1/products/{product}" Anyone Cold => products::one;
    PATCH "/api/v1/products/{product}" Admin Cold => products::change;
    DELETE "/api/v1/products/{product}" Admin Cold => products::delete;
    GET "/api/v1/products/{product}/inventory" Anyone Cold => inventory::one;
    PUT "/api/v1/products/{product}/inventory" Admin Cold => inventory::adjust;
    GET "/api/v1/admin/products/{product}/movements" Admin Cold => inventory::movements;
    POST "/api/v1/orders" User Cold => shop_orders::create;
    GET "/api/v1/orders" User Cold => order_history::list;
    GET "/api/v1/orders/{order}" User Cold => order_history::one;
    POST "/api/v1/orders/{order}/pay" User Cold => payments::pay;
    POST "/api/v1/orders/{order}/cancel" User Cold => shop_orders::cancel;
    POST "/api/v1/payments/callback" Anyone Cold => payments::callback;
    GET "/api/v1/spike/events" Anyone Cold => events::list;
    GET "/api/v1/spike/events/{event}" Anyone Hot => events::one;
    GET "/api/v1/spike/events/{event}/stats" Anyone Cold => events::stats;
    POST "/api/v1/spike/events/{event}/orders" User Hot => hot_only;
    GET "/api/v1/spike/events/{event}/orders/mine" User Hot => orders::mine;
    GET "/api/v1/spike/events/{event}/orders/{order}" User Hot => orders::one;
    GET "/api/v1/spike/events/{event}/orders/{order}/events" User Hot => orders::events;
    GET "/api/v1/spike/orders" User Cold => orders::list;
    GET "/api/v1/admin/users" Admin Cold => users::list;
    PATCH "/api/v1/admin/users/{user}" Admin Cold => users::change;
    GET "/api/v1/admin/payments" Admin Cold => payments::list;
    GET "/api/v1/admin/audit" Admin Cold => audit::list;
    GET "/api/v1/admin/limits" Admin Cold => limits::one;
    PUT "/api/v1/admin/limits" Admin Cold => limits::replace;
    DELETE "/api/v1/admin/limits" Admin Cold => limits::reset;
    POST "/api/v1/admin/spike/events" Admin Cold => events::create;
    PATCH "/api/v1/admin/spike/events/{event}" Admin Cold => events::change;
    DELETE "/api/v1/admin/spike/events/{event}" Admin Cold => events::delete;
    POST "/api/v1/admin/spike/events/{event}/warmup" Admin Waiting => operations::warmup;
    POST "/api/v1/admin/spike/events/{event}/pause" Admin Waiting => operations::pause;
    POST "/api/v1/admin/spike/events/{event}/resume" Admin Waiting => operations::resume;
    POST "/api/v1/admin/spike/events/{event}/close" Admin Waiting => operations::close;
    POST "/api/v1/admin/spike/events/{event}/reconcile" Admin Waiting => reconcile::reconcile;
}

/// A hot route's request that the hot cores did not take for one of theirs, because its ids are none.
async fn hot_only() -> Refusal {
    Refusal::new(Reason::NotFound)
}

/// Lets a request through to its handler when the table admits who sends it; the handler finds the [`Identity`] in the
/// extensions. 401 without a valid token, 403 where the role lacks. What an administrator changes is put on record.
async fn guard(
    State((control, row)): State<(Arc<Control>, Route)>,
    mut request: Request,
    next: Next,
) -> Response {
    if row.access == Access::Anyone {
        return next.run(request).await;
    }
    let identity = match admitted(&control, row.access, request.headers()).await {
        Ok(identity) => identity,
        Err(refusal) => return refusal.into_response(),
    };
    let actor = identity.user;
    request.extensions_mut().insert(identity);
    if row.on_record() {
        return recorded::carry_out(control, row, actor, request, next).await;
    }
    next.run(request).await
}

async fn admitted(control: &Control, access: Access, headers: &HeaderMap) -> Result<Identity> {
    let identity = Identity::of(headers, control)?;
    if !access.admits(Some(identity.claims.role)) {
        return Err(Refusal::new(Reason::Forbidden));
    }
    // What an administrator can do is rare and mighty: the database is asked whether the token still says the truth.
    if access == Access::Admin && !access.admits(Some(identity.account(control).await?.role)) {
        return Err(Refusal::new(Reason::Forbidden));
    }
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_route_is_there_once_and_administration_is_for_administrators() {
        let unique: HashSet<_> = ROUTES.iter().map(|route| (route.method, route.path)).collect();
        assert_eq!(unique.len(), ROUTES.len());
        for route in ROUTES.iter().filter(|route| route.path.starts_with("/api/v1/admin/")) {
            assert_eq!(route.access, Access::Admin, "{route:?}");
        }
    }

    #[test]
    fn an_access_admits_its_roles_and_no_other() {
        let all = [None, Some(Role::User), Some(Role::Admin)];
        for (access, want) in [
            (Access::Anyone, [true, true, true]),
            (Access::User, [false, true, true]),
            (Access::Admin, [false, false, true]),
        ] {
            assert_eq!(all.map(|role| access.admits(role)), want, "{access:?}");
        }
    }
}
