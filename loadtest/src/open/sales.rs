//! What the buyers of each event are told, whichever stream they press in, kept for the auditor.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use spike_domain::{EventId, UserId};

use super::figures::{Kind, Tally};
use super::meaning;
use super::{OpenSpec, SaleTold, SoldOutTold, StreamResult};
use crate::http::{Response, SendError};
use crate::progress::Counts;
use crate::sale::answer::Answer;
use crate::sale::history::{Acknowledged, History, Notes};
use crate::sale::{Buyer, answer};

/// What one connection noted of one event.
#[derive(Debug, Default)]
pub(super) struct Told {
    notes: Notes,
    /// When the first answer "sold out" was there, by when its request went out; milliseconds from the start.
    sold_out: BTreeMap<u64, u64>,
}

/// The events of a load, and which of them each stream presses for.
#[derive(Debug)]
pub(super) struct Sales {
    events: Vec<Sale>,
    streams: Vec<Option<Presses>>,
}

#[derive(Debug)]
struct Sale {
    event: EventId,
    /// Each user once, also those of several streams.
    buyers: Vec<Buyer>,
    acknowledged: Acknowledged,
}

/// One stream's presses.
#[derive(Debug)]
struct Presses {
    /// Index of the event.
    sale: usize,
    /// The stream's buyers, as indexes into the event's.
    buyers: Vec<u32>,
}

impl Sales {
    pub(super) fn new(spec: &OpenSpec) -> Self {
        let mut events: Vec<(EventId, Vec<Buyer>, HashMap<UserId, u32>)> = Vec::new();
        let mut streams = Vec::new();
        for stream in &spec.streams {
            let Some((event, buyers)) = stream.scenario.sale() else {
                streams.push(None);
                continue;
            };
            let sale = events.iter().position(|(known, ..)| *known == event).unwrap_or(events.len());
            if sale == events.len() {
                events.push((event, Vec::new(), HashMap::new()));
            }
            let (_, known, index) = &mut events[sale];
            let buyers = buyers.iter().map(|buyer| {
                *index.entry(buyer.user).or_insert_with(|| {
                    // Who they are is all that is asked of them here.
                    known.push(Buyer { token: String::new(), ..buyer.clone() });
                    u32::try_from(known.len() - 1).expect("checked with the spec")
                })
            });
            let buyers = buyers.collect();
            streams.push(Some(Presses { sale, buyers }));
        }
        let events = events.into_iter().map(|(event, buyers, _)| Sale {
            event,
            acknowledged: Acknowledged::new(buyers.len()),
            buyers,
        });
        Self { events: events.collect(), streams }
    }

    /// Empty notes of one connection: one a sale.
    pub(super) fn notes(&self) -> Vec<Told> {
        self.events.iter().map(|_| Told::default()).collect()
    }

    /// The kind and word of the answer to request `item` of `stream`, noted if it was a buy. Times count from the start.
    pub(super) fn read(
        &self,
        notes: &mut [Told],
        (stream, item): (usize, u32),
        (sent_at, now): (Duration, Duration),
        answer: &Result<Response<'_>, SendError>,
    ) -> (Kind, &'static str) {
        let Some(presses) = &self.streams[stream] else {
            return answer.as_ref().map_or_else(meaning::missing, meaning::read);
        };
        let answer = answer.as_ref().map_or_else(answer::missing, answer::read);
        let buyer = presses.buyers[item as usize];
        let Told { notes, sold_out } = &mut notes[presses.sale];
        if matches!(answer, Answer::SoldOut(_)) {
            let first = sold_out.entry(ms(sent_at)).or_insert(u64::MAX);
            *first = ms(now).min(*first);
        }
        let (kind, word) = notes.take(&self.events[presses.sale].acknowledged, buyer, answer);
        (kind.into(), word)
    }

    /// What each event's buyers were told, when everything has ended. The load began at `begin_ms`, Unix milliseconds.
    pub(super) fn told(
        &self,
        connections: Vec<Vec<Told>>,
        streams: &[StreamResult],
        begin_ms: u64,
    ) -> Vec<SaleTold> {
        let mut notes: Vec<Vec<Told>> = self.events.iter().map(|_| Vec::new()).collect();
        for connection in connections {
            for (sale, noted) in notes.iter_mut().zip(connection) {
                sale.push(noted);
            }
        }
        let told = self.events.iter().zip(notes).enumerate().map(|(at, (sale, notes))| {
            let mut tally = Tally::default();
            for (presses, stream) in self.streams.iter().zip(streams) {
                if presses.as_ref().is_some_and(|presses| presses.sale == at) {
                    tally.join(&stream.figures.answers);
                }
            }
            let (notes, sold_out): (Vec<Notes>, Vec<_>) =
                notes.into_iter().map(|told| (told.notes, told.sold_out)).unzip();
            SaleTold {
                event: sale.event,
                requests: tally.answered(),
                counts: counts(&tally),
                history: History::join(&sale.buyers, &sale.acknowledged, notes),
                sold_out: first_answers(sold_out, begin_ms),
            }
        });
        told.collect()
    }
}

/// Those of all connections, the first answer of each millisecond.
fn first_answers(connections: Vec<BTreeMap<u64, u64>>, begin_ms: u64) -> Vec<SoldOutTold> {
    let mut all: BTreeMap<u64, u64> = BTreeMap::new();
    for (sent, answered) in connections.into_iter().flatten() {
        let first = all.entry(sent).or_insert(u64::MAX);
        *first = answered.min(*first);
    }
    let told = |(sent, answered)| SoldOutTold { sent_ms: begin_ms + sent, answered_ms: begin_ms + answered };
    all.into_iter().map(told).collect()
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The kinds of buys, which know no [`Kind::Refused`].
fn counts(tally: &Tally) -> Counts {
    assert_eq!(tally.refused, 0, "a refused buy is rejected");
    Counts {
        accepted: tally.accepted,
        sold_out: tally.sold_out,
        duplicates: tally.duplicates,
        rejected: tally.rejected,
        errors: tally.errors,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_millisecond_the_first_answer_is_kept() {
        let connections = vec![BTreeMap::from([(5, 9), (7, 8)]), BTreeMap::from([(5, 6), (6, 20)])];
        let told = |sent_ms, answered_ms| SoldOutTold { sent_ms, answered_ms };
        assert_eq!(first_answers(connections, 1000), [told(1005, 1006), told(1006, 1020), told(1007, 1008)]);
        assert_eq!(first_answers(Vec::new(), 1000), []);
    }
}
