//! What the shell is told: 0 done, 1 failed or a target missed, 2 asked for something that cannot be done as asked.

use std::process::ExitCode;

use loadtest::open::OpenError;
use loadtest::record::RecordError;
use spike_config::ConfigErrors;

/// A command that was given wrong; its text says what is wrong and what would be right.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misuse(pub String);

/// Prints the error, if there is one, and chooses the exit code.
pub fn exit_code(done: anyhow::Result<ExitCode>) -> ExitCode {
    let error = match done {
        Ok(code) => return code,
        Err(error) => error,
    };
    eprintln!("spike-load: {error:#}");
    let asked_wrong = error.is::<Misuse>()
        || error.is::<RecordError>()
        || error.is::<ConfigErrors>()
        || matches!(error.downcast_ref(), Some(OpenError::Spec { .. }));
    if asked_wrong { ExitCode::from(2) } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_wrong_is_two() {
        let code = |error: anyhow::Error| format!("{:?}", exit_code(Err(error)));
        let two = format!("{:?}", ExitCode::from(2));
        assert_eq!(code(Misuse("no".into()).into()), two);
        let missing = loadtest::record::Record::read(std::path::Path::new("/dev/null/none.json"));
        assert_eq!(code(missing.unwrap_err().into()), two);
        let spec = OpenError::Spec { field: "duration".into(), problem: "0".into() };
        assert_eq!(code(anyhow::Error::from(spec).context("run")), two);
        assert_eq!(code(anyhow::anyhow!("broken")), format!("{:?}", ExitCode::FAILURE));
    }
}
