//! The search: mutate what is known, keep what leads to a new outcome, and write down what breaks a promise.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::mutate::mutate;
use crate::{INPUT_MAX, Target, folder};

/// Inputs kept at most.
const CORPUS_MAX: usize = 4096;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// After so many inputs.
    Inputs(u64),
    /// After this time.
    Passed(Duration),
}

/// What a search came to.
#[derive(Debug)]
pub struct Report {
    /// Inputs that were read, seeds among them.
    pub inputs: u64,
    /// Different outcomes.
    pub outcomes: usize,
    /// The input that broke a promise, and where it was written.
    pub finding: Option<(Vec<u8>, PathBuf)>,
}

/// Searches from `seed` on until `until` or the first finding.
///
/// # Panics
/// When seeds cannot be read or a finding cannot be written.
pub fn explore(target: &Target, seed: u64, until: Until) -> Report {
    let (mut random, began) = (Rng::with_seed(seed), Instant::now());
    let (mut corpus, mut outcomes) = (target.seeds(), HashSet::new());
    corpus.iter_mut().for_each(|input| input.truncate(INPUT_MAX));
    let mut inputs = 0u64;
    let over = |inputs: u64| match until {
        Until::Inputs(most) => inputs >= most,
        Until::Passed(time) => inputs.is_multiple_of(256) && began.elapsed() >= time,
    };
    let starters = corpus.len() as u64;
    while inputs < starters || !over(inputs) {
        let seeded = usize::try_from(inputs).ok().filter(|_| inputs < starters);
        let input = seeded.map_or_else(|| next(&mut random, &corpus, target.words), |at| corpus[at].clone());
        inputs += 1;
        match catch_unwind(AssertUnwindSafe(|| (target.run)(&input))) {
            Ok(outcome) => {
                if outcomes.insert(outcome) && seeded.is_none() && corpus.len() < CORPUS_MAX {
                    corpus.push(input);
                }
            }
            Err(_) => {
                let path = write(target, &input);
                return Report { inputs, outcomes: outcomes.len(), finding: Some((input, path)) };
            }
        }
    }
    Report { inputs, outcomes: outcomes.len(), finding: None }
}

fn next(random: &mut Rng, corpus: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let [one, other] = [(); 2].map(|()| &corpus[random.usize(0..corpus.len())]);
    mutate(random, one, other, words)
}

fn write(target: &Target, input: &[u8]) -> PathBuf {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let findings = folder().join("findings");
    std::fs::create_dir_all(&findings).expect("a folder for findings");
    let path = findings.join(format!("{}-{:016x}", target.name, hasher.finish()));
    std::fs::write(&path, input).expect("the finding is written");
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planted(input: &[u8]) -> String {
        assert!(!input.windows(2).any(|pair| pair == b"\r\r"), "planted");
        format!("{}", input.len() % 7)
    }

    #[test]
    fn a_broken_promise_is_found_and_written_down() {
        let target = Target { name: "resp", run: planted, words: &["\r"], made: Vec::new };
        let report = explore(&target, 1, Until::Inputs(100_000));
        let (input, path) = report.finding.expect("it is easy to find");
        assert_eq!(std::fs::read(&path).unwrap(), input);
        std::fs::remove_file(path).unwrap();
        assert!(report.inputs > 1 && report.outcomes > 1, "{} {}", report.inputs, report.outcomes);
    }
}
