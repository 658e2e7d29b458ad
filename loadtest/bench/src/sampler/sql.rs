//! What MariaDB says of itself, through its command line client: its counters, who is connected, and which rows were read by
//! whom and through which index (`userstat`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, bail};
use loadtest::record::figure;
use tokio::process::Command;

use crate::ring::ROLES;

const COUNTERS: [&str; 6] = [
    "Innodb_row_lock_waits",
    "Innodb_row_lock_time",
    "Innodb_deadlocks",
    "Innodb_buffer_pool_read_requests",
    "Innodb_buffer_pool_reads",
    "Com_commit",
];
const GAUGES: [&str; 4] =
    ["Threads_connected", "Threads_running", "Max_used_connections", "Innodb_row_lock_time_max"];

/// The client.
#[derive(Debug)]
pub struct Sql {
    program: PathBuf,
    port: u16,
}

/// One look.
#[derive(Debug, Default, PartialEq)]
pub struct Look {
    /// What only grows.
    pub counters: BTreeMap<String, f64>,
    /// What does not.
    pub gauges: BTreeMap<String, f64>,
    /// The connections of each role.
    pub pools: BTreeMap<String, Pool>,
}

/// Connections of one process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pool {
    /// Open.
    pub open: f64,
    /// Of them, those that run a statement or hold a transaction's statement.
    pub busy: f64,
}

impl Sql {
    /// The client of the server on `port`.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn new(port: u16) -> anyhow::Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let named =
            |name: &str| std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
        let program = named("mariadb").or_else(|| named("mysql")).context("no client mariadb in PATH")?;
        Ok(Self { program, port })
    }

    /// Counts rows by user, table and index from now on.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn count_rows(&self) -> anyhow::Result<()> {
        let flush = ["USER", "TABLE", "INDEX"].map(|what| format!("FLUSH {what}_STATISTICS;")).concat();
        self.ask(&format!("SET GLOBAL userstat = 1; {flush}")).await.map(drop)
    }

    /// Counters, gauges and connections.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn look(&self) -> anyhow::Result<Look> {
        let list =
            |names: &[&str]| names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(",");
        let names = list(&[&COUNTERS[..], &GAUGES[..]].concat());
        let text = format!(
            "SHOW GLOBAL STATUS WHERE Variable_name IN ({names}); \
             SELECT user, COUNT(*), SUM(command <> 'Sleep') FROM information_schema.processlist WHERE user IN ({}) GROUP BY user",
            list(&ROLES)
        );
        Ok(read(&self.ask(&text).await?))
    }

    /// Rows since [`Sql::count_rows`]: read, returned and written by each role, read of each table and through each index.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn rows(&self) -> anyhow::Result<BTreeMap<String, f64>> {
        let said = self
            .ask(
                "SELECT 'user', CONCAT(user, '.rows_read'), rows_read FROM information_schema.user_statistics \
                 UNION ALL SELECT 'user', CONCAT(user, '.rows_sent'), rows_sent FROM information_schema.user_statistics \
                 UNION ALL SELECT 'user', CONCAT(user, '.rows_changed'), rows_inserted + rows_updated + rows_deleted \
                 FROM information_schema.user_statistics \
                 UNION ALL SELECT 'table', CONCAT(table_name, '.rows_read'), rows_read \
                 FROM information_schema.table_statistics WHERE table_schema = 'spike' \
                 UNION ALL SELECT 'index', CONCAT(table_name, '.', index_name, '.rows_read'), rows_read \
                 FROM information_schema.index_statistics WHERE table_schema = 'spike'",
            )
            .await?;
        Ok(statistics(&said))
    }

    async fn ask(&self, text: &str) -> anyhow::Result<String> {
        let port = self.port.to_string();
        let output = Command::new(&self.program)
            .args([
                "--no-defaults",
                "--host=127.0.0.1",
                "--port",
                &port,
                "--user=spike",
                "--connect-timeout=5",
            ])
            .args(["--batch", "--skip-column-names", "--execute", text])
            .env("MYSQL_PWD", "spike")
            .output()
            .await
            .context("run the MariaDB client")?;
        if !output.status.success() {
            bail!("the MariaDB client failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// Lines of two columns are counters and gauges, lines of three a role and its connections.
fn read(said: &str) -> Look {
    let mut look = Look::default();
    for line in said.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let number = |at: usize| columns.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        let table = match columns[..] {
            [name, _] if COUNTERS.contains(&name) => &mut look.counters,
            [name, _] if GAUGES.contains(&name) => &mut look.gauges,
            [role, _, _] => {
                look.pools.insert(role.to_owned(), Pool { open: number(1), busy: number(2) });
                continue;
            }
            _ => continue,
        };
        table.insert(columns[0].to_owned(), number(1));
    }
    look
}

/// Figures by their names; of the users only Spike's own.
fn statistics(said: &str) -> BTreeMap<String, f64> {
    let figure = |line: &str| {
        let mut columns = line.split('\t');
        let (source, name, value) = (columns.next()?, columns.next()?, columns.next()?);
        let ours = source != "user" || ROLES.iter().any(|role| name.starts_with(&format!("{role}.")));
        ours.then_some((figure::growth(source, name), value.parse().ok()?))
    };
    said.lines().filter_map(figure).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_connections_are_read_from_one_answer() {
        let said = "Com_commit\t120\nInnodb_deadlocks\t0\nThreads_running\t3\nOther\t9\ngateway\t5\t2\nworker\t1\t0\n";
        let look = read(said);
        assert_eq!(
            look.counters,
            [("Com_commit".to_owned(), 120.0), ("Innodb_deadlocks".to_owned(), 0.0)].into()
        );
        assert_eq!(look.gauges, [("Threads_running".to_owned(), 3.0)].into());
        assert_eq!(look.pools["gateway"], Pool { open: 5.0, busy: 2.0 });
        assert_eq!(look.pools.len(), 2);
        assert_eq!(read(""), Look::default());
    }

    #[test]
    fn rows_are_told_by_user_table_and_index() {
        let said = "user\tgateway.rows_read\t7\nuser\troot.rows_read\t900\ntable\tusers.rows_read\t5\n\
                    index\tusers.users_email.rows_read\t4\nbroken\n";
        let want = [
            ("index:users.users_email.rows_read", 4.0),
            ("table:users.rows_read", 5.0),
            ("user:gateway.rows_read", 7.0),
        ];
        assert_eq!(statistics(said), want.map(|(name, value)| (name.to_owned(), value)).into());
    }
}
