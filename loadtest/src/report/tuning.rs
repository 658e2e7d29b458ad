//! The tuning record: the project's own dated measurements and decisions that are about speed.

use std::fs;
use std::io;
use std::path::Path;

/// One file of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tuning {
    /// Its path from the folder of the documents.
    pub file: String,
    /// The same as a link from the report.
    pub link: String,
    /// Its first heading.
    pub title: String,
}

/// Where such files are, below the folder of the documents.
const FOLDERS: [&str; 2] = ["adr", "benchmarks"];
/// What a text about speed does not get by without.
const UNITS: [&str; 6] = ["µs", "ms |", "requests/s", "orders/s", "P95", "a second"];

impl Tuning {
    /// Every file in `adr` and `benchmarks` below `documents` that gives figures of speed, in the order of their names.
    /// `link` is the way from the report to `documents`. A folder that is not there has no files.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn find(documents: &Path, link: &str) -> io::Result<Vec<Self>> {
        let mut found = Vec::new();
        for folder in FOLDERS {
            let entries = match fs::read_dir(documents.join(folder)) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let mut names: Vec<String> = Vec::new();
            for entry in entries {
                names.extend(entry?.file_name().into_string().ok().filter(|name| is_numbered(name)));
            }
            names.sort_unstable();
            for name in names {
                let text = fs::read_to_string(documents.join(folder).join(&name))?;
                if about_speed(&text) {
                    let file = format!("{folder}/{name}");
                    let title = title(&text).unwrap_or(&name).to_owned();
                    found.push(Self { link: format!("{link}/{file}"), file, title });
                }
            }
        }
        Ok(found)
    }
}

/// Dated measurements and numbered decisions, and not what introduces them.
fn is_numbered(name: &str) -> bool {
    name.ends_with(".md") && name.starts_with(|first: char| first.is_ascii_digit())
}

/// Whether a text gives figures of speed.
fn about_speed(text: &str) -> bool {
    let measured = text.contains("easured") || text.contains("Machine") || text.contains("CPUs (");
    measured && UNITS.iter().any(|unit| text.contains(unit))
}

fn title(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("# ")).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gives_figures_of_speed_is_listed_in_order() {
        let folder = std::env::temp_dir().join(format!("tuning-{}", std::process::id()));
        for (file, text) in [
            ("adr/0002-faster.md", "# 0002: faster\n\n**Measured** 4.2 µs"),
            ("adr/0001-safer.md", "# 0001: safer\n\nA fence."),
            ("adr/README.md", "# Measured\n\n1 µs"),
            ("benchmarks/2026-01-02-sale.md", "# A sale\n\nMachine: 2 CPUs\n\n| requests/s |"),
            ("benchmarks/2026-01-02-raw.json", "{}"),
        ] {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let found = Tuning::find(&folder, "..").unwrap();
        let entry = |file: &str, title: &str| Tuning {
            file: file.into(),
            link: format!("../{file}"),
            title: title.into(),
        };
        let want =
            [entry("adr/0002-faster.md", "0002: faster"), entry("benchmarks/2026-01-02-sale.md", "A sale")];
        assert_eq!(found, want);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(Tuning::find(&folder, "..").unwrap(), []);
    }
}
