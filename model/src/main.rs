//! `spike-model check [INSTANCE]`, `ablate [CONDITION]`, `trace CONDITION [INSTANCE]`.

use std::process::ExitCode;

use spike_model::conditions::{Condition, Rules};
use spike_model::instance::Instance;
use spike_model::model::Model;
use spike_model::search::{Outcome, explore};
use spike_model::{instances, report};

const USAGE: &str = "usage: spike-model check [INSTANCE]            explore an instance, or all of them
       spike-model ablate [CONDITION]          switch a condition off, or each in turn
       spike-model trace CONDITION [INSTANCE]  print how things go wrong without a condition
       spike-model list                        instances and conditions";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["check"] => Ok(check(&instances::SMALL.iter().chain(instances::LARGE).collect::<Vec<_>>())),
        ["check", name] => instance(name).map(|instance| check(&[instance])),
        ["ablate"] => Ok(ablate(Condition::ALL)),
        ["ablate", name] => condition(name).map(|condition| ablate(&[condition])),
        ["trace", name] => condition(name).map(|found| trace(found, instances::shows(found))),
        ["trace", name, of] => condition(name).and_then(|found| Ok(trace(found, instance(of)?))),
        ["list"] => Ok(list()),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn instance(name: &str) -> Result<&'static Instance, String> {
    instances::find(name).ok_or_else(|| format!("there is no instance {name}; `spike-model list` names them"))
}

fn condition(name: &str) -> Result<Condition, String> {
    Condition::find(name)
        .ok_or_else(|| format!("there is no condition {name}; `spike-model list` names them"))
}

/// Explores with every condition; false when an invariant is broken.
fn check(instances: &[&Instance]) -> bool {
    let mut good = true;
    for &&instance in instances {
        let model = Model { instance, rules: Rules::ALL };
        let outcome = explore(&model);
        println!("{}", report::line(&model, &outcome));
        if let Some(found) = &outcome.trace {
            print!("{}", report::trace(&model, found));
            good = false;
        }
    }
    good
}

/// Switches each condition off where it shows; false when one of them is not missed.
fn ablate(conditions: &[Condition]) -> bool {
    println!("{}", report::heading());
    let mut missed = 0;
    for &condition in conditions {
        let instance = instances::shows(condition);
        let (_, outcome) = without(condition, instance);
        println!("{}", report::row(condition, instance.name, &outcome));
        missed += usize::from(outcome.trace.is_none());
    }
    println!("{} conditions, {missed} missed", conditions.len());
    missed == 0
}

fn trace(condition: Condition, instance: &Instance) -> bool {
    println!("without {condition} {}: {}", condition.number(), condition.what());
    let (model, outcome) = without(condition, instance);
    println!("{}", report::line(&model, &outcome));
    if let Some(found) = &outcome.trace {
        print!("{}", report::trace(&model, found));
    }
    outcome.trace.is_some()
}

fn without(condition: Condition, instance: &Instance) -> (Model, Outcome) {
    let model = Model { instance: *instance, rules: Rules::ALL.without(condition) };
    let outcome = explore(&model);
    (model, outcome)
}

fn list() -> bool {
    for (title, instances) in [("small", instances::SMALL), ("large", instances::LARGE)] {
        let names: Vec<&str> = instances.iter().map(|instance| instance.name).collect();
        println!("{title} instances: {}", names.join(", "));
    }
    for condition in Condition::ALL {
        let (name, number, what) = (condition.name(), condition.number(), condition.what());
        println!("{name:<22} {number:<6}{what}\n{:<29}{}", "", condition.at());
    }
    true
}
