//! `spike reconcile`: holds an event's ledger against the database, and mends what is safe to mend.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use spike_config::Config;
use spike_domain::{Conservation, EventId};
use spike_reconcile::{Mend, ReconcileError, Repair, Report, plan_repair};
use spike_stock::Stock;
use spike_store::{AuditTarget, EventRow, NewAudit, Store, StoreError};
use spike_worker::Rebuilder;
use tokio::runtime::Builder;

use crate::outcome::Misuse;
use crate::settings;

/// Which event, and what to do about it.
#[derive(clap::Args)]
pub struct Args {
    /// The event's id.
    #[arg(long)]
    event: i64,
    /// Mend what two looks show: rebuild the ledger, count the event's rows anew. Both are safe during a sale.
    #[arg(long)]
    repair: bool,
    /// Milliseconds between the two looks: what the first one alone shows was on its way.
    #[arg(long, value_name = "MS", default_value_t = 3000)]
    wait_ms: u64,
    /// One JSON object instead of lines for people.
    #[arg(long)]
    json: bool,
}

/// Prints S, R, L, F, K and every difference. Exit code 0: none is left; 1: some are, or a side does not answer.
pub fn run(file: Option<&Path>, args: &Args) -> anyhow::Result<ExitCode> {
    let config = settings::load(file)?;
    if config.redis.url.is_embedded() {
        let other = "POST /api/v1/admin/spike/events/{event}/reconcile";
        return Err(
            Misuse(format!("the embedded ledger lives in `spike serve`; ask that process: {other}")).into()
        );
    }
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let database = settings::database(&config).await?;
        let stock = spike_backends::stock(&config)?;
        let books =
            Books { stock, store: database.store.clone(), config: &config, event: EventId(args.event) };
        let code = books.reconcile(args).await;
        database.store.close().await;
        code
    })
}

struct Books<'a> {
    stock: Stock,
    store: Store,
    config: &'a Config,
    event: EventId,
}

impl Books<'_> {
    async fn reconcile(&self, args: &Args) -> anyhow::Result<ExitCode> {
        let row = self.store.event(self.event).await?;
        let row = row.ok_or_else(|| Misuse(format!("there is no event {}", self.event)))?;
        if row.archived {
            return Err(Misuse(format!("event {} is archived: only its rows are left", self.event)).into());
        }
        let mut report = self.report().await?;
        let mut repair = Repair::default();
        let mut mended = false;
        if !report.differences.is_empty() {
            tokio::time::sleep(Duration::from_millis(args.wait_ms)).await;
            let second = self.report().await?;
            repair = plan_repair(&report, &second);
            report = second;
        }
        if args.repair && (repair.rebuild || repair.recount) {
            self.mend(&repair).await?;
            mended = true;
            report = self.report().await?;
        }
        // After a repair every difference counts again: nothing has had the time to be on its way.
        let left = if mended { &report.differences } else { &repair.lasting };
        let clean = left.is_empty();
        if args.json {
            println!(
                "{}",
                json!({ "event": self.event, "report": report, "lasting": left, "mended": mended })
            );
        } else {
            print(&row, &report, &repair, mended, args.repair);
        }
        Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn report(&self) -> anyhow::Result<Report> {
        match spike_reconcile::report(&self.stock, &self.store, self.event).await {
            Err(ReconcileError::NotStanding) => anyhow::bail!(
                "the ledger of event {} does not stand: it has not been warmed up, or a worker is rebuilding it (is one \
                 running?)",
                self.event
            ),
            report => report.context("the two sides cannot be compared"),
        }
    }

    /// Says so in the audit log first: a repair that was cut short is known as well.
    async fn mend(&self, repair: &Repair) -> anyhow::Result<()> {
        let differences: Vec<_> =
            repair.lasting.iter().map(|found| json!({ "kind": found.kind, "count": found.count })).collect();
        let audit = NewAudit {
            action: "event.repaired".into(),
            target: Some(AuditTarget::new("event", &self.event)),
            detail:
                json!({ "rebuild": repair.rebuild, "recount": repair.recount, "differences": differences })
                    .to_string(),
            ..NewAudit::default()
        };
        self.store.record_audit(audit).await?;
        if repair.recount {
            let told = |error: StoreError| match error {
                StoreError::NotFound => anyhow::anyhow!("the event is gone"),
                error => {
                    anyhow::Error::new(error).context("the rows exceed the stock, so counting is no remedy")
                }
            };
            self.store.recount_event(self.event).await.map_err(told)?;
        }
        if repair.rebuild {
            let rebuilder = Rebuilder {
                store: self.store.clone(),
                stock: self.stock.clone(),
                inflight_max: self.config.outbox.inflight_max,
            };
            rebuilder.rebuild(self.event).await.context("the ledger was not rebuilt; run it again")?;
        }
        Ok(())
    }
}

fn print(row: &EventRow, report: &Report, repair: &Repair, mended: bool, asked: bool) {
    let Conservation { S, R, L, F, K } = report.figures.conservation;
    let of = if report.figures.exact { "" } else { " (read while units moved)" };
    println!("event {}: {:?}, {:?}, epoch {}", row.def.id, row.def.name, row.state, row.epoch);
    println!("S = {S}  R = {R}  L = {L}  F = {F}  K = {K}  returned = {}{of}", report.returned);
    println!("drift S - (R + L + F + K) = {}", report.figures.conservation.drift());
    if mended {
        for found in &repair.lasting {
            println!("was  {:<28} {}", found.kind.as_str(), found.count);
        }
    }
    let left = if mended { &report.differences } else { &repair.lasting };
    for found in left {
        let what = match found.kind.mend() {
            Mend::Rebuild => "--repair rebuilds the ledger",
            Mend::Recount => "--repair counts the rows anew",
            Mend::Person => "a person must decide: docs/RUNBOOK.md",
        };
        println!("now  {:<28} {:>8}  {what}", found.kind.as_str(), found.count);
        for order in found.orders.iter().take(5) {
            println!("       {order}");
        }
    }
    match (left.is_empty(), mended) {
        (true, true) => println!("mended: ledger and database agree"),
        (true, false) if report.differences.is_empty() => println!("ledger and database agree"),
        (true, false) => println!("ledger and database agree; what one look showed was on its way"),
        (false, _) if asked => println!("differences are left"),
        (false, _) => println!("ledger and database differ; run it again with --repair"),
    }
}
