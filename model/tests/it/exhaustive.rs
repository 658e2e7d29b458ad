//! With every condition the protocol keeps its invariants in every reachable state.

use spike_model::conditions::Rules;
use spike_model::instances::SMALL;
use spike_model::model::Model;
use spike_model::report;
use spike_model::search::explore;

#[test]
fn no_small_instance_reaches_a_broken_invariant() {
    for &instance in SMALL {
        let model = Model { instance, rules: Rules::ALL };
        let outcome = explore(&model);
        println!("{}", report::line(&model, &outcome));
        if let Some(trace) = &outcome.trace {
            panic!("{}", report::trace(&model, trace));
        }
        assert!(!outcome.truncated, "{} is too large for a test", instance.name);
        assert!(outcome.at_rest > 0, "{} never comes to rest, so nothing was checked there", instance.name);
    }
}
