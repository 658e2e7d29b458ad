//! A private RabbitMQ node, with an Erlang port mapper of its own.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};

use crate::port;
use crate::process::{Launch, Lifetime, Process, is_ours, program, require_running};
use crate::ready::{START_DEADLINE, poll, tail};
use crate::record::Record;

/// The settings every Spike broker runs with; see the file for the reasons.
const SETTINGS: &str = include_str!("../../rabbitmq/spike.conf");
/// What nodes of one cluster have in common.
const COOKIE: &str = "home/.erlang.cookie";
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// Erlang for `rabbitmqctl eval`: asks each quorum queue that has no leader to elect one; true when all have one.
const ELECT: &str = "lists:foldl(fun(Q, All) -> {Name, _} = amqqueue:get_pid(Q), \
     case ets:lookup(ra_state, Name) of [State] when element(2, State) =:= leader -> All; \
     _ -> ra:trigger_election({Name, node()}), false end end, \
     true, rabbit_amqqueue:list_by_type(rabbit_quorum_queue)).";

/// A RabbitMQ of one's own on 127.0.0.1 (account `guest`, password `guest`).
#[derive(Debug)]
pub struct RabbitServer {
    // Before the mapper, because fields are dropped in this order and the node lives on its mapper.
    process: Process,
    /// None in a node of a cluster that lives on another one's.
    mapper: Option<Process>,
    dir: PathBuf,
    port: u16,
    env: Vec<(&'static str, OsString)>,
    /// A rabbitmqctl is an Erlang node itself; one at a time spares the machine and the ports they share.
    ctl: Mutex<()>,
}

impl RabbitServer {
    /// Starts a node on `dir` that ends with this process.
    ///
    /// # Errors
    /// As [`RabbitServer::start_with`].
    pub fn start(dir: &Path) -> anyhow::Result<RabbitServer> {
        RabbitServer::start_with(dir, Lifetime::Bound)
    }

    /// Starts a node on `dir`, or takes over the one an earlier command left running there.
    /// A folder that had a node keeps its ports, its name and its data.
    ///
    /// # Errors
    /// When RabbitMQ is not installed, or does not answer within 60 s; the error shows the end of its log.
    pub fn start_with(dir: &Path, lifetime: Lifetime) -> anyhow::Result<RabbitServer> {
        RabbitServer::start_beside(None, dir, lifetime)
    }

    /// The same with the port mapper and the cookie of `other`, so that the two can be nodes of one cluster. `other` must
    /// outlive it.
    pub(crate) fn start_beside(
        other: Option<&RabbitServer>,
        dir: &Path,
        lifetime: Lifetime,
    ) -> anyhow::Result<RabbitServer> {
        let server = program(&["rabbitmq-server"])?;
        fs::create_dir_all(dir.join("home")).with_context(|| format!("create {}", dir.display()))?;
        let dir = dir.canonicalize()?;
        let mut record = Record::load(&dir);
        if let Some(other) = other {
            record.set("epmd_port", &Record::load(&other.dir).get::<u16>("epmd_port").unwrap_or_default());
            write_cookie(&dir, &fs::read_to_string(other.dir.join(COOKIE))?)?;
        }
        let port = record.get_or("port", port::free)?;
        let mapper_port: u16 = record.get_or("epmd_port", port::free)?;
        let env = environment(&dir, &mut record)?;
        let recorded = record.get("pid").filter(|pid| is_ours(*pid, &dir));
        let has_data = dir.join("mnesia").is_dir();
        if recorded.is_none() {
            write_files(&dir, port)?;
        }
        let base = |name, program, args| {
            let env = env.clone();
            Launch { name, program, args, env, dir: dir.clone(), lifetime }
        };
        let mapper = match other {
            Some(_) => None,
            None => {
                let number = OsString::from(mapper_port.to_string());
                let arguments = vec!["-address".into(), "127.0.0.1".into(), "-port".into(), number];
                let mapper = base("epmd", program(&["epmd"])?, arguments);
                let mapper = Process::find_or_start(mapper, record.get("epmd_pid"))?;
                mapper.wait_ready(|| TcpStream::connect((Ipv4Addr::LOCALHOST, mapper_port)).is_ok())?;
                Some(mapper)
            }
        };
        let process = Process::find_or_start(base("rabbitmq", server, Vec::new()), recorded)?;
        if recorded.is_none() {
            record.save(&dir)?;
        }
        let server = RabbitServer { process, mapper, dir, port, env, ctl: Mutex::new(()) };
        server.wait_ready()?;
        if has_data && recorded.is_none() {
            server.wait_leaders()?;
        }
        Ok(server)
    }

    /// The node that `devstack up` left running in `dir`; a test may use it and not stop it.
    ///
    /// # Errors
    /// When none runs there.
    pub fn find(dir: &Path) -> anyhow::Result<RabbitServer> {
        require_running(dir)?;
        RabbitServer::start(dir)
    }

    /// `amqp://guest:guest@127.0.0.1:PORT/VHOST`, the virtual host percent-encoded (`/` is `%2f`).
    pub fn url(&self, vhost: &str) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/{}", self.port, encoded(vhost))
    }

    /// The AMQP port; the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `name@localhost`, as other nodes of its cluster call it; the same over restarts.
    pub fn node(&self) -> String {
        let named = self.env.iter().find(|(key, _)| *key == "RABBITMQ_NODENAME");
        named.map(|(_, name)| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The pid of the node while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// The folder with its data, configuration and log.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Creates a virtual host, unless it exists, that `guest` may use, and returns its URL.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn create_vhost(&self, name: &str) -> anyhow::Result<String> {
        // add_vhost alone is idempotent from 3.11 on only.
        let known = self.ctl(&["--quiet", "list_vhosts", "name"])?;
        if !known.lines().any(|line| line.trim() == name) {
            self.ctl(&["--quiet", "add_vhost", name])?;
        }
        self.ctl(&["--quiet", "set_permissions", "--vhost", name, "guest", ".*", ".*", ".*"])?;
        Ok(self.url(name))
    }

    /// Runs `rabbitmqctl` against this node and returns what it prints.
    ///
    /// # Errors
    /// With what it says when it fails.
    pub fn ctl(&self, args: &[&str]) -> anyhow::Result<String> {
        let _one = self.ctl.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut command = Command::new(program(&["rabbitmqctl"])?);
        command.args(args).envs(self.env.iter().map(|(key, value)| (key, value))).stdin(Stdio::null());
        let output = command.output().context("start rabbitmqctl")?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            bail!("rabbitmqctl {args:?} failed: {}", String::from_utf8_lossy(&said).trim_end());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Ends the node with SIGKILL, as a power cut of the process would.
    pub fn kill9(&self) {
        self.process.kill9();
    }

    /// Kills the node if it runs and starts it on the same ports and data; returns when it takes connections and
    /// every quorum queue has its leader.
    ///
    /// # Errors
    /// As [`RabbitServer::start_with`].
    pub fn restart(&self) -> anyhow::Result<()> {
        self.respawn()?;
        self.wait_leaders()
    }

    /// The same without a look at the queues: those of a cluster have their leaders elsewhere.
    pub(crate) fn respawn(&self) -> anyhow::Result<()> {
        self.process.respawn()?;
        self.wait_ready()
    }

    /// Restarts with every byte of data gone, virtual hosts and queues included: a replaced machine.
    ///
    /// # Errors
    /// As [`RabbitServer::start_with`].
    pub fn wipe(&self) -> anyhow::Result<()> {
        self.process.kill9();
        let data = self.dir.join("mnesia");
        fs::remove_dir_all(&data).with_context(|| format!("remove {}", data.display()))?;
        self.process.respawn()?;
        self.wait_ready()
    }

    /// Freezes the node: connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it is not running.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.process.pause()
    }

    /// Lets a frozen node go on.
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
        if let Some(mapper) = &self.mapper {
            record.set("epmd_pid", &mapper.pid().unwrap_or_default());
        }
        if !self.process.was_found() {
            record.save(&self.dir)?;
        }
        // The listener opens when everything else of the node is up.
        self.process.wait_ready(|| speaks_amqp(self.port).is_ok())
    }

    /// After a restart, RabbitMQ 3.10 on one node can leave a quorum queue as a follower for good
    /// (rabbitmq-server issue 10070); a nudge is the known way out, and not the fault a test means to plant.
    fn wait_leaders(&self) -> anyhow::Result<()> {
        poll(START_DEADLINE, || {
            self.ctl(&["--quiet", "eval", ELECT]).ok().filter(|answer| answer.trim() == "true")
        })
        .map(drop)
        .with_context(|| format!("a quorum queue has no leader; {}", tail(&self.dir.join("rabbitmq.log"))))
    }
}

/// Everything RabbitMQ would otherwise share with the machine's own node, of server and rabbitmqctl alike.
fn environment(dir: &Path, record: &mut Record) -> anyhow::Result<Vec<(&'static str, OsString)>> {
    let node: String = record.get_or("node", || Ok(node_name()))?;
    let mapper_port: u16 = record.get_or("epmd_port", port::free)?;
    // The default, port + 20000, may be above 65535.
    let dist_port: u16 = record.get_or("dist_port", port::free)?;
    let ctl_port: u16 = record.get_or("ctl_port", port::free)?;
    let loopback = "+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}";
    let number = |port: u16| OsString::from(port.to_string());
    let path = |name: &str| dir.join(name).into_os_string();
    Ok(vec![
        ("HOME", path("home")),
        ("ERL_EPMD_PORT", number(mapper_port)),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
        ("RABBITMQ_NODENAME", format!("{node}@localhost").into()),
        ("RABBITMQ_DIST_PORT", number(dist_port)),
        ("RABBITMQ_CTL_DIST_PORT_MIN", number(ctl_port)),
        ("RABBITMQ_CTL_DIST_PORT_MAX", number(ctl_port.saturating_add(20))),
        ("RABBITMQ_CONF_ENV_FILE", path("no-conf-env")),
        ("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf")),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", path("advanced.config")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", path("enabled_plugins")),
        ("RABBITMQ_MNESIA_BASE", path("mnesia")),
        ("RABBITMQ_LOG_BASE", path("log")),
        ("RABBITMQ_LOGS", "-".into()),
        ("RABBITMQ_PID_FILE", path("rabbitmq.pid")),
        ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", loopback.into()),
        // With it the start script becomes the node instead of watching one, so that its pid is the node's.
        ("detached", "true".into()),
    ])
}

fn write_files(dir: &Path, port: u16) -> anyhow::Result<()> {
    fs::create_dir_all(dir.join("home"))?;
    fs::create_dir_all(dir.join("log"))?;
    write_cookie(dir, &node_name().to_uppercase())?;
    fs::write(dir.join("enabled_plugins"), "[].\n")?;
    fs::write(
        dir.join("rabbitmq.conf"),
        format!("{SETTINGS}\n# Private to this folder.\nlisteners.tcp.1 = 127.0.0.1:{port}\n"),
    )?;
    Ok(())
}

/// Keeps the one that is there.
fn write_cookie(dir: &Path, secret: &str) -> anyhow::Result<()> {
    let cookie = dir.join(COOKIE);
    if !cookie.exists() {
        // Written before anything runs: node and rabbitmqctl would otherwise race to make one up.
        fs::write(&cookie, secret)?;
        fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400))?;
    }
    Ok(())
}

/// A name no other node on this machine has.
fn node_name() -> String {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("spike{}x{:x}", std::process::id(), nanos & 0xFFFF_FFFF_FFFF)
}

/// Opens a connection far enough to be offered AMQP 0-9-1 (`connection.start` is a method frame, type 1).
fn speaks_amqp(port: u16) -> anyhow::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIME)?;
    stream.set_read_timeout(Some(ANSWER_TIME))?;
    stream.write_all(b"AMQP\x00\x00\x09\x01")?;
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    ensure!(kind == [1], "not a RabbitMQ");
    Ok(())
}

fn encoded(vhost: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    vhost
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vhost_is_percent_encoded() {
        for (name, expected) in [("/", "%2f"), ("spike", "spike"), ("a b/ü", "a%20b%2f%c3%bc")] {
            assert_eq!(encoded(name), expected);
        }
    }
}
