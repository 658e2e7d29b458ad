//! Where a request came from, for the audit log, for sessions and for whoever counts by address.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::Extensions;
use axum::http::request::Parts;
use spike_domain::UserId;
use spike_store::{AuditTarget, NewAudit};

use crate::bridge::ClientAddress;

/// The request's own id; the outermost layer puts it into the extensions.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub String);

/// A request's id and its client's address.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// As the answer carries it.
    pub request_id: Option<String>,
    /// `None` where the request did not come over the bridge.
    pub address: Option<IpAddr>,
}

impl Origin {
    /// The origin of a request with these extensions.
    pub(super) fn of(extensions: &Extensions) -> Self {
        Self {
            request_id: extensions.get().map(|RequestId(id)| id.clone()),
            address: extensions.get().map(|ClientAddress(address)| *address),
        }
    }

    /// A row for the audit log. `detail` is a JSON object.
    pub fn audit(
        &self,
        actor: Option<UserId>,
        action: impl Into<String>,
        target: Option<AuditTarget>,
        detail: &serde_json::Value,
    ) -> NewAudit {
        NewAudit {
            actor,
            action: action.into(),
            target,
            detail: detail.to_string(),
            request_id: self.request_id.clone(),
            address: self.address,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}
