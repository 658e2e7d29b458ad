//! What the shell is told: 0 done, 1 failed, 2 asked for something that cannot be done as asked.

use std::process::ExitCode;

use spike_backends::FolderError;
use spike_config::ConfigErrors;
use spike_telemetry::InitError;

/// A command that was given wrong; its text says what is wrong and what would be right.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misuse(pub String);

/// Prints the error, if there is one, and chooses the exit code.
pub fn exit_code(result: anyhow::Result<ExitCode>) -> ExitCode {
    let error = match result {
        Ok(code) => return code,
        Err(error) => error,
    };
    if let Some(mistakes) = error.downcast_ref::<ConfigErrors>() {
        // One line a mistake, each naming its variable: nothing is put before them.
        eprintln!("{mistakes}");
        return ExitCode::from(2);
    }
    eprintln!("spike: {error:#}");
    let asked_wrong = error.is::<Misuse>()
        || error.is::<FolderError>()
        || matches!(error.downcast_ref(), Some(InitError::BadLevel { .. }));
    if asked_wrong { ExitCode::from(2) } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_wrong_is_two() {
        let code = |error: anyhow::Error| format!("{:?}", exit_code(Err(error)));
        let two = format!("{:?}", ExitCode::from(2));
        let bad = spike_config::Config::load(None, [("SPIKE_HOT_CORES".to_owned(), "many".to_owned())]);
        assert_eq!(code(bad.unwrap_err().into()), two);
        assert_eq!(code(Misuse("no".into()).into()), two);
        let folder = spike_backends::DataFolder::lock(std::path::Path::new("/dev/null/data"));
        assert_eq!(code(folder.unwrap_err().into()), two);
        assert_eq!(code(InitError::BadLevel { value: "inof".into() }.into()), two);
        assert_eq!(code(InitError::StartedTwice.into()), format!("{:?}", ExitCode::FAILURE));
    }
}
