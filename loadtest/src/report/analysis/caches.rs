//! Cache hits: the catalogue's, the tokens', and the database's buffer pool.

use super::{Rows, Section, growth, share, words};
use crate::record::Phase;

pub(super) fn section(phase: &Phase) -> Section {
    let mut rows = Rows::new();
    let of = |name: &str| growth(phase, "gateway", &format!("spike_gateway_{name}_total"));
    let mut says = Vec::new();

    let (hits, stale, misses) = (of("cache_hits"), of("cache_stale"), of("cache_misses"));
    rows.figure("catalogue: answered from this process, fresh", hits);
    rows.figure("catalogue: answered from this process while read anew", stale);
    rows.figure("catalogue: not in this process", misses);
    rows.figure("catalogue: answered from Redis", of("cache_shared_hits"));
    rows.figure("catalogue: read from the database", of("cache_loads"));
    if let (Some(hits), Some(stale), Some(misses)) = (hits, stale, misses) {
        let rate = share(hits + stale, hits + stale + misses);
        rows.add("catalogue: hit rate", rate.clone());
        says.push(format!("{rate} of the catalogue's reads"));
    }
    let (hits, misses) = (of("token_cache_hits"), of("token_cache_misses"));
    rows.figure("tokens remembered", hits);
    rows.figure("tokens whose signature was checked", misses);
    if let (Some(hits), Some(misses)) = (hits, misses) {
        let rate = share(hits, hits + misses);
        rows.add("tokens: hit rate", rate.clone());
        says.push(format!("{rate} of the tokens"));
    }
    let pool = |name: &str| growth(phase, "mariadb", &format!("Innodb_buffer_pool_{name}"));
    let (asked, read) = (pool("read_requests"), pool("reads"));
    rows.figure("buffer pool: pages asked for", asked);
    rows.figure("buffer pool: pages read from disk", read);
    if let (Some(asked), Some(read)) = (asked, read) {
        let rate = share(asked - read, asked);
        rows.add("buffer pool: hit rate", rate.clone());
        says.push(format!("{rate} of the database's pages"));
    }
    let says = match says.is_empty() {
        true => "No cache was looked at.".to_owned(),
        false => format!("Found in memory: {}.", words(&says)),
    };
    rows.into_section("Cache hits", says)
}
