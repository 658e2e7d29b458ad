//! A process dies between two steps of the protocol, at every such place there is, and the books still balance.

use spike_domain::OrderStatus;
use spike_domain::clock::now_ms;
use spike_telemetry::Arrow;

use crate::poll::until;
use crate::process::Process;
use crate::system::{Sale, System};

/// How a place is reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By buying.
    Buying,
    /// By orders that nobody pays.
    Expiring,
    /// By a ledger that must be compared with the database.
    Rebuilding,
    /// By orders on their way while the ledger gets a new epoch.
    Late,
}

fn way(arrow: Arrow) -> Way {
    match arrow {
        Arrow::ExpireCommitted | Arrow::RestockReleased | Arrow::RestockMarked => Way::Expiring,
        Arrow::RebuildBumped
        | Arrow::RebuildBegun
        | Arrow::RebuildRead
        | Arrow::RebuildLoaded
        | Arrow::RebuildOpened => Way::Rebuilding,
        Arrow::WorkerAdopted => Way::Late,
        _ => Way::Buying,
    }
}

/// The process that passes a place, by the first word of its name.
fn who(system: &mut System, arrow: Arrow) -> &mut Process {
    match arrow {
        Arrow::GatewayReserved | Arrow::RelayRead | Arrow::RelayConfirmed | Arrow::RelayAcked => {
            &mut system.gateway
        }
        _ => &mut system.worker,
    }
}

#[test]
fn a_death_between_any_two_steps_loses_and_doubles_nothing() {
    let mut system =
        System::start(&[("SPIKE_RELAY_CLAIM_IDLE_MS", "500"), ("SPIKE_RELAY_REPUBLISH_AFTER_MS", "1500")]);
    // An administrator's action is no step of the protocol: `recorded.rs` dies there.
    for arrow in Arrow::ALL.into_iter().filter(|arrow| *arrow != Arrow::GatewayActed) {
        println!("dying at {}", arrow.name());
        match way(arrow) {
            Way::Expiring => die_expiring(&mut system, arrow),
            way => die_selling(&mut system, arrow, way),
        }
    }
}

/// Arms a process: it dies the first time there, but lets the gateway answer a few buyers before.
fn arm(system: &mut System, arrow: Arrow) -> &mut Process {
    let times = if arrow == Arrow::GatewayReserved { "2*off->1*return" } else { "1*return" };
    let process = who(system, arrow);
    process.launch_with(&[("FAILPOINTS", &format!("{}={times}", arrow.name()))]);
    process
}

fn die_selling(system: &mut System, arrow: Arrow, way: Way) {
    // Long enough for a process to be started again before it opens.
    let event = system.open(Sale { opens_in_ms: 3_000, ..Sale::of(250) });
    let opens_at_ms = now_ms() + 3_000;
    match way {
        Way::Late => system.worker.kill9(),
        _ => arm(system, arrow).wait_ready(),
    }
    let running = system.storm(event, opens_at_ms.max(now_ms() + 200), 400, 2);
    if way != Way::Buying {
        running.wait_accepted(40);
    }
    match way {
        Way::Rebuilding => drop(system.redis.command(&["SCRIPT", "FLUSH"]).expect("Redis answers")),
        Way::Late => {
            let above = system.store.bump_epoch(event, 0, now_ms());
            system.runtime.block_on(above).expect("the database answers");
            arm(system, arrow);
        }
        Way::Buying | Way::Expiring => {}
    }
    who(system, arrow).ended();
    who(system, arrow).restart();
    let (result, audit) = system.audit(event, 250, running);
    assert!(audit.clean(), "{}: {:?} {:?}", arrow.name(), audit.differences, result.figures.words);
    assert_eq!((audit.oversold, audit.doubled, audit.lost), (0, 0, 0), "{}", arrow.name());
    assert!(audit.conservation.holds() && audit.conservation.L > 0, "{}", arrow.name());
    // Those of the sales before are rebuilt as well, and the next worker must not die over them.
    until("every fence is open", || {
        (system.gateway.counted("spike_gateway_events", &["state=\"fenced\""]) == 0).then_some(())
    });
}

fn die_expiring(system: &mut System, arrow: Arrow) {
    let event = system.open(Sale { pay_timeout_s: 1, ..Sale::of(20) });
    arm(system, arrow).wait_ready();
    let mut accepted = 0;
    for (_, token) in system.users(10) {
        accepted += u64::from(system.buy(event, &token, &[], None).status == 202);
    }
    assert_eq!(accepted, 10);
    who(system, arrow).ended();
    who(system, arrow).restart();
    until("every order is cancelled and all stock is back", || {
        let figures = system.runtime.block_on(system.store.audit_event(event)).expect("the database answers");
        assert!(figures.holds(), "{figures:?}");
        let figures = figures.figures;
        let stock = system.redis.command(&["GET", &format!("spike:{{{event}}}:stock")]).ok()?;
        let cancelled = figures.of(OrderStatus::Cancelled);
        (cancelled.orders == accepted && figures.open_markers.units == 0 && stock == "20").then_some(())
    });
    for (_, token) in system.users(1) {
        assert_eq!(system.buy(event, &token, &[], None).status, 202, "{}", arrow.name());
    }
}
