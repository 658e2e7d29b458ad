//! What the buyers of each event are told, whichever stream they press in, kept for the auditor.

use std::collections::HashMap;

use spike_domain::{EventId, UserId};

use super::figures::{Kind, Tally};
use super::meaning;
use super::{OpenSpec, SaleTold, StreamResult};
use crate::http::{Response, SendError};
use crate::progress::Counts;
use crate::sale::history::{Acknowledged, History, Notes};
use crate::sale::{Buyer, answer};

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
                    known.push(buyer.clone());
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
    pub(super) fn notes(&self) -> Vec<Notes> {
        self.events.iter().map(|_| Notes::default()).collect()
    }

    /// The kind and word of the answer to request `item` of `stream`, noted if it was a buy.
    pub(super) fn read(
        &self,
        notes: &mut [Notes],
        (stream, item): (usize, u32),
        answer: &Result<Response<'_>, SendError>,
    ) -> (Kind, &'static str) {
        let Some(presses) = &self.streams[stream] else {
            return answer.as_ref().map_or_else(meaning::missing, meaning::read);
        };
        let answer = answer.as_ref().map_or_else(answer::missing, answer::read);
        let buyer = presses.buyers[item as usize];
        let (kind, word) = notes[presses.sale].take(&self.events[presses.sale].acknowledged, buyer, answer);
        (kind.into(), word)
    }

    /// What each event's buyers were told, when everything has ended.
    pub(super) fn told(&self, connections: Vec<Vec<Notes>>, streams: &[StreamResult]) -> Vec<SaleTold> {
        let mut notes: Vec<Vec<Notes>> = self.events.iter().map(|_| Vec::new()).collect();
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
            SaleTold {
                event: sale.event,
                requests: tally.answered(),
                counts: counts(&tally),
                history: History::join(&sale.buyers, &sale.acknowledged, notes),
            }
        });
        told.collect()
    }
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
