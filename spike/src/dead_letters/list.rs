//! `spike dead-letters list`: a table for eyes, or JSON for programs.

use std::process::ExitCode;

use serde_json::{Value, json};
use spike_domain::clock::rfc3339;
use spike_store::{DeadLetter, LetterState, Store};

use super::{Chosen, Shown, say};

/// What to show.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    chosen: Chosen,
    /// Only in this state.
    #[arg(long, value_enum, default_value_t = Shown::Open)]
    state: Shown,
    /// Letters of one page.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// The page after the one that ended with this id.
    #[arg(long, value_name = "ID")]
    before: Option<i64>,
    /// One JSON object: `letters`, and `next`, the id to give to --before, or null.
    #[arg(long)]
    json: bool,
}

const HEAD: [&str; 8] = ["ID", "STATE", "PARKED", "TIMES", "EVENT", "BYTES", "MESSAGE", "REASON"];

pub(super) async fn run(store: &Store, args: &Args) -> anyhow::Result<ExitCode> {
    let state = match args.state {
        Shown::Open => Some(LetterState::Open),
        Shown::Replayed => Some(LetterState::Replayed),
        Shown::Dropped => Some(LetterState::Dropped),
        Shown::All => None,
    };
    // One more than asked for tells whether there is a next page.
    let mut letters = store.dead_letters(&args.chosen.filter(state), args.before, args.limit + 1).await?;
    let more = letters.len() > args.limit as usize;
    letters.truncate(args.limit as usize);
    let next = letters.last().filter(|_| more).map(|letter| letter.id);
    if args.json {
        let letters: Vec<Value> = letters.iter().map(as_json).collect();
        say(&json!({"letters": letters, "next": next}).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    for line in table(&letters) {
        say(&line)?;
    }
    if let Some(next) = next {
        eprintln!("more: --before {next}");
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id,
        "state": word(letter.state),
        "source": letter.source,
        "message_id": letter.message_id,
        "reason": letter.reason,
        "bytes": letter.size_bytes,
        "event_id": letter.event.map(|event| event.0),
        "order_id": letter.order.map(|order| order.to_string()),
        "parks": letter.parks,
        "created_at": rfc3339(letter.created_at_ms),
        "parked_at": rfc3339(letter.parked_at_ms),
        "changed_at": letter.changed_at_ms.map(rfc3339),
        "changed_by": letter.changed_by,
        "changed_why": letter.changed_why,
    })
}

fn word(state: LetterState) -> &'static str {
    match state {
        LetterState::Open => "open",
        LetterState::Replayed => "replayed",
        LetterState::Dropped => "dropped",
    }
}

/// Lines with columns as wide as their widest field; none for no letters.
fn table(letters: &[DeadLetter]) -> Vec<String> {
    if letters.is_empty() {
        return Vec::new();
    }
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(letters.iter().map(fields));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let line = |row: &[String; HEAD.len()]| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(field, &width)| format!("{field:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn fields(letter: &DeadLetter) -> [String; HEAD.len()] {
    let reason = match (&letter.order, &letter.changed_why) {
        (_, Some(why)) if !why.is_empty() => format!("{} (dropped: {why})", letter.reason),
        (Some(order), _) => format!("order {order}: {}", letter.reason),
        _ => letter.reason.clone(),
    };
    [
        letter.id.to_string(),
        word(letter.state).to_owned(),
        rfc3339(letter.parked_at_ms),
        letter.parks.to_string(),
        letter.event.map_or_else(|| "-".to_owned(), |event| event.to_string()),
        letter.size_bytes.to_string(),
        plain(&letter.message_id),
        plain(&reason),
    ]
}

/// Text from a message can be anything: what would move a terminal's cursor is shown as an escape.
fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|character| match character.is_control() {
            true => character.escape_default().collect::<Vec<char>>(),
            false => vec![character],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_keeps_its_columns_and_the_terminal() {
        let letter = |id, reason: &str| DeadLetter {
            id,
            source: "spike.orders".into(),
            message_id: "5:9-0+2".into(),
            reason: reason.into(),
            size_bytes: 2,
            event: None,
            order: None,
            state: LetterState::Open,
            parks: 1,
            created_at_ms: 0,
            parked_at_ms: 0,
            changed_at_ms: None,
            changed_by: None,
            changed_why: None,
        };
        let lines = table(&[letter(1, "no\x1b[2J\nid"), letter(10_000, "x")]);
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1].find("open"), lines[2].find("open"));
        assert!(lines[1].ends_with("no\\u{1b}[2J\\nid"), "{}", lines[1]);
        assert_eq!(table(&[]), Vec::<String>::new());
    }
}
