//! The relay's place in an outbox: what was delivered to whom and not acknowledged. A consumer group of Redis streams,
//! as far as the relay uses one.

use std::collections::BTreeMap;

use spike_domain::{EntryId, OutboxEntry};

/// A consumer group that starts before the first entry.
#[derive(Debug, Default)]
pub struct Group {
    last: Option<EntryId>,
    pending: BTreeMap<EntryId, Delivered>,
}

#[derive(Debug, Clone)]
struct Delivered {
    consumer: String,
    at_ms: u64,
}

type Outbox = BTreeMap<EntryId, OutboxEntry>;

impl Group {
    /// Up to `count` entries never delivered before, now delivered to `consumer`.
    pub fn read_new(
        &mut self,
        outbox: &Outbox,
        consumer: &str,
        now_ms: u64,
        count: usize,
    ) -> Vec<OutboxEntry> {
        let entries: Vec<OutboxEntry> = after(outbox, self.last).take(count).cloned().collect();
        for entry in &entries {
            self.pending.insert(entry.id, Delivered { consumer: consumer.to_owned(), at_ms: now_ms });
        }
        self.last = entries.last().map(|entry| entry.id).or(self.last);
        entries
    }

    /// Up to `count` entries after `from` that `consumer` has not acknowledged.
    pub fn read_pending(
        &self,
        outbox: &Outbox,
        consumer: &str,
        from: Option<EntryId>,
        count: usize,
    ) -> Vec<OutboxEntry> {
        let own = self.pending.iter().filter(|(id, held)| Some(**id) > from && held.consumer == consumer);
        own.filter_map(|(id, _)| outbox.get(id)).take(count).cloned().collect()
    }

    /// Gives `consumer` what others have held for `idle_ms`.
    pub fn claim_idle(
        &mut self,
        outbox: &Outbox,
        consumer: &str,
        idle_ms: u64,
        now_ms: u64,
        count: usize,
    ) -> Vec<OutboxEntry> {
        let idle = self.pending.iter_mut().filter(|(_, held)| now_ms.saturating_sub(held.at_ms) >= idle_ms);
        let claimed = idle.filter_map(|(id, held)| {
            let entry = outbox.get(id)?;
            *held = Delivered { consumer: consumer.to_owned(), at_ms: now_ms };
            Some(entry.clone())
        });
        claimed.take(count).collect()
    }

    /// Acknowledges entries; returns how many were pending.
    pub fn ack(&mut self, entries: &[EntryId]) -> u64 {
        entries.iter().filter(|id| self.pending.remove(id).is_some()).count() as u64
    }

    /// The entry is gone from the outbox.
    pub fn forget(&mut self, entry: EntryId) {
        self.pending.remove(&entry);
    }
}

/// Entries of `outbox` after `from`.
pub fn after(outbox: &Outbox, from: Option<EntryId>) -> impl Iterator<Item = &OutboxEntry> {
    use std::ops::Bound::{Excluded, Unbounded};
    let start = from.map_or(Unbounded, Excluded);
    outbox.range((start, Unbounded)).map(|(_, entry)| entry)
}
