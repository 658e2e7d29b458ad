//! A private MariaDB with the shipped settings.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, bail, ensure};

use crate::port;
use crate::process::{Launch, Lifetime, Process, is_ours, is_root, program, require_running};
use crate::record::Record;

/// The settings every Spike database runs with; see the file for the reasons.
const SETTINGS: &str = include_str!("../../mariadb/spike.cnf");
/// Relative to the data folder, because a socket's path may not be longer than 107 bytes and a test's folder may.
const SOCKET: &str = "mariadb.sock";

/// What a private server may have otherwise.
#[derive(Debug, Clone)]
pub struct MariaDbOptions {
    /// InnoDB's buffer pool in MiB.
    pub buffer_pool_mb: u32,
    /// More lines for the `[mysqld]` section.
    pub extra: Vec<String>,
    /// Who ends the server.
    pub lifetime: Lifetime,
}

impl Default for MariaDbOptions {
    fn default() -> Self {
        MariaDbOptions { buffer_pool_mb: 64, extra: Vec::new(), lifetime: Lifetime::Bound }
    }
}

/// A MariaDB of one's own on 127.0.0.1, with an account `spike` (password `spike`) that may do everything.
#[derive(Debug)]
pub struct MariaDbServer {
    process: Process,
    dir: PathBuf,
    port: u16,
    client: PathBuf,
}

impl MariaDbServer {
    /// Starts a server on `dir` with small default buffers.
    ///
    /// # Errors
    /// As [`MariaDbServer::start_with`].
    pub fn start(dir: &Path) -> anyhow::Result<MariaDbServer> {
        MariaDbServer::start_with(dir, &MariaDbOptions::default())
    }

    /// Starts a server on `dir`, or takes over the one an earlier command left running there.
    /// A folder that had a server keeps its port and its data; a new one is initialised first.
    ///
    /// # Errors
    /// When MariaDB is not installed, or does not answer within 60 s; the error shows the end of its log.
    pub fn start_with(dir: &Path, options: &MariaDbOptions) -> anyhow::Result<MariaDbServer> {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        let dir = dir.canonicalize()?;
        let mut record = Record::load(&dir);
        let port = record.get_or("port", port::free)?;
        let (server, client) = (program(&["mariadbd", "mysqld"])?, program(&["mariadb", "mysql"])?);
        let config = dir.join("my.cnf");
        let recorded = record.get("pid").filter(|pid| is_ours(*pid, &dir));
        if recorded.is_none() {
            // Not the system's: a server that starts deletes the temporary tables of all others that share its folder for them.
            fs::create_dir_all(dir.join("tmp"))?;
            fs::write(&config, configuration(&dir, port, options))?;
            initialise(&dir, &config)?;
        }
        let launch = Launch {
            name: "mariadb",
            program: server,
            args: vec![format!("--defaults-file={}", config.display()).into()],
            env: Vec::new(),
            dir: dir.clone(),
            lifetime: options.lifetime,
        };
        let process = Process::find_or_start(launch, recorded)?;
        let server = MariaDbServer { process, dir, port, client };
        server.wait_ready()?;
        if recorded.is_none() {
            server.query(
                "CREATE USER IF NOT EXISTS 'spike'@'%' IDENTIFIED BY 'spike'; \
                 GRANT ALL PRIVILEGES ON *.* TO 'spike'@'%' WITH GRANT OPTION;",
            )?;
        }
        Ok(server)
    }

    /// The server that `devstack up` left running in `dir`; a test may use it and not stop it.
    ///
    /// # Errors
    /// When none runs there.
    pub(crate) fn find(dir: &Path) -> anyhow::Result<MariaDbServer> {
        require_running(dir)?;
        MariaDbServer::start(dir)
    }

    /// `mysql://spike:spike@127.0.0.1:PORT/database`
    pub fn url(&self, database: &str) -> String {
        format!("mysql://spike:spike@127.0.0.1:{}/{database}", self.port)
    }

    /// The port; the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The pid while the server runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// The folder with its data, configuration and log.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Creates a database, unless it exists, and returns its URL.
    ///
    /// # Errors
    /// When `name` is not made of letters, digits and `_`, or the server does not answer.
    pub fn create_database(&self, name: &str) -> anyhow::Result<String> {
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        ensure!(plain && !name.is_empty(), "a database is named with letters, digits and _, not {name:?}");
        self.query(&format!("CREATE DATABASE IF NOT EXISTS `{name}`"))?;
        Ok(self.url(name))
    }

    /// Runs SQL as root through the socket; columns of the answer are divided by tabs, rows by line ends.
    ///
    /// # Errors
    /// With the server's message when it refuses, or when it does not answer.
    pub fn query(&self, sql: &str) -> anyhow::Result<String> {
        let mut command = Command::new(&self.client);
        command.current_dir(self.dir.join("data")).args([
            "--no-defaults",
            "--user=root",
            "--protocol=socket",
        ]);
        command.args([
            &format!("--socket={SOCKET}"),
            "--connect-timeout=5",
            "--batch",
            "--skip-column-names",
        ]);
        let output = command.args(["--execute", sql]).stdin(Stdio::null()).output()?;
        Ok(checked(output, "the MariaDB client")?.trim_end().to_owned())
    }

    /// Ends the server with SIGKILL, as a power cut of the process would.
    pub fn kill9(&self) {
        self.process.kill9();
    }

    /// Kills the server if it runs and starts it on the same port and data; returns when it answers.
    ///
    /// # Errors
    /// As [`MariaDbServer::start_with`].
    pub fn restart(&self) -> anyhow::Result<()> {
        self.process.respawn()?;
        self.wait_ready()
    }

    /// Freezes the server: connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it is not running.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.process.pause()
    }

    /// Lets a frozen server go on.
    ///
    /// # Errors
    /// When it is not running.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.process.resume()
    }

    fn wait_ready(&self) -> anyhow::Result<()> {
        let mut record = Record::load(&self.dir);
        record.set("port", &self.port);
        record.set("pid", &self.pid().unwrap_or_default());
        if !self.process.was_found() {
            record.save(&self.dir)?;
        }
        // The socket lies in our own folder, and the server opens its port before it answers there.
        self.process.wait_ready(|| self.query("SELECT 1").is_ok_and(|answer| answer == "1"))
    }
}

fn configuration(dir: &Path, port: u16, options: &MariaDbOptions) -> String {
    // MariaDB refuses to run as root unless it is told that this is meant.
    let user = if is_root() { "user = root\n" } else { "" };
    let mut text = format!(
        "{SETTINGS}\n# Private to this folder.\n{user}bind-address = 127.0.0.1\nport = {port}\n\
         datadir = {}\ntmpdir = {}\nsocket = {SOCKET}\npid-file = mariadb.pid\nskip-log-bin\n\
         innodb_buffer_pool_size = {}M\ninnodb_log_file_size = 64M\nperformance_schema = OFF\n",
        dir.join("data").display(),
        dir.join("tmp").display(),
        options.buffer_pool_mb,
    );
    for line in &options.extra {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// Creates the system tables in a folder beside the data and moves it into place, so that an interrupted run leaves no
/// half of it behind.
fn initialise(dir: &Path, config: &Path) -> anyhow::Result<()> {
    let (data, fresh) = (dir.join("data"), dir.join("data.fresh"));
    if data.is_dir() {
        return Ok(());
    }
    if fresh.is_dir() {
        fs::remove_dir_all(&fresh)?;
    }
    fs::create_dir_all(&fresh)?;
    let mut command = Command::new(program(&["mariadb-install-db", "mysql_install_db"])?);
    command
        .arg(format!("--defaults-file={}", config.display()))
        .arg(format!("--datadir={}", fresh.display()));
    command.args(["--auth-root-authentication-method=normal", "--skip-test-db"]).current_dir(dir);
    checked(command.stdin(Stdio::null()).output()?, "mariadb-install-db")?;
    fs::rename(&fresh, &data).context("move the new data folder into place")
}

fn checked(output: Output, what: &str) -> anyhow::Result<String> {
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!("{what} failed ({}): {}", output.status, String::from_utf8_lossy(&said).trim_end());
    }
    Ok(String::from_utf8(output.stdout)?)
}
