//! Which node of a Redis Cluster has a slot: the table read of `CLUSTER SLOTS`, and what a node that has it not says.
//! Pure; the connections are in [`super::cluster`].

use spike_config::HostPort;
use spike_stock::slot::SLOTS;

use super::resp::Reply;

/// Nobody has the slot.
const NOBODY: u16 = u16::MAX;

/// The masters and their slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotTable {
    /// For each slot, which of `masters`.
    owners: Box<[u16]>,
    masters: Vec<HostPort>,
    replicas: Vec<HostPort>,
}

/// Where a node sends a call that it has not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redirect {
    /// The slot is another node's for good.
    Moved {
        /// The slot.
        slot: u16,
        /// Whose it is.
        to: HostPort,
    },
    /// This once: the slot is on its way there.
    Ask {
        /// Where to.
        to: HostPort,
    },
}

impl Default for SlotTable {
    fn default() -> Self {
        Self { owners: vec![NOBODY; usize::from(SLOTS)].into(), masters: Vec::new(), replicas: Vec::new() }
    }
}

impl SlotTable {
    /// Reads the answer of `asked` to `CLUSTER SLOTS`; a node without a name is `asked` itself. `None`: not such an answer,
    /// or one of a node that knows of no slot.
    pub fn read(reply: &Reply, asked: &HostPort) -> Option<Self> {
        let Reply::Array(ranges) = reply else { return None };
        let mut table = Self::default();
        for range in ranges {
            let Reply::Array(parts) = range else { return None };
            let [Reply::Number(first), Reply::Number(last), master, replicas @ ..] = &parts[..] else {
                return None;
            };
            let (first, last) = (usize::try_from(*first).ok()?, usize::try_from(*last).ok()?);
            let master = table.number_of(node(master, asked)?)?;
            table.owners.get_mut(first..=last)?.fill(master);
            for replica in replicas {
                table.replicas.push(node(replica, asked)?);
            }
        }
        (!table.masters.is_empty()).then_some(table)
    }

    /// Which of [`SlotTable::masters`] has the slot.
    pub fn owner(&self, slot: u16) -> Option<usize> {
        let owner = *self.owners.get(usize::from(slot))?;
        (owner != NOBODY).then_some(usize::from(owner))
    }

    /// Every master with a slot, or that had one when it was read.
    pub fn masters(&self) -> &[HostPort] {
        &self.masters
    }

    /// Every node that was named.
    pub fn nodes(&self) -> impl Iterator<Item = &HostPort> {
        self.masters.iter().chain(&self.replicas)
    }

    /// Notes what a node said of one slot; the master may be a new one.
    pub fn moved(&mut self, slot: u16, to: HostPort) {
        if usize::from(slot) < self.owners.len()
            && let Some(number) = self.number_of(to)
        {
            self.owners[usize::from(slot)] = number;
        }
    }

    fn number_of(&mut self, master: HostPort) -> Option<u16> {
        let at = self.masters.iter().position(|known| *known == master).unwrap_or_else(|| {
            self.masters.push(master);
            self.masters.len() - 1
        });
        u16::try_from(at).ok().filter(|&number| number != NOBODY)
    }
}

impl Redirect {
    /// What an answer of `asked` says, if it sends the call elsewhere: `MOVED slot host:port`, `ASK slot host:port`.
    pub fn of(reply: &Reply, asked: &HostPort) -> Option<Self> {
        let Reply::Error(text) = reply else { return None };
        let text = std::str::from_utf8(text).ok()?;
        let mut words = text.split(' ');
        let (kind, slot, to) = (words.next()?, words.next()?, words.next()?);
        if !matches!(kind, "MOVED" | "ASK") {
            return None;
        }
        let slot = slot.parse().ok().filter(|&slot: &u16| slot < SLOTS)?;
        let (host, port) = to.rsplit_once(':')?;
        let to = (named(host, asked), port.parse().ok()?);
        Some(if kind == "MOVED" { Self::Moved { slot, to } } else { Self::Ask { to } })
    }
}

/// Whether the error says that the node ran nothing and the cluster should be looked at anew.
pub fn not_there(reply: &Reply) -> bool {
    const CODES: [&[u8]; 7] =
        [b"MOVED", b"ASK", b"CLUSTERDOWN", b"TRYAGAIN", b"LOADING", b"READONLY", b"MASTERDOWN"];
    CODES.iter().any(|code| reply.is_error(code))
}

fn node(reply: &Reply, asked: &HostPort) -> Option<HostPort> {
    let Reply::Array(parts) = reply else { return None };
    let (host, port) = match &parts[..] {
        [Reply::Bulk(host), Reply::Number(port), ..] => (std::str::from_utf8(host).ok()?, port),
        [Reply::Nil, Reply::Number(port), ..] => ("", port),
        _ => return None,
    };
    Some((named(host, asked), u16::try_from(*port).ok()?))
}

/// A node that does not know its own name, or may not tell it, is where it was asked.
fn named(host: &str, asked: &HostPort) -> String {
    if matches!(host, "" | "?") { asked.0.clone() } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn at(host: &str, port: u16) -> HostPort {
        (host.to_owned(), port)
    }

    fn bulk(text: &'static str) -> Reply {
        Reply::Bulk(Bytes::from_static(text.as_bytes()))
    }

    fn error(text: &'static str) -> Reply {
        Reply::Error(Bytes::from_static(text.as_bytes()))
    }

    fn range(first: i64, last: i64, nodes: &[(&'static str, i64)]) -> Reply {
        let node = |&(host, port): &(&'static str, i64)| {
            Reply::Array(vec![bulk(host), Reply::Number(port), bulk("id"), Reply::Array(vec![])])
        };
        let numbers = [Reply::Number(first), Reply::Number(last)];
        Reply::Array(numbers.into_iter().chain(nodes.iter().map(node)).collect())
    }

    #[test]
    fn slots_have_their_masters_and_gaps_have_nobody() {
        let reply = Reply::Array(vec![
            range(0, 5_460, &[("a", 1), ("b", 2)]),
            range(5_461, 10_922, &[("", 3)]),
            range(10_924, 16_383, &[("a", 1)]),
        ]);
        let mut table = SlotTable::read(&reply, &at("seed", 9)).expect("a table");
        let master = |table: &SlotTable, slot| table.owner(slot).map(|owner| table.masters()[owner].clone());
        assert_eq!(master(&table, 0), Some(at("a", 1)));
        assert_eq!(master(&table, 5_461), Some(at("seed", 3)), "a node without a name is where it was asked");
        assert_eq!(master(&table, 10_923), None);
        assert_eq!(master(&table, 16_383), Some(at("a", 1)));
        assert_eq!(table.owner(u16::MAX), None);
        assert_eq!(table.nodes().cloned().collect::<Vec<_>>(), [at("a", 1), at("seed", 3), at("b", 2)]);

        table.moved(10_923, at("new", 4));
        table.moved(0, at("seed", 3));
        table.moved(SLOTS, at("nowhere", 5));
        assert_eq!((master(&table, 10_923), master(&table, 0)), (Some(at("new", 4)), Some(at("seed", 3))));
        assert_eq!((master(&table, 1), table.masters().len()), (Some(at("a", 1)), 3));
    }

    #[test]
    fn what_is_no_table_is_none() {
        for reply in [
            Reply::Nil,
            Reply::Array(vec![]),
            error("ERR This instance has cluster support disabled"),
            Reply::Array(vec![Reply::Nil]),
            Reply::Array(vec![range(0, 16_384, &[("a", 1)])]),
            Reply::Array(vec![range(-1, 5, &[("a", 1)])]),
            Reply::Array(vec![range(9, 5, &[("a", 1)])]),
            Reply::Array(vec![range(0, 5, &[])]),
            Reply::Array(vec![range(0, 5, &[("a", 65_536)])]),
        ] {
            assert_eq!(SlotTable::read(&reply, &at("seed", 9)), None, "{reply:?}");
        }
    }

    #[test]
    fn redirections_are_read_and_nothing_else_is_one() {
        let of = |text| Redirect::of(&error(text), &at("here", 1));
        assert_eq!(
            of("MOVED 3999 127.0.0.1:6381"),
            Some(Redirect::Moved { slot: 3_999, to: at("127.0.0.1", 6_381) })
        );
        assert_eq!(of("MOVED 0 ::1:6381"), Some(Redirect::Moved { slot: 0, to: at("::1", 6_381) }));
        assert_eq!(of("ASK 3999 :6381"), Some(Redirect::Ask { to: at("here", 6_381) }));
        for text in
            ["MOVED", "MOVED 1", "MOVED x h:1", "MOVED 16384 h:1", "MOVED 1 h", "MOVED 1 h:x", "ERR 1 h:1"]
        {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(Redirect::of(&bulk("MOVED 1 h:1"), &at("here", 1)), None);
        for text in
            ["MOVED 1 h:1", "CLUSTERDOWN The cluster is down", "TRYAGAIN x", "LOADING x", "READONLY x"]
        {
            assert!(not_there(&error(text)), "{text}");
        }
        assert!(!not_there(&error("NOSCRIPT No matching script.")) && !not_there(&bulk("ASK")));
    }
}
