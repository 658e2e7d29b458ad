//! What a server's folder remembers about it: KEY=VALUE lines, so that a later command finds the same server again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use anyhow::Context;

const FILE: &str = "server.state";

/// Ports, pids and names of one server, as written in its folder.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Record(BTreeMap<String, String>);

impl Record {
    /// Reads a folder's record; empty when there is none.
    pub(crate) fn load(dir: &Path) -> Record {
        Record::parse(&fs::read_to_string(dir.join(FILE)).unwrap_or_default())
    }

    pub(crate) fn save(&self, dir: &Path) -> anyhow::Result<()> {
        let text: String = self.0.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        // A rename is whole or not at all, so that a reader never sees half a record.
        let (whole, next) = (dir.join(FILE), dir.join(format!("{FILE}.next")));
        fs::write(&next, text)
            .and_then(|()| fs::rename(&next, &whole))
            .with_context(|| format!("write {}", whole.display()))
    }

    pub(crate) fn get<T: FromStr>(&self, key: &str) -> Option<T> {
        self.0.get(key)?.parse().ok()
    }

    pub(crate) fn set(&mut self, key: &str, value: &impl ToString) {
        self.0.insert(key.to_owned(), value.to_string());
    }

    /// The value under `key`, or a new one that is then remembered.
    pub(crate) fn get_or<T: FromStr + ToString>(
        &mut self,
        key: &str,
        make: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        if let Some(value) = self.get(key) {
            return Ok(value);
        }
        let value = make()?;
        self.set(key, &value);
        Ok(value)
    }

    fn parse(text: &str) -> Record {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Record(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_damage_is_no_record() {
        let dir = std::env::temp_dir().join(format!("spike-record-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("temp dir is writable");
        let mut record = Record::default();
        record.set("port", &17_000);
        assert_eq!(record.get_or("node", || Ok("a=b".to_owned())).expect("made"), "a=b");
        record.save(&dir).expect("saved");
        assert_eq!(Record::load(&dir), record);
        assert_eq!(Record::load(&dir).get::<u16>("port"), Some(17_000));
        assert_eq!(Record::parse("port=no\nrubbish").get::<u16>("port"), None);
        fs::remove_dir_all(&dir).expect("it was made");
    }
}
