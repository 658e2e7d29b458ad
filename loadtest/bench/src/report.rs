//! `spike-load report`: `REPORT.md` and `report.html` from records.

use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use loadtest::record::Record;
use loadtest::report::{self, Tuning};

/// Records that a folder of reports may hold, in the order of its report.
pub const SALE: &str = "sale.json";
pub const OVERLOAD: &str = "overload.json";

/// What to report.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Records, in the order of the report; may be given again and again.
    #[arg(long, value_name = "FILE", required = true, value_delimiter = ',')]
    record: Vec<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// Where a report goes.
#[derive(Debug, Clone, clap::Args)]
pub struct Place {
    /// The folder of the report; made when missing.
    #[arg(long, value_name = "DIR", default_value = "docs/loadtest")]
    pub out_dir: PathBuf,
    /// The folder of the documents, whose adr and benchmarks are the tuning record.
    #[arg(long, value_name = "DIR", default_value = "docs")]
    docs: PathBuf,
}

/// Reads the records and writes the report.
///
/// # Errors
/// A record that cannot be read, or a folder that cannot be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut records = Vec::new();
    for file in &args.record {
        records.push(Record::read(file)?);
    }
    args.place.write(&records)?;
    Ok(ExitCode::SUCCESS)
}

impl Place {
    /// Writes a record under its name, and the report of every record that is in the folder then.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn keep(&self, record: &Record, name: &str) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.out_dir)
            .with_context(|| format!("create {}", self.out_dir.display()))?;
        record.write(&self.out_dir.join(name))?;
        let files = [SALE, OVERLOAD].map(|name| self.out_dir.join(name));
        let there = files.iter().filter(|file| file.exists());
        let records = there.map(|file| Record::read(file)).collect::<Result<Vec<_>, _>>()?;
        self.write(&records)
    }

    /// Writes the report of some records.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, records: &[Record]) -> anyhow::Result<()> {
        let tuning = Tuning::find(&self.docs, &self.link()?)
            .with_context(|| format!("read the documents in {}", self.docs.display()))?;
        std::fs::create_dir_all(&self.out_dir)
            .with_context(|| format!("create {}", self.out_dir.display()))?;
        for (name, text) in [
            ("REPORT.md", report::markdown(records, &tuning)),
            ("report.html", report::html(records, &tuning)),
        ] {
            let file = self.out_dir.join(name);
            std::fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
            println!("{}", file.display());
        }
        Ok(())
    }

    /// The way from the report to the documents.
    fn link(&self) -> anyhow::Result<String> {
        Ok(way(&std::path::absolute(&self.out_dir)?, &std::path::absolute(&self.docs)?))
    }
}

/// The relative path from one absolute folder to another.
fn way(from: &Path, to: &Path) -> String {
    let parts = |path: &Path| -> Vec<String> {
        let named = path.components().filter(|part| matches!(part, Component::Normal(_)));
        named.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect()
    };
    let (from, to) = (parts(from), parts(to));
    let shared = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - shared);
    let way: Vec<String> = up.chain(to[shared..].iter().cloned()).collect();
    if way.is_empty() { ".".to_owned() } else { way.join("/") }
}

/// The commit that is checked out here, with a mark when something is changed; `unknown` where there is none.
pub fn commit() -> String {
    let git = |args: &[&str]| {
        let output = std::process::Command::new("git").args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(hash) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".to_owned() };
    let changed =
        git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty());
    if changed { format!("{hash}, with changes") } else { hash }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_from_a_report_to_the_documents() {
        for (from, to, want) in [
            ("/p/docs/loadtest", "/p/docs", ".."),
            ("/p/docs", "/p/docs", "."),
            ("/q/out", "/p/docs", "../../p/docs"),
            ("/p", "/p/docs", "docs"),
        ] {
            assert_eq!(way(Path::new(from), Path::new(to)), want, "{from} {to}");
        }
    }
}
