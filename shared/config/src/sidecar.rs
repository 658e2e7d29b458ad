//! The tokio runtime beside the hot cores: the control API, the relay, the follower and the ops server.

use crate::reader::Reader;

/// Section `[sidecar]`.
#[derive(Clone, Debug)]
pub struct SidecarConfig {
    /// Worker threads of the runtime.
    ///
    /// `SPIKE_SIDECAR_THREADS`: 1 to 256
    pub threads: usize,
    /// Control requests waiting between the hot cores and the sidecar; one more is answered 503.
    ///
    /// `SPIKE_SIDECAR_BRIDGE_CAPACITY`: 1 to 65536
    pub bridge_capacity: usize,
}

impl SidecarConfig {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let mut s = reader.section("sidecar");
        Self {
            threads: s.number("threads", 1..=256),
            bridge_capacity: s.number("bridge_capacity", 1..=65_536),
        }
    }
}
