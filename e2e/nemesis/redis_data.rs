//! Redis' files: copied, put back, and read for what was in them.

use std::fs;
use std::path::{Path, PathBuf};

use spike_devstack::{RedisOptions, RedisServer, fixture};
use spike_domain::OrderId;
use spike_stock::Stock;
use spike_stock::stock::Timeouts;

use super::arena::Arena;

/// The append-only file as it was at a moment.
pub struct Copy {
    folder: PathBuf,
}

impl Copy {
    /// Of a server that runs or has been killed. Of one that runs it is what a backup of its files would be: the files end
    /// somewhere, and Redis takes them up to there.
    pub fn take(redis: &RedisServer) -> Self {
        let folder = fixture::folder("redis-copy");
        let to = folder.join(RedisServer::AOF);
        fs::create_dir_all(&to).expect("a folder");
        for file in files(&redis.dir().join(RedisServer::AOF)) {
            fs::copy(&file, to.join(file.file_name().expect("a file"))).expect("a copy");
        }
        Self { folder }
    }

    /// Puts it in the place of a dead server's data.
    pub fn restore(self, redis: &RedisServer) {
        let data = redis.dir().join(RedisServer::AOF);
        fs::remove_dir_all(&data).expect("a dead server's files");
        fs::create_dir_all(&data).expect("a folder");
        move_all(&self.folder.join(RedisServer::AOF), &data);
    }
}

/// The orders of every outbox of a copy: those that had no row when it was taken are among them. Read by a Redis of its own.
pub fn in_outbox(arena: &Arena, copy: &Copy) -> Vec<OrderId> {
    let server = RedisServer::start(&copy.folder, RedisOptions::default()).expect("a Redis on the copy");
    arena.system.runtime.block_on(async {
        let ledger = Stock::redis(&server.url(), Timeouts::default()).expect("a URL");
        let mut orders = Vec::new();
        for &event in &arena.events {
            let mut after = None;
            loop {
                let page = ledger.entries(event, after, 500).await.expect("the copy answers");
                after = page.entries.last().map(|entry| entry.id);
                orders.extend(page.entries.iter().flat_map(|entry| &entry.orders).map(|order| order.order));
                if page.next.is_none() {
                    break;
                }
            }
        }
        orders
    })
}

/// Moves every file of `from` to `to`, also from one disk to another.
pub fn move_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for file in files(from) {
        fs::copy(&file, to.join(file.file_name().expect("a file"))).expect("room on the disk");
        fs::remove_file(&file).expect("our own file");
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("a readable folder").path()).filter(|path| path.is_file()).collect()
}
