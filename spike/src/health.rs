//! `spike health`: what a container's health check runs, so that its image needs no HTTP client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use loadtest::http::{Connection, Request};
use spike_config::Config;
use tokio::runtime::Builder;

const DEADLINE: Duration = Duration::from_secs(3);

/// Whom to ask.
#[derive(clap::Args)]
pub struct Args {
    /// Ask the worker's port instead of the gateway's.
    #[arg(long)]
    worker: bool,
    /// Ask only whether the process lives, and not for its dependencies: `/livez` in the place of `/healthz`.
    #[arg(long)]
    live: bool,
    /// The operations port; unless given, the one the settings name.
    #[arg(long, value_name = "ADDRESS:PORT")]
    at: Option<SocketAddr>,
}

/// Prints what the port says; exit code 0 for 200, else 1.
pub fn run(file: Option<&Path>, args: &Args) -> anyhow::Result<ExitCode> {
    let config = Config::from_process(file)?;
    let configured = if args.worker { config.worker.ops_listen } else { config.http.ops_listen };
    let at = args.at.unwrap_or_else(|| reachable(configured));
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut connection = Connection::new(at, None, DEADLINE);
        let path = if args.live { "/livez" } else { "/healthz" };
        let request = Request::new("GET", path, &at.to_string(), &[], None);
        let answer = connection.send(&request).await?;
        println!("{}", String::from_utf8_lossy(answer.body));
        Ok(if answer.status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// Where a process that listens on every address is found on its own machine.
pub fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_asked_on_loopback() {
        for (listen, asked) in
            [("0.0.0.0:9090", "127.0.0.1:9090"), ("[::]:1", "[::1]:1"), ("10.0.0.7:2", "10.0.0.7:2")]
        {
            assert_eq!(reachable(listen.parse().unwrap()), asked.parse().unwrap(), "{listen}");
        }
    }
}
