//! PostgreSQL's disk is full, and has room again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use eshopz_testkit::db::TestDb;
use eshopz_testkit::postgres::Postgres;

use super::{assert_all_well, back_after};
use crate::support::{Deployment, Folder, Load, MODULES, Plan, Topology};
use crate::topologies::slot;

/// A small disk of its own, in memory.
struct Disk(PathBuf);

impl Disk {
    fn mount(folder: &Path) -> Self {
        let disk = folder.join("disk");
        std::fs::create_dir_all(&disk).unwrap();
        as_root(&["mount", "-t", "tmpfs", "-o", "size=400m,mode=0755", "tmpfs", disk.to_str().unwrap()]);
        Self(disk)
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let filler = self.0.join("filler");
        let script = format!("cat /dev/zero > '{}' 2>/dev/null || true", filler.display());
        as_root(&["sh", "-c", &script]);
    }

    fn make_room(&self) {
        as_root(&["rm", self.0.join("filler").to_str().unwrap()]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a server that a failed test has left may still end.
        as_root(&["umount", "-l", self.0.to_str().unwrap()]);
    }
}

/// Runs a command that needs to be root.
fn as_root(words: &[&str]) {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    let words: Vec<&str> = if is_root { words.to_vec() } else { [&["sudo", "-n"], words].concat() };
    let status = Command::new(words[0]).args(&words[1..]).status().unwrap();
    assert!(status.success() || std::thread::panicking(), "{words:?}: {status}");
}

/// Waits until so many were told to come again.
async fn until_refused(load: &Load, more: u64) {
    let (from, since) = (load.unavailable(), Instant::now());
    while load.unavailable() < from + more {
        assert!(since.elapsed() < Duration::from_secs(60), "nobody is refused");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_full_and_has_room_again() {
    let _slot = slot().await;
    let folder = Folder::new();
    let disk = Disk::mount(&folder.0);
    let mut postgres = Postgres::start(&disk.0).await.unwrap();
    let db = TestDb::on(postgres.url().to_owned(), &MODULES).await;
    let plan = Plan { arguments: vec!["--gateway-timeout-ms", "2000"], ..Plan::of(Topology::replicas(2)) };
    let deployment = Deployment::start_on(db, plan).await;
    let load = Load::start(&deployment, 4, 2).await;
    load.go_on(6).await;

    // No table can grow. The log still can: it has files that it made before.
    let outside = deployment.db.owner().await;
    for _ in 0..3 {
        outside.batch_execute("SELECT pg_switch_wal(), txid_current()").await.unwrap();
        outside.batch_execute("CHECKPOINT").await.unwrap();
    }
    disk.fill();
    until_refused(&load, 20).await;
    outside.query("SELECT 1", &[]).await.expect("PostgreSQL itself goes on");
    disk.make_room();
    load.go_on(8).await;

    // Nor can the log, at which PostgreSQL gives up altogether.
    disk.fill();
    // It breaks off when the server does.
    while outside.batch_execute("SELECT pg_switch_wal(), txid_current()").await.is_ok() {}
    postgres.ended().await.unwrap();
    until_refused(&load, 20).await;
    disk.make_room();
    postgres.start_again().await.unwrap();
    let back = back_after(&deployment, "/api/v1/products?limit=5", Duration::from_secs(5)).await;
    load.go_on(8).await;

    let tally = assert_all_well(&deployment, load, &[]).await;
    eprintln!("PostgreSQL's disk full, then its log: {tally}; back after {back:.0?}");
    drop(deployment);
    postgres.stop().await.unwrap();
    drop(disk);
}
