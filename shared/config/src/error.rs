//! What is wrong with a configuration: all of it at once, each mistake by its name, its value and what is allowed.

use std::fmt;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value that is not allowed.
    #[error("{name} is {value}; allowed: {allowed}")]
    Bad {
        /// The variable, or `file:key`.
        name: String,
        /// The value as it was written, or stars where it is a secret.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// A name that is no setting. Its value is not shown: it may be a misspelt secret.
    #[error("{name} is not a setting{}", did_you_mean(nearest.as_deref()))]
    Unknown {
        /// The variable, or `file:key`.
        name: String,
        /// The setting whose name looks most like it.
        nearest: Option<String>,
    },
    /// A part that another process needs too would be inside this one.
    #[error(
        "{name} is empty, so {part} would be inside this process, where no other can reach it: `spike {role}` needs a server here (`spike serve` needs none: gateway and worker in one process)"
    )]
    NeedsServer {
        /// The variable.
        name: String,
        /// What the process was to be.
        role: &'static str,
        /// What would be embedded.
        part: &'static str,
    },
    /// The file cannot be read, or is not TOML.
    #[error("{file}: {reason}")]
    File {
        /// The file's path.
        file: String,
        /// What went wrong, without the file's text.
        reason: String,
    },
}

impl ConfigError {
    /// The variable, the `file:key` or the file that is at fault.
    pub fn name(&self) -> &str {
        match self {
            Self::Bad { name, .. } | Self::Unknown { name, .. } | Self::NeedsServer { name, .. } => name,
            Self::File { file, .. } => file,
        }
    }
}

/// Every mistake of a configuration; never empty. Printing it gives one line a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub(crate) Vec<ConfigError>);

impl ConfigErrors {
    /// The mistakes, in the order of the settings.
    pub fn all(&self) -> &[ConfigError] {
        &self.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|known| format!("; did you mean {known}?")).unwrap_or_default()
}
