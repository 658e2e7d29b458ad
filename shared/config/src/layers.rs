//! The three places a value may come from, the last one first: environment, file, embedded defaults.

use std::collections::BTreeMap;
use std::fmt;

use toml::{Table, Value};

use crate::error::ConfigError;
use crate::nearest::nearest;
use crate::reader::env_name;

/// The defaults, and the manual of every setting.
pub(crate) const DEFAULTS: &str = include_str!("../../../configs/default.toml");

/// Variables that begin like ours and are not settings.
const NOT_SETTINGS: [&str; 2] = ["SPIKE_CONFIG", "SPIKE_STACK"];
const NOT_SETTINGS_PREFIX: &str = "SPIKE_TEST_";

pub(crate) struct Layers {
    defaults: Table,
    file: Option<(String, Table)>,
    env: BTreeMap<String, String>,
}

/// A value as it was written.
#[derive(Clone, Debug)]
pub(crate) enum Raw {
    Env(String),
    Toml(Value),
}

impl Layers {
    /// `file` is a name for messages and the TOML text.
    pub(crate) fn new(
        file: Option<(&str, &str)>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let file = match file {
            Some((name, text)) => Some((name.to_owned(), parse_file(name, text)?)),
            None => None,
        };
        let env = env.into_iter().filter(|(name, _)| name.starts_with("SPIKE_")).collect();
        let defaults = DEFAULTS.parse().expect("the embedded defaults are TOML");
        Ok(Self { defaults, file, env })
    }

    /// The value of a key and the name of where it stands.
    pub(crate) fn find(&self, key: &str) -> (String, Raw) {
        let variable = env_name(key);
        if let Some(text) = self.env.get(&variable) {
            return (variable, Raw::Env(text.clone()));
        }
        match &self.file {
            Some((file, table)) if at(table, key).is_some() => {
                let value = at(table, key).expect("just seen");
                (format!("{file}:{key}"), Raw::Toml(value.clone()))
            }
            _ => (variable, self.default_of(key)),
        }
    }

    /// The documented default; a setting without one is a fault of ours, not of the operator.
    pub(crate) fn default_of(&self, key: &str) -> Raw {
        Raw::Toml(at(&self.defaults, key).unwrap_or_else(|| panic!("{key} has no default")).clone())
    }

    /// Names in the file and the environment that are none of the `known` keys.
    pub(crate) fn unknown(&self, known: &[&str]) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        if let Some((file, table)) = &self.file {
            for key in leaves(table).into_iter().filter(|key| !known.contains(&key.as_str())) {
                let nearest = nearest(&key, known.iter().copied());
                errors.push(ConfigError::Unknown { name: format!("{file}:{key}"), nearest });
            }
        }
        let variables: Vec<_> = known.iter().map(|key| env_name(key)).collect();
        for name in self.env.keys() {
            let ours = variables.contains(name)
                || NOT_SETTINGS.contains(&name.as_str())
                || name.starts_with(NOT_SETTINGS_PREFIX);
            if !ours {
                let nearest = nearest(name, variables.iter().map(String::as_str));
                errors.push(ConfigError::Unknown { name: name.clone(), nearest });
            }
        }
        errors
    }
}

impl Raw {
    /// A text that was written as one, and is UTF-8 (what was not carries the replacement character).
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Self::Env(text) | Self::Toml(Value::String(text)) => {
                Some(text.clone()).filter(|text| !text.contains(char::REPLACEMENT_CHARACTER))
            }
            Self::Toml(_) => None,
        }
    }

    pub(crate) fn integer(&self) -> Option<i128> {
        match self {
            Self::Env(text) => text.parse().ok(),
            Self::Toml(value) => value.as_integer().map(i128::from),
        }
    }

    /// A number with or without a fraction, or a text that is one.
    pub(crate) fn decimal(&self) -> Option<f64> {
        match self {
            Self::Env(text) | Self::Toml(Value::String(text)) => text.parse().ok(),
            #[allow(clippy::cast_precision_loss, reason = "whoever asks takes 0 and 1")]
            Self::Toml(value) => value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64)),
        }
    }

    pub(crate) fn flag(&self) -> Option<bool> {
        match self {
            Self::Env(text) => text.parse().ok(),
            Self::Toml(value) => value.as_bool(),
        }
    }

    /// An array of texts, or in a variable words between commas.
    pub(crate) fn list(&self) -> Option<Vec<String>> {
        match self {
            Self::Env(text) => Some(
                text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect(),
            ),
            Self::Toml(Value::Array(values)) => {
                values.iter().map(|value| value.as_str().map(str::to_owned)).collect()
            }
            Self::Toml(_) => None,
        }
    }

    /// An array of whole numbers, or in a variable numbers between commas.
    pub(crate) fn numbers(&self) -> Option<Vec<u64>> {
        match self {
            Self::Env(text) => text.split(',').map(|word| word.trim().parse().ok()).collect(),
            Self::Toml(Value::Array(values)) => {
                values.iter().map(|value| value.as_integer().and_then(|n| u64::try_from(n).ok())).collect()
            }
            Self::Toml(_) => None,
        }
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(text) => write!(f, "{text:?}"),
            Self::Toml(value) => write!(f, "{value}"),
        }
    }
}

/// Reads a file without letting its text into the error: a line of it may hold a secret.
fn parse_file(name: &str, text: &str) -> Result<Table, ConfigError> {
    text.parse::<Table>().map_err(|error| {
        let start = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text.as_bytes()[..start].iter().filter(|b| **b == b'\n').count() + 1;
        ConfigError::File { file: format!("{name}:{line}"), reason: format!("not TOML: {}", error.message()) }
    })
}

fn at<'t>(table: &'t Table, key: &str) -> Option<&'t Value> {
    match key.split_once('.') {
        Some((section, key)) => table.get(section)?.as_table()?.get(key),
        None => table.get(key),
    }
}

/// The keys of a file as `section.key`, one level deep; a value where a section belongs is a key by itself.
pub(crate) fn leaves(table: &Table) -> Vec<String> {
    let mut keys = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(section) => keys.extend(section.keys().map(|key| format!("{name}.{key}"))),
            _ => keys.push(name.clone()),
        }
    }
    keys
}
