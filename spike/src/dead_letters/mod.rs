//! `spike dead-letters`: what nobody could use, for an operator to look at, to try once more or to give up.

mod list;
mod replay;

use std::path::Path;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use spike_config::Config;
use spike_domain::EventId;
use spike_store::{DeadLetter, LetterFilter, LetterState, Store};
use tokio::runtime::Builder;

use crate::outcome::Misuse;
use crate::settings;

/// Letters read at once where all of a kind are meant.
const PAGE: u32 = 200;
/// Longest `--why`, in characters: what its column holds.
const WHY_MAX: usize = 500;

/// What to do.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show letters, newest first; nothing on standard output means that there are none.
    List(list::Args),
    /// Publish their bytes to the queue they came from. Safe at any time and twice: what has been written is left alone.
    Replay(replay::Args),
    /// Give letters up. Their rows stay, with who did it, when and why.
    Drop(DropArgs),
}

/// Which letters, beside or instead of ids.
#[derive(clap::Args, Clone)]
struct Chosen {
    /// Only of this event.
    #[arg(long, value_name = "ID")]
    event: Option<i64>,
    /// Only with these words in the reason, in any case of letters.
    #[arg(long, value_name = "WORDS")]
    reason: Option<String>,
}

#[derive(clap::Args)]
struct DropArgs {
    /// These letters.
    #[arg(value_name = "ID", conflicts_with_all = ["event", "reason", "yes"])]
    ids: Vec<i64>,
    #[command(flatten)]
    chosen: Chosen,
    /// Without ids: yes, all open letters that --event and --reason leave.
    #[arg(long)]
    yes: bool,
    /// Why, for those who ask later.
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Who; the login name unless given.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Shown {
    Open,
    Replayed,
    Dropped,
    All,
}

/// Does it.
pub fn run(file: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    check(&args.action)?;
    let config = settings::load(file)?;
    if let Action::Replay(_) = args.action {
        replay::check_broker(&config)?;
    }
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let database = settings::database(&config).await?;
        let done = act(&config, &database.store, args.action).await;
        database.store.close().await;
        done
    })
}

/// What can be said before anything is asked.
fn check(action: &Action) -> Result<(), Misuse> {
    match action {
        Action::List(_) => Ok(()),
        Action::Replay(args) => replay::check(args),
        Action::Drop(args) if args.ids.is_empty() && !args.yes => {
            Err(Misuse("drop needs ids, or --yes for all that --event and --reason leave".to_owned()))
        }
        Action::Drop(args) if args.why.trim().is_empty() || args.why.chars().count() > WHY_MAX => {
            Err(Misuse(format!("--why is empty or too long; allowed: 1 to {WHY_MAX} characters")))
        }
        Action::Drop(_) => Ok(()),
    }
}

async fn act(config: &Config, store: &Store, action: Action) -> anyhow::Result<ExitCode> {
    if config.database.url.is_embedded() {
        // Nobody else would: `spike serve` does the same.
        store.migrate().await?;
    }
    match action {
        Action::List(args) => list::run(store, &args).await,
        Action::Replay(args) => replay::run(config, store, &args).await,
        Action::Drop(args) => give_up(store, &args).await,
    }
}

async fn give_up(store: &Store, args: &DropArgs) -> anyhow::Result<ExitCode> {
    let by = who(args.by.as_deref());
    let ids = match &args.ids[..] {
        [] => {
            let open = all(store, &args.chosen.filter(Some(LetterState::Open))).await?;
            open.into_iter().map(|letter| letter.id).collect()
        }
        ids => ids.to_vec(),
    };
    let mut failed = false;
    for &id in &ids {
        if store.drop_letter(id, &by, &args.why).await? {
            say(&format!("{id} dropped"))?;
            continue;
        }
        match store.dead_letter(id).await {
            Ok(_) => say(&format!("{id} was dropped before"))?,
            Err(error) => failed |= missing(id, error)?,
        }
    }
    eprintln!("{} letters looked at", ids.len());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Notes a letter that is not there; any other error ends the command.
fn missing(id: i64, error: spike_store::StoreError) -> anyhow::Result<bool> {
    match error {
        spike_store::StoreError::NotFound => {
            eprintln!("spike: there is no dead letter {id}");
            Ok(true)
        }
        error => Err(error.into()),
    }
}

/// Every letter of a kind, oldest first. Read before anything is changed, so that the pages do not move.
async fn all(store: &Store, filter: &LetterFilter) -> anyhow::Result<Vec<DeadLetter>> {
    let (mut letters, mut before) = (Vec::new(), None);
    loop {
        let page = store.dead_letters(filter, before, PAGE).await?;
        before = page.last().map(|letter| letter.id);
        let full = page.len() >= PAGE as usize;
        letters.extend(page);
        if !full {
            letters.reverse();
            return Ok(letters);
        }
    }
}

impl Chosen {
    fn filter(&self, state: Option<LetterState>) -> LetterFilter {
        LetterFilter { event: self.event.map(EventId), reason: self.reason.clone(), state }
    }
}

/// Who is at the keyboard, as far as it is known.
fn who(given: Option<&str>) -> String {
    let login = || ["SUDO_USER", "LOGNAME", "USER"].into_iter().find_map(|name| std::env::var(name).ok());
    given.map(str::to_owned).or_else(login).unwrap_or_else(|| "unknown".to_owned())
}

/// A line of standard output. Whoever reads only the first lines has closed it, which is no failure of ours.
fn say(line: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
