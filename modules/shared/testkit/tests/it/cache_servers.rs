//! Copies in a Redis that is not like others: a cluster, one that refuses something, one with slow answers.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};

use super::*;

/// A cluster of one server, with every slot: it refuses what another cluster refuses. Gone when this is dropped,
/// and when the test is killed.
struct Cluster {
    port: u16,
    supervisor: Child,
    folder: std::path::PathBuf,
}

const SUPERVISED: &str = "redis-server --port $0 --bind 127.0.0.1 --save '' --appendonly no --daemonize no \
    --cluster-enabled yes --cluster-port $1 --dir $2 </dev/null >/dev/null 2>&1 & \
    echo $!; cat >/dev/null; kill -KILL $! 2>/dev/null; wait; rm -rf $2";

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Cluster {
    async fn start() -> Self {
        let (port, bus) = (free_port(), free_port());
        let folder = std::env::temp_dir().join(format!("eshopz-cluster-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISED, &port.to_string(), &bus.to_string(), folder.to_str().unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        BufReader::new(supervisor.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
        let cluster = Self { port, supervisor, folder };
        cluster.until("CLUSTER ADDSLOTSRANGE 0 16383", "+OK").await;
        cluster.until("EXISTS x", ":0").await;
        cluster
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    async fn until(&self, command: &str, answer: &str) {
        let began = Instant::now();
        while !self.ask(command).await.is_ok_and(|line| line == answer) {
            assert!(began.elapsed() < Duration::from_secs(30), "{command}: {:?}", self.ask(command).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn ask(&self, command: &str) -> std::io::Result<String> {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await?;
        let mut stream = tokio::io::BufReader::new(stream);
        stream.write_all(format!("{command}\r\n").as_bytes()).await?;
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The end of its input ends the server.
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn is_open(redis: &Redis) -> bool {
    format!("{redis:?}").contains("answers: true")
}

#[tokio::test]
async fn a_cluster_keeps_copies_and_forgets_them() {
    let cluster = Cluster::start().await;
    let redis = [(); 2].map(|()| Redis::new(Some(&cluster.url())).unwrap());
    let [one, two] = redis.clone().map(|redis| Copies::<u64>::new("test", redis, config(LONG, LONG)));
    let original = Original::default();
    let keys: Vec<String> = (0..50).map(|key| key.to_string()).collect();
    for pod in [&one, &two] {
        for key in &keys {
            assert_eq!(pod.get(key, original.load(Duration::ZERO)).await.unwrap(), 0);
        }
    }
    assert_eq!(original.loads(), 50, "the second found them in Redis");
    original.set(1);
    assert!(one.forget(&keys).await);
    two.forget_here(&keys);
    for key in &keys {
        assert_eq!(two.get(key, original.load(Duration::ZERO)).await.unwrap(), 1);
    }
    assert!(redis.iter().all(is_open));
}

#[tokio::test]
async fn a_refusal_is_about_one_question_only() {
    let server = TestRedis::start();
    let redis = Redis::new(Some(&server.url())).unwrap();
    let copies = Copies::<u64>::new("test", redis.clone(), config(Duration::ZERO, LONG));
    let original = Original::default();
    copies.get("b", original.load(Duration::ZERO)).await.unwrap();
    assert_eq!(server.ask("LPUSH eshopz:copy:test:a x"), ":1");
    for _ in 0..2 {
        copies.get("a", original.load(Duration::ZERO)).await.unwrap();
        assert!(is_open(&redis), "WRONGTYPE is the key's fault");
    }
    assert_eq!(original.loads(), 3);
    copies.get("b", original.load(Duration::ZERO)).await.unwrap();
    assert_eq!(original.loads(), 3, "the other copy is used");

    // One that takes no writes is of no use.
    assert_eq!(server.ask("CONFIG SET maxmemory 1"), "+OK");
    copies.get("c", original.load(Duration::ZERO)).await.unwrap();
    assert!(!is_open(&redis), "it is full");
}

/// A Redis that has every key for another 20 ms, and takes longer to say so; how often it was asked for one.
async fn tardy() -> (String, Arc<AtomicU64>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, asked) = (format!("redis://{}", listener.local_addr().unwrap()), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let asked = Arc::clone(&counted);
            tokio::spawn(async move {
                let mut lines = tokio::io::BufReader::new(stream);
                loop {
                    let mut line = String::new();
                    if lines.read_line(&mut line).await.unwrap_or(0) == 0 {
                        return;
                    }
                    let answer = match line.trim_end() {
                        "GET" => {
                            asked.fetch_add(1, Ordering::SeqCst);
                            "$1\r\n7\r\n"
                        }
                        "PTTL" => {
                            tokio::time::sleep(Duration::from_millis(30)).await;
                            ":20\r\n"
                        }
                        // What the client says of itself when it connects.
                        "CLIENT" => "+OK\r\n",
                        _ => continue,
                    };
                    lines.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (url, asked)
}

#[tokio::test]
async fn what_is_left_of_a_copys_life_is_counted_from_the_question() {
    let (url, asked) = tardy().await;
    let copies = Copies::<u64>::new("test", Redis::new(Some(&url)).unwrap(), config(LONG, LONG));
    for times in 1..=3 {
        assert_eq!(copies.get("a", async { Ok(8) }).await.unwrap(), 7);
        assert_eq!(asked.load(Ordering::SeqCst), times, "it had ended on the way");
    }
}
