//! The names of a phase's figures, so that whoever measures and whoever reports mean the same.
//!
//! A name is `source:name` for what a counter grew by during the phase, `source:name:peak` for the highest a gauge was seen.

/// What counter `name` of `source` grew by.
pub fn growth(source: &str, name: &str) -> String {
    format!("{source}:{name}")
}

/// The highest that gauge `name` of `source` was seen.
pub fn peak(source: &str, name: &str) -> String {
    format!("{source}:{name}:peak")
}

/// SQL connections of a process, the most that were open.
pub fn pool_peak(process: &str) -> String {
    peak("pool", &format!("{process}.open"))
}

/// SQL connections of a process, the most that ran a statement at a moment.
pub fn pool_busy_peak(process: &str) -> String {
    peak("pool", &format!("{process}.busy"))
}

/// Looks at which every connection that a process may have ran a statement.
pub fn pool_full(process: &str) -> String {
    growth("pool", &format!("{process}.full"))
}

/// SQL connections that a process may have.
pub fn pool_max(process: &str) -> String {
    growth("pool", &format!("{process}.max"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_counters_from_gauges() {
        assert_eq!(growth("gateway", "a_total"), "gateway:a_total");
        assert_eq!(peak("redis", "connected_clients"), "redis:connected_clients:peak");
        assert_eq!(pool_busy_peak("worker"), "pool:worker.busy:peak");
    }
}
