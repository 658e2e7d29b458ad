//! `spike dead-letters replay`: the kept bytes go to the queue they came from, once the broker has confirmed them.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use spike_broker::{Forward, Outgoing, Publisher, Route, Timeouts, Trail, topology};
use spike_config::Config;
use spike_store::{DeadLetter, LetterState, Store};

use super::{Chosen, all, missing, say, who};
use crate::outcome::Misuse;

/// Which, and who says so.
#[derive(clap::Args)]
pub struct Args {
    /// These letters.
    #[arg(value_name = "ID", conflicts_with_all = ["event", "reason", "all"])]
    ids: Vec<i64>,
    #[command(flatten)]
    chosen: Chosen,
    /// Without ids, --event and --reason: every open letter.
    #[arg(long)]
    all: bool,
    /// Letters replayed before as well.
    #[arg(long)]
    again: bool,
    /// Who; the login name unless given.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

pub(super) fn check(args: &Args) -> Result<(), Misuse> {
    let chosen = args.chosen.event.is_some() || args.chosen.reason.is_some();
    if args.ids.is_empty() && !chosen && !args.all {
        return Err(Misuse("replay needs ids, --event, --reason or --all".to_owned()));
    }
    Ok(())
}

pub(super) fn check_broker(config: &Config) -> Result<(), Misuse> {
    match config.amqp.url.is_embedded() {
        true => Err(Misuse(
            "replay needs a broker (SPIKE_AMQP_URL): the embedded queue is inside `spike serve`, which publishes every \
             accepted order again until it has its row"
                .to_owned(),
        )),
        false => Ok(()),
    }
}

pub(super) async fn run(config: &Config, store: &Store, args: &Args) -> anyhow::Result<ExitCode> {
    let by = who(args.by.as_deref());
    let ids = match &args.ids[..] {
        [] => chosen(store, args).await?,
        ids => ids.to_vec(),
    };
    let mut publisher = None;
    let mut failed = false;
    for &id in &ids {
        let (letter, payload) = match store.dead_letter(id).await {
            Ok(found) => found,
            Err(error) => {
                failed |= missing(id, error)?;
                continue;
            }
        };
        match route(&letter, &payload, args.again) {
            Err(Skipped::Done) => say(&format!("{id} was replayed before (--again does it once more)"))?,
            Err(Skipped::Impossible(why)) => {
                eprintln!("spike: dead letter {id} {why}");
                failed = true;
            }
            Ok(to) => {
                let publisher = match &mut publisher {
                    Some(publisher) => publisher,
                    none => none.insert(connect(config).await?),
                };
                publish(publisher, to, &letter, payload).await?;
                let noted = store.letter_replayed(id, letter.parks, &by).await?;
                say(&format!("{id} replayed{}", if noted { "" } else { ", and it is back already" }))?;
            }
        }
    }
    if let Some(publisher) = publisher {
        publisher.close().await;
    }
    eprintln!("{} letters looked at", ids.len());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn chosen(store: &Store, args: &Args) -> anyhow::Result<Vec<i64>> {
    let open = all(store, &args.chosen.filter(Some(LetterState::Open))).await?;
    let replayed = match args.again {
        true => all(store, &args.chosen.filter(Some(LetterState::Replayed))).await?,
        false => Vec::new(),
    };
    Ok(open.into_iter().chain(replayed).map(|letter| letter.id).collect())
}

/// Why a letter is not published.
#[derive(Debug, PartialEq, Eq)]
enum Skipped {
    /// It has been, and nobody asked for more.
    Done,
    /// It cannot be.
    Impossible(&'static str),
}

/// Where a letter goes.
fn route(letter: &DeadLetter, payload: &[u8], again: bool) -> Result<Route, Skipped> {
    match letter.state {
        LetterState::Dropped => return Err(Skipped::Impossible("was dropped")),
        LetterState::Replayed if !again => return Err(Skipped::Done),
        LetterState::Replayed | LetterState::Open => {}
    }
    if !letter.is_whole(payload) {
        return Err(Skipped::Impossible("is larger than what is kept of it"));
    }
    match letter.source.as_str() {
        topology::ORDERS => Ok(Route::Orders),
        // What waited for its deadline has waited; the job decides by the database's clock.
        topology::CANCEL => Ok(Route::Cancel(Duration::from_secs(1))),
        _ => Err(Skipped::Impossible("came from a queue that is not known")),
    }
}

async fn connect(config: &Config) -> anyhow::Result<Publisher> {
    let amqp = &config.amqp;
    let timeouts = Timeouts {
        connect: Duration::from_millis(amqp.connect_timeout_ms),
        confirm: Duration::from_millis(amqp.confirm_timeout_ms),
    };
    let publisher = spike_backends::broker(config).publisher(timeouts).await;
    publisher.with_context(|| format!("the broker at {}", amqp.url))
}

/// As it came the first time: nothing is counted against it.
async fn publish(
    publisher: &mut Publisher,
    to: Route,
    letter: &DeadLetter,
    body: Vec<u8>,
) -> anyhow::Result<()> {
    let message = Outgoing { message_id: letter.message_id.clone(), body };
    let window = [Forward { to, message, trail: Trail::default() }];
    let published = publisher.forward(&window).await;
    published.with_context(|| format!("dead letter {} was not replayed", letter.id))
}
