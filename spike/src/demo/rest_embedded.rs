//! The same for one embedded process: its figures while it runs, and its files when it has left.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, bail};
use loadtest::http::Json;
use serde_json::{Value, json};
use spike_arena::rest::{BothSides, rows};
use spike_arena::stage::CALL;
use spike_config::Config;
use spike_domain::{Conservation, EventId, OrderId};
use tokio::time::{Instant, sleep};

use crate::settings;

/// The longest wait. What has not drained by then is for the auditor to say.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Entries read at once.
const PAGE: usize = 1_000;

/// What the process said of itself.
pub struct Asked {
    /// From the last answer until nothing was under way.
    pub drained: Duration,
    figures: Conservation,
}

/// Asks until nothing is under way any more, or patience ends.
///
/// # Errors
/// When the gateway does not answer.
pub async fn wait(base: &str, admin: &str, event: EventId, since: Instant) -> anyhow::Result<Asked> {
    let mut api = Json::new(base, CALL).await?;
    loop {
        let stats = api.get(&format!("/spike/events/{event}/stats"), None).await?.data()?;
        let late = since.elapsed() >= PATIENCE;
        if stats["in_flight"] == 0 || late {
            let drained = since.elapsed();
            // Nothing is left to warm up: it only gives the figures.
            let path = format!("/admin/spike/events/{event}/warmup");
            let answer = api.post(&path, Some(admin), &json!({})).await?.data()?;
            let figures = conservation(&answer["conservation"])?;
            if (figures.F == 0 && figures.K == 0 && answer["exact"] == true) || late {
                return Ok(Asked { drained, figures });
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Reads the files of the process, which has left.
///
/// # Errors
/// When they cannot be read, or another process has them.
pub async fn read(config: &Config, event: EventId, asked: &Asked) -> anyhow::Result<BothSides> {
    let database = settings::database(config).await?;
    let stock = spike_backends::stock(config)?;
    let report = database.store.audit_event(event).await?;
    let rows = rows(&database.store, event).await?;
    let figures = report.figures;
    let mut differences = Vec::new();
    if !report.holds() {
        differences.push(format!("the database contradicts itself: {report:?}"));
    }
    let of_files = [figures.total, figures.live().units, figures.open_markers.units].map(i64::try_from);
    let said = [asked.figures.S, asked.figures.L, asked.figures.K];
    if of_files != said.map(Ok) {
        differences.push(format!("the process said S, L, K = {said:?}, its database says {of_files:?}"));
    }
    let written: HashSet<OrderId> = rows.iter().map(|row| row.order).collect();
    let mut after = None;
    loop {
        let page = stock.entries(event, after, PAGE).await.context("the journal")?;
        after = page.entries.last().map(|entry| entry.id).or(after);
        let orders = page.entries.iter().flat_map(|entry| &entry.orders);
        for order in orders.filter(|order| !written.contains(&order.order)) {
            differences.push(format!("order {} is in the journal and has no row", order.order));
        }
        if page.next.is_none() {
            break;
        }
    }
    database.store.close().await;
    Ok(BothSides { conservation: asked.figures, rows, differences })
}

fn conservation(value: &Value) -> anyhow::Result<Conservation> {
    let figure = |name: &str| value[name].as_i64().with_context(|| format!("no {name} in {value}"));
    let [s, r, l, f, k] = ["S", "R", "L", "F", "K"].map(figure);
    let figures = Conservation { S: s?, R: r?, L: l?, F: f?, K: k? };
    if figures.S <= 0 {
        bail!("a sale without stock: {value}");
    }
    Ok(figures)
}
