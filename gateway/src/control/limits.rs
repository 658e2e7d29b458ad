//! `/admin/limits`: the rate limits in force, which an administrator may change while gateways run. They are in the database;
//! every gateway's follower reads them from there.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};
use spike_domain::{Rate, RateLimits};
use spike_store::{Expected, RateLimitsRow};

use super::preconditions::{IfMatch, tag_of};
use super::{Admin, Answer, Control, Fields, Result};

/// The limits in force, with their version as ETag.
pub(super) async fn one(_: Admin, State(control): State<Arc<Control>>) -> Result<Answer> {
    let row = control.store.rate_limits().await?;
    Ok(answer(&control, &row))
}

/// Body: `global`, `event`, `user` and `address`, each of `per_s` and `burst`; `debounce_ms`. Needs `If-Match`.
pub(super) async fn replace(
    _: Admin,
    State(control): State<Arc<Control>>,
    IfMatch(expected): IfMatch,
    mut body: Fields,
) -> Result<Answer> {
    let limits = RateLimits {
        global: rate(&mut body, "global"),
        event: rate(&mut body, "event"),
        user: rate(&mut body, "user"),
        address: rate(&mut body, "address"),
        debounce_ms: body.count("debounce_ms", 0..=RateLimits::DEBOUNCE_MS_MAX),
    };
    body.finish()?;
    change(&control, &expected, Some(&limits)).await
}

/// Gives the limits back to the configuration of each gateway. Needs `If-Match`. 200 with what is in force then.
pub(super) async fn reset(
    _: Admin,
    State(control): State<Arc<Control>>,
    IfMatch(expected): IfMatch,
) -> Result<Answer> {
    change(&control, &expected, None).await
}

/// A lost hint costs the gateways a poll.
async fn change(control: &Control, expected: &Expected, set: Option<&RateLimits>) -> Result<Answer> {
    let row = control.store.set_rate_limits(expected, set).await?;
    if let Err(error) = control.ledger.hint_limits().await {
        tracing::debug!(%error, "hint not sent");
    }
    Ok(answer(control, &row))
}

fn rate(body: &mut Fields, name: &str) -> Rate {
    let read = body.object(name, "must be an object of per_s and burst", |inner| Rate {
        per_s: inner.count("per_s", 0..=Rate::PER_S_MAX),
        burst: inner.count("burst", 1..=Rate::BURST_MAX),
    });
    read.unwrap_or(Rate { per_s: 0, burst: 1 })
}

fn answer(control: &Control, row: &RateLimitsRow) -> Answer {
    Answer::ok(view(row, &control.config.limits.rates())).with_tag(&tag_of(row.version))
}

fn view(row: &RateLimitsRow, configured: &RateLimits) -> Value {
    let limits = row.set.as_ref().unwrap_or(configured);
    let rate = |rate: Rate| json!({ "per_s": rate.per_s, "burst": rate.burst });
    json!({
        "global": rate(limits.global),
        "event": rate(limits.event),
        "user": rate(limits.user),
        "address": rate(limits.address),
        "debounce_ms": limits.debounce_ms,
        "source": if row.set.is_some() { "administrator" } else { "configuration" },
        "version": row.version,
    })
}
