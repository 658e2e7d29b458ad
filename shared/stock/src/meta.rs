//! An event's figures as Redis holds them.

use redis::{FromRedisValue, ParsingError, Value};
use spike_domain::{EventDef, LedgerState};

/// What `meta`, `stock` and `inflight` say at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Epoch of the ledger.
    pub epoch: u64,
    /// Its state.
    pub state: LedgerState,
    /// Rises with every release and every change of state.
    pub version: u64,
    /// Units left; `None` while the ledger has no stock (a rebuild that did not finish).
    pub stock: Option<u64>,
    /// Units accepted and not settled; `None` as for `stock`.
    pub inflight: Option<u64>,
    /// The event; `None` as for `stock`.
    pub doc: Option<EventDef>,
}

/// The part of [`Meta`] that followers poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Epoch of the ledger, which every reserve call names.
    pub epoch: u64,
    /// Its state.
    pub state: LedgerState,
    /// Its version.
    pub version: u64,
    /// Units left, while it has figures.
    pub stock: Option<u64>,
}

impl From<&Meta> for View {
    fn from(meta: &Meta) -> Self {
        Self { epoch: meta.epoch, state: meta.state, version: meta.version, stock: meta.stock }
    }
}

impl Meta {
    /// Fields asked of `meta`, in this order.
    pub const FIELDS: [&'static str; 4] = ["epoch", "state", "version", "doc"];

    /// Reads the replies of HMGET meta FIELDS and MGET stock inflight. `Ok(None)`: the event has no ledger.
    pub fn read(fields: &Value, figures: &Value) -> Result<Option<Self>, ParsingError> {
        let [epoch, state, version, doc]: [Option<String>; 4] = four(fields)?;
        let (stock, inflight): (Option<u64>, Option<u64>) = FromRedisValue::from_redis_value_ref(figures)?;
        let (Some(epoch), Some(state)) = (epoch, state) else { return Ok(None) };
        let epoch = epoch.parse().map_err(|_| ParsingError::from("meta.epoch is not a number"))?;
        let state =
            LedgerState::parse(&state).ok_or_else(|| ParsingError::from("meta.state is no known state"))?;
        let version = version.and_then(|text| text.parse().ok()).unwrap_or(0);
        let doc = doc.and_then(|json| serde_json::from_str(&json).ok());
        Ok(Some(Self { epoch, state, version, stock, inflight, doc }))
    }
}

fn four(value: &Value) -> Result<[Option<String>; 4], ParsingError> {
    let fields: Vec<Option<String>> = FromRedisValue::from_redis_value_ref(value)?;
    fields.try_into().map_err(|_| ParsingError::from("HMGET of four fields must answer four values"))
}
