//! A private Redis with the shipped profile.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::port;
use crate::process::{Launch, Lifetime, Process, is_ours, program};
use crate::record::Record;

/// The profile every Spike deployment runs; see the file for the reasons.
const PROFILE: &str = include_str!("../../redis/spike.conf");
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// What a test may want otherwise than the shipped profile says.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// Keep an append-only file.
    pub appendonly: bool,
    /// `always`, `everysec` or `no`.
    pub appendfsync: String,
    /// Refuse writes when memory is out (`noeviction`); otherwise `allkeys-lru`.
    pub noeviction: bool,
    /// More directives as `redis.conf` spells them, such as `maxmemory 10mb`.
    pub extra: Vec<String>,
    /// Who ends the server.
    pub lifetime: Lifetime,
}

impl Default for RedisOptions {
    fn default() -> Self {
        RedisOptions {
            appendonly: true,
            appendfsync: "always".to_owned(),
            noeviction: true,
            extra: Vec::new(),
            lifetime: Lifetime::Bound,
        }
    }
}

/// A Redis of one's own on 127.0.0.1.
#[derive(Debug)]
pub struct RedisServer {
    process: Process,
    dir: PathBuf,
    port: u16,
}

impl RedisServer {
    /// The folder of the append-only file, in the server's own.
    pub const AOF: &'static str = "appendonlydir";

    /// Starts a server on `dir`, or takes over the one an earlier command left running there.
    /// A folder that had a server keeps its port and its data.
    ///
    /// # Errors
    /// When Redis is not installed, or does not answer within 60 s; the error shows the end of its log.
    pub fn start(dir: &Path, options: RedisOptions) -> anyhow::Result<RedisServer> {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        let dir = dir.canonicalize()?;
        let mut record = Record::load(&dir);
        let port = record.get_or("port", port::free)?;
        let config = dir.join("redis.conf");
        let lifetime = options.lifetime;
        let recorded = record.get("pid").filter(|pid| is_ours(*pid, &dir));
        if recorded.is_none() {
            fs::write(&config, configuration(&dir, port, options))?;
        }
        let launch = Launch {
            name: "redis",
            program: program(&["redis-server"])?,
            args: vec![config.into()],
            env: Vec::new(),
            dir: dir.clone(),
            lifetime,
        };
        let process = Process::find_or_start(launch, recorded)?;
        let server = RedisServer { process, dir, port };
        server.wait_ready()?;
        Ok(server)
    }

    /// `redis://127.0.0.1:PORT/0`
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
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

    /// Ends the server with SIGKILL, as a power cut of the process would.
    pub fn kill9(&self) {
        self.process.kill9();
    }

    /// Kills the server if it runs and starts it on the same port and data; returns when it answers.
    ///
    /// # Errors
    /// As [`RedisServer::start`].
    pub fn restart(&self) -> anyhow::Result<()> {
        self.process.respawn()?;
        self.wait_ready()
    }

    /// Restarts with every byte of data gone: a replaced machine.
    ///
    /// # Errors
    /// As [`RedisServer::start`].
    pub fn wipe(&self) -> anyhow::Result<()> {
        self.process.kill9();
        for data in [Self::AOF, "dump.rdb"] {
            let path = self.dir.join(data);
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            if let Err(error) = removed
                && error.kind() != std::io::ErrorKind::NotFound
            {
                return Err(error).with_context(|| format!("remove {}", path.display()));
            }
        }
        self.restart()
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

    /// Sends one command and returns its reply as text; for a check from outside the code under test.
    /// A nil is the empty string.
    ///
    /// # Errors
    /// When the server does not answer within 5 s, answers with an error, or with an array.
    pub fn command(&self, words: &[&str]) -> anyhow::Result<String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIME)?;
        stream.set_read_timeout(Some(ANSWER_TIME))?;
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        stream.write_all(request.as_bytes())?;
        read_reply(&mut BufReader::new(stream)).with_context(|| format!("redis {words:?}"))
    }

    fn wait_ready(&self) -> anyhow::Result<()> {
        let mut record = Record::load(&self.dir);
        record.set("port", &self.port);
        record.set("pid", &self.pid().unwrap_or_default());
        if !self.process.was_found() {
            record.save(&self.dir)?;
        }
        // Another server may hold the port: the answer must come from our own process.
        let own = format!("process_id:{}\r", self.pid().unwrap_or_default());
        self.process.wait_ready(|| {
            self.command(&["INFO", "server"]).is_ok_and(|info| info.contains(&own))
                && self.command(&["PING"]).is_ok_and(|pong| pong == "PONG")
        })
    }
}

/// The shipped profile, then what differs; Redis takes the last word on each directive.
fn configuration(dir: &Path, port: u16, options: RedisOptions) -> String {
    let yes_no = |on: bool| if on { "yes" } else { "no" };
    let policy = if options.noeviction { "noeviction" } else { "allkeys-lru" };
    let mut text = format!(
        "{PROFILE}\nbind 127.0.0.1\nport {port}\ndir \"{}\"\n# Keeps the command line, which names the folder.\n\
         set-proc-title no\nappendonly {}\nappendfsync {}\nmaxmemory-policy {policy}\n",
        dir.display(),
        yes_no(options.appendonly),
        options.appendfsync,
    );
    for line in options.extra {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn read_reply(reader: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let line = line.trim_end();
    let Some(kind) = line.get(..1) else { bail!("the connection was closed") };
    match kind {
        "+" | ":" => Ok(line[1..].to_owned()),
        "$" if line == "$-1" => Ok(String::new()),
        "$" => {
            let mut bytes = vec![0; line[1..].parse::<usize>()? + 2];
            reader.read_exact(&mut bytes)?;
            bytes.truncate(bytes.len() - 2);
            Ok(String::from_utf8(bytes)?)
        }
        _ => bail!("unexpected reply {line:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_by_kind() {
        for (wire, expected) in [
            ("+PONG\r\n", Some("PONG")),
            (":42\r\n", Some("42")),
            ("$4\r\na\r\nb\r\n", Some("a\r\nb")),
            ("$-1\r\n", Some("")),
            ("-ERR no\r\n", None),
            ("$9\r\nshort\r\n", None),
            ("", None),
        ] {
            assert_eq!(read_reply(&mut wire.as_bytes()).ok().as_deref(), expected, "{wire:?}");
        }
    }

    #[test]
    fn options_come_after_the_profile() {
        let options = RedisOptions {
            appendfsync: "everysec".into(),
            extra: vec!["hz 20".into()],
            ..Default::default()
        };
        let text = configuration(Path::new("/d"), 1, options);
        assert!(text.find("appendfsync always") < text.find("appendfsync everysec"));
        assert!(text.ends_with("hz 20\n"));
    }
}
