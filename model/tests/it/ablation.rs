//! Each condition is there for a reason: without it some invariant breaks, and the trace says how.

use spike_model::conditions::{Condition, Rules};
use spike_model::instances::shows;
use spike_model::model::Model;
use spike_model::report;
use spike_model::search::{Outcome, explore};

fn without(condition: Condition) -> (Model, Outcome) {
    let model = Model { instance: *shows(condition), rules: Rules::ALL.without(condition) };
    (model, explore(&model))
}

#[test]
fn without_any_one_condition_an_invariant_breaks() {
    let mut missed = Vec::new();
    for &condition in Condition::ALL {
        let (model, outcome) = without(condition);
        println!("{}", report::row(condition, model.instance.name, &outcome));
        if outcome.trace.is_none() {
            missed.push(condition.name());
        }
    }
    assert!(missed.is_empty(), "nothing breaks without {missed:?}");
}

#[test]
fn a_trace_can_be_walked_and_ends_in_its_violation() {
    let (model, outcome) = without(Condition::FencePerEvent);
    let trace = outcome.trace.expect("the hole that one event cannot show");
    let mut state = model.start();
    let mut out = Vec::new();
    for (at, &(step, next)) in trace.steps.iter().enumerate() {
        assert_eq!(model.check_always(&state), Ok(()), "nothing is wrong before step {at}");
        let drained = at >= trace.steps.len() - trace.drained;
        model.successors(&state, &mut out);
        assert!(drained || out.contains(&(step, next)), "{step} is no step of this state");
        state = next;
    }
    let end = model.check_always(&state).and_then(|()| model.check_rest(&state));
    assert_eq!(end, Err(trace.violation));
    let text = report::trace(&model, &trace);
    assert!(text.contains("another event's rebuild loads its scripts"), "{text}");
}
