//! Pools: SQL connections, links to Redis, channels of the broker, hashing threads and the bridge.

use super::{Rows, Section, growth, peak, words};
use crate::record::{Phase, figure};
use crate::report::number::measure;

/// Processes that have a pool of SQL connections.
const PROCESSES: [&str; 2] = ["gateway", "worker"];

pub(super) fn section(phase: &Phase) -> Section {
    let mut rows = Rows::new();
    let at = |name: String| phase.figures.get(&name).copied();
    let (mut full, mut room) = (Vec::new(), Vec::new());
    for process in PROCESSES {
        let (open, busy) = (at(figure::pool_peak(process)), at(figure::pool_busy_peak(process)));
        let (max, times) = (at(figure::pool_max(process)), at(figure::pool_full(process)));
        rows.figure(&format!("SQL connections of the {process}, most open"), open);
        rows.figure(&format!("SQL connections of the {process}, most in a statement"), busy);
        rows.figure(&format!("SQL connections the {process} may have"), max);
        rows.figure(&format!("looks at which the {process} had none free"), times);
        let (Some(open), Some(max), Some(times)) = (open, max, times) else { continue };
        let all = open >= max;
        let (open, max) = (measure(open), measure(max));
        if times > 0.0 {
            full.push(format!(
                "the {process} had all {max} SQL connections busy at {} looks",
                measure(times)
            ));
        } else if all {
            full.push(format!("the {process} opened all {max} of its SQL connections"));
        } else {
            room.push(format!("the {process} opened {open} of its {max} SQL connections"));
        }
    }
    rows.figure("SQL connections of the server, most", peak(phase, "mariadb", "Max_used_connections"));
    rows.figure("Redis connections, most", peak(phase, "redis", "connected_clients"));
    let reconnects = growth(phase, "gateway", "spike_gateway_redis_reconnects_total");
    rows.figure("Redis connections opened again", reconnects);
    rows.figure("broker connections", peak(phase, "rabbitmq", "connections"));
    rows.figure("broker channels", peak(phase, "rabbitmq", "channels"));
    let bridge = growth(phase, "gateway", "spike_gateway_bridge_full_total");
    rows.figure("requests refused by a full bridge", bridge);
    let passwords = peak(phase, "gateway", "spike_password_queue_length");
    rows.figure("passwords waiting for a hashing thread, most", passwords);
    rows.figure("hashing threads", peak(phase, "gateway", "spike_password_threads"));
    if let Some(refused) = bridge.filter(|refused| *refused > 0.0) {
        full.push(format!("the bridge refused {} requests", measure(refused)));
    }
    let says = match (full.is_empty(), room.is_empty()) {
        (true, true) => "No pool was looked at.".to_owned(),
        (true, false) => format!("No pool ran out: {}.", words(&room)),
        (false, _) => format!("A pool was at its limit: {}.", words(&full)),
    };
    rows.into_section("Pools", says)
}
