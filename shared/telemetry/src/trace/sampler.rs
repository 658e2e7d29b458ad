//! Which traces are recorded: those whose beginner says so, and of those begun here a part.

use opentelemetry::trace::{Link, SamplingDecision, SamplingResult, SpanKind, TraceContextExt, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::ShouldSample;

/// A part of all traces, decided by the trace's id as OpenTelemetry's `TraceIdRatioBased` does, so that services that
/// record the same part record the same traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    /// Of 2^63.
    bound: u64,
}

impl Ratio {
    /// `part` from 0 to 1; what is beyond counts as the nearer one.
    pub fn new(part: f64) -> Self {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 2^63")]
        Self { bound: (part.clamp(0.0, 1.0) * (1u64 << 63) as f64) as u64 }
    }

    /// Whether a trace whose id ends in these bits is recorded.
    #[inline]
    pub fn takes(self, trace_id_low: u64) -> bool {
        trace_id_low >> 1 < self.bound
    }
}

/// The cold side's sampler: parent-based over a [`Ratio`]. What is not sampled is recorded all the same and thrown away at
/// its end, unless it has failed or was slow.
#[derive(Debug, Clone)]
pub(super) struct ParentOr(pub(super) Ratio);

impl ShouldSample for ParentOr {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let parent = parent.map(|context| context.span().span_context().clone()).filter(|span| span.is_valid());
        let sampled = match &parent {
            Some(span) => span.is_sampled(),
            None => self.0.takes(low(trace_id)),
        };
        SamplingResult {
            decision: if sampled { SamplingDecision::RecordAndSample } else { SamplingDecision::RecordOnly },
            attributes: Vec::new(),
            trace_state: parent.map_or(TraceState::NONE, |span| span.trace_state().clone()),
        }
    }
}

fn low(trace_id: TraceId) -> u64 {
    let [_, _, _, _, _, _, _, _, low @ ..] = trace_id.to_bytes();
    u64::from_be_bytes(low)
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::trace::Sampler;

    use super::super::span::{root, span_context};
    use super::*;

    fn decided(sampler: &dyn ShouldSample, parent: Option<&Context>, id: TraceId) -> SamplingDecision {
        sampler.should_sample(parent, id, "", &SpanKind::Server, &[], &[]).decision
    }

    #[test]
    fn a_ratio_takes_the_very_traces_that_opentelemetry_takes() {
        for part in [0.0, 0.01, 0.3, 0.999, 1.0] {
            let (ours, theirs) = (Ratio::new(part), Sampler::TraceIdRatioBased(part));
            let mut taken = 0;
            for _ in 0..2000 {
                let id = TraceId::from(root().trace_id);
                let want = decided(&theirs, None, id) == SamplingDecision::RecordAndSample;
                assert_eq!(ours.takes(low(id)), want, "{part} {id}");
                taken += u32::from(want);
            }
            assert!((f64::from(taken) / 2000.0 - part).abs() < 0.06, "{part}: {taken} of 2000");
        }
        assert!(Ratio::new(1.0).takes(u64::MAX) && !Ratio::new(0.0).takes(0));
        assert_eq!((Ratio::new(7.0), Ratio::new(-1.0)), (Ratio::new(1.0), Ratio::new(0.0)));
    }

    #[test]
    fn a_parent_decides_whatever_the_ratio() {
        let parent = |sampled| {
            let mut context = root();
            context.sampled = sampled;
            Context::new().with_remote_span_context(span_context(context, true))
        };
        for part in [0.0, 1.0] {
            let sampler = ParentOr(Ratio::new(part));
            let id = TraceId::from(root().trace_id);
            assert_eq!(decided(&sampler, Some(&parent(true)), id), SamplingDecision::RecordAndSample);
            assert_eq!(decided(&sampler, Some(&parent(false)), id), SamplingDecision::RecordOnly);
            let alone = decided(&sampler, Some(&Context::new()), id);
            let want = if part > 0.0 { SamplingDecision::RecordAndSample } else { SamplingDecision::RecordOnly };
            assert_eq!(alone, want);
        }
    }
}
