//! Outcomes and traces as text.

use std::fmt::Write as _;

use crate::conditions::Condition;
use crate::model::Model;
use crate::search::{Outcome, Trace};
use crate::state::{LedgerState, State};
use crate::step::Named;

/// One line about a search.
pub fn line(model: &Model, outcome: &Outcome) -> String {
    let name = model.instance.name;
    let verdict = match (&outcome.trace, outcome.truncated) {
        (Some(trace), _) => format!("VIOLATED {}", trace.violation),
        (None, true) => "no violation so far, TRUNCATED".to_owned(),
        (None, false) => "no violation, exhausted".to_owned(),
    };
    format!(
        "{name:<22} {verdict}: {} states, depth {}, {} at rest, longest drain {}, {:.1} s",
        outcome.states,
        outcome.depth,
        outcome.at_rest,
        outcome.drain_max,
        outcome.took.as_secs_f64()
    )
}

/// One row of the table of conditions.
pub fn row(condition: Condition, instance: &str, outcome: &Outcome) -> String {
    let found = match &outcome.trace {
        Some(trace) => {
            let (free, drained) = (trace.steps.len() - trace.drained, trace.drained);
            let steps = if drained == 0 { format!("{free}") } else { format!("{free} + {drained}") };
            format!("{steps:<8} {}", trace.violation)
        }
        None => "MISSED".to_owned(),
    };
    format!("{:<22} {:<6} {instance:<14} {:>9} {found}", condition.name(), condition.number(), outcome.states)
}

/// The heading of the table of conditions.
pub fn heading() -> String {
    format!(
        "{:<22} {:<6} {:<14} {:>9} {:<8} {}",
        "without", "number", "instance", "states", "steps", "violated"
    )
}

/// A trace, a step a line, with the figures after each step.
pub fn trace(model: &Model, trace: &Trace) -> String {
    let instance = &model.instance;
    let mut text = format!(
        "instance {}: S = {}, at most {} a user\n",
        instance.name, instance.stock, instance.user_limit
    );
    for (at, press) in instance.presses.iter().enumerate() {
        let key = if press.keyed { "with a key" } else { "without a key" };
        let poison = if press.poison { ", and no INSERT takes it" } else { "" };
        writeln!(text, "press {at}: user {} wants {} {key}{poison}", press.user, press.quantity)
            .expect("writing to a String cannot fail");
    }
    let free = trace.steps.len() - trace.drained;
    for (at, (step, state)) in trace.steps.iter().enumerate() {
        if at == free {
            text.push_str("     from here on the system runs by itself\n");
        }
        writeln!(text, "{:>3}  {step}\n       {}", at + 1, figures(model, state))
            .expect("writing to a String cannot fail");
    }
    writeln!(text, "     => {}", trace.violation).expect("writing to a String cannot fail");
    text
}

fn figures(model: &Model, state: &State) -> String {
    let figures = model.figures(state);
    let ledger = &state.ledger;
    let fence = match (ledger.state, ledger.fence_open) {
        (LedgerState::Absent, _) => "no ledger".to_owned(),
        (held, true) => format!("{held:?}"),
        (held, false) if ledger.mark => format!("{held:?}, fenced, marked"),
        (held, false) => format!("{held:?}, fenced"),
    };
    let claims: Vec<String> = ledger
        .claims
        .iter()
        .enumerate()
        .filter(|(_, order)| **order != 0)
        .map(|(user, order)| format!("{user}:{}", order - 1))
        .collect();
    let rows: Vec<String> = crate::list::each(state.database.rows())
        .map(|order| format!("{order} {:?}", state.database.of(order).row))
        .collect();
    format!(
        "R {} L {} F {} K {} inflight {} | epoch {} / {} {fence} | claims {} | outbox {} | rows {}",
        figures.left,
        figures.live,
        figures.flying,
        figures.kept,
        ledger.inflight,
        state.database.epoch,
        ledger.epoch,
        claims.join(" "),
        Named(ledger.outbox_orders()),
        rows.join(", ")
    )
}
