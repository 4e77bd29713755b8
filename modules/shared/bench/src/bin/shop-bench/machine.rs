//! What is measured: a PostgreSQL that syncs, a Redis, the shop and the reference, each a process on free ports.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use eshopz_testkit::postgres::Postgres;
use eshopz_testkit::redis::TestRedis;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use crate::work::Ports;

/// To be ready; the first start migrates.
const START: Duration = Duration::from_secs(120);
/// From the public port to those of the management and the internal listener.
pub const MANAGEMENT: u16 = 6_000;
const INTERNAL: u16 = 1_000;
/// Where free ports are looked for.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
const MODULES: [&str; 5] = ["user", "product", "cart", "payment", "order"];

pub struct Machine {
    pub postgres: Postgres,
    pub redis: TestRedis,
    folder: PathBuf,
    program: PathBuf,
    next_port: u16,
}

/// What of the caches a process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As it is in production: in process and in Redis.
    Hot,
    /// Redis only.
    Redis,
    /// None, and no Redis.
    Bare,
}

/// What a program took that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    pub seconds: f64,
    /// Resident at most.
    pub peak_mib: f64,
}

/// A running process; it ends with this.
#[derive(Debug)]
pub struct Process {
    pub port: u16,
    child: Child,
}

impl Process {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// As the system knows it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident, in MiB.
    pub fn memory(&self) -> f64 {
        self.mib("VmRSS:")
    }

    /// What the kernel says of its memory, in MiB.
    fn mib(&self, what: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(what));
        let kib: Option<f64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.unwrap_or(f64::NAN) / 1_024.0
    }

    /// Milliseconds of processor that it has used.
    pub fn cpu_ms(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // After the name in parentheses, which may have spaces.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        // USER_HZ is 100 on every Linux.
        ticks * 10.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = kill_process(self.pid(), Signal::TERM);
        let until = Instant::now() + Duration::from_secs(20);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Machine {
    pub async fn start(folder: &Path, program: &Path) -> Result<Self, String> {
        let postgres = Postgres::start(folder).await?;
        let redis = TestRedis::start();
        // Two of these at the same time look in different places.
        let next_port =
            PORTS.start + u16::try_from(std::process::id() % u32::from(PORTS.end - PORTS.start)).unwrap_or(0);
        Ok(Self { postgres, redis, folder: folder.to_owned(), program: program.to_owned(), next_port })
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Result<(), String> {
        self.run_with(arguments, "")
    }

    /// The same with something to read.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Result<(), String> {
        let mut command = self.command(Mode::Bare);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        if let Some(mut stdin) = child.stdin.take() {
            // It need not read what it is told.
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("eshopz {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)))
    }

    /// Runs the program to its end, and looks at what it takes.
    pub async fn taken(&self, arguments: &[&str]) -> Result<Taken, String> {
        let mut command = self.command(Mode::Bare);
        command.args(arguments);
        let began = Instant::now();
        let mut process = Process { port: 0, child: self.spawn(command, "command")? };
        let mut peak_mib = f64::NAN;
        loop {
            if let Some(status) = process.child.try_wait().map_err(|error| error.to_string())? {
                let seconds = began.elapsed().as_secs_f64();
                if status.success() {
                    return Ok(Taken { seconds, peak_mib });
                }
                let said = fs::read_to_string(self.folder.join("command.log")).unwrap_or_default();
                return Err(format!("eshopz {}: {said}", arguments.join(" ")));
            }
            // Of one that has just ended there is none.
            peak_mib = peak_mib.max(process.mib("VmHWM:"));
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Starts the whole shop in one process; how long until it was ready.
    pub async fn shop(&mut self, mode: Mode) -> Result<(Process, Duration), String> {
        self.shop_with(mode, &[]).await
    }

    /// The same with these settings besides.
    pub async fn shop_with(&mut self, mode: Mode, settings: &[(&str, &str)]) -> Result<(Process, Duration), String> {
        let port = self.free_port();
        let mut command = self.command(mode);
        command.envs(settings.iter().copied()).args(["serve", "--listen", &format!("127.0.0.1:{port}")]);
        self.start_process(command, port).await
    }

    /// Starts it with one worker under callgrind, which counts from when it is told to. Copies are in the process only, as
    /// Redis has threads of its own in it.
    pub async fn counted_shop(&mut self) -> Result<Process, String> {
        let port = self.free_port();
        let mut command = self.command_of(Command::new("valgrind"), Mode::Hot);
        command.env_remove("ESHOPZ_REDIS_URL");
        // One thread runs at a time; by turns, or one that waits for the others may find its connections too quiet.
        command.args(["--quiet", "--fair-sched=try", "--tool=callgrind", "--instr-atstart=no", &self.valgrind_pipes()]);
        command.arg(format!("--callgrind-out-file={}", self.folder.join("callgrind.out").display()));
        command.arg(&self.program).args(["serve", "--workers", "1", "--listen", &format!("127.0.0.1:{port}")]);
        Ok(self.start_process(command, port).await?.0)
    }

    /// The option that says where one talks to valgrind.
    pub fn valgrind_pipes(&self) -> String {
        format!("--vgdb-prefix={}", self.folder.join("vgdb").display())
    }

    /// Starts each module in a process of its own.
    pub async fn split(&mut self) -> Result<(Vec<Process>, Ports), String> {
        let ports: Vec<u16> = MODULES.iter().map(|_| self.free_port()).collect();
        let urls: Vec<(String, String)> = MODULES
            .iter()
            .zip(&ports)
            .map(|(module, port)| {
                (format!("ESHOPZ_{}_URL", module.to_uppercase()), format!("http://127.0.0.1:{}", port + INTERNAL))
            })
            .collect();
        let mut processes = Vec::new();
        for (module, port) in MODULES.iter().zip(&ports) {
            let mut command = self.command(Mode::Hot);
            command.envs(urls.iter().map(|(name, url)| (name, url)));
            command.args(["serve", "--modules", module, "--listen", &format!("127.0.0.1:{port}")]);
            processes.push(self.start_process(command, *port).await?.0);
        }
        match ports.as_slice() {
            [user, _, cart, _, order] => Ok((processes, Ports { user: *user, cart: *cart, order: *order })),
            _ => Err("five modules have five ports".to_owned()),
        }
    }

    /// Starts the reference with constant answers of these sizes, and named statements as JSON.
    pub async fn reference(&mut self, constant: &[usize], statements: &str) -> Result<Process, String> {
        let port = self.free_port();
        let program = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("reference");
        let sizes: Vec<String> = constant.iter().map(usize::to_string).collect();
        let mut command = Command::new(program);
        command
            .args(["--port", &port.to_string(), "--database", self.postgres.url(), "--redis", &self.redis.url()])
            .args(["--constant", &sizes.join(","), "--statements", statements]);
        let child = self.spawn(command, "reference")?;
        let process = Process { port, child };
        let began = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if began.elapsed() > START {
                return Err("the reference does not listen".to_owned());
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(process)
    }

    async fn start_process(&self, command: Command, port: u16) -> Result<(Process, Duration), String> {
        let began = Instant::now();
        let mut process = Process { port, child: self.spawn(command, &format!("shop-{port}"))? };
        loop {
            if is_ready(port + MANAGEMENT).await {
                return Ok((process, began.elapsed()));
            }
            if began.elapsed() > START || !matches!(process.child.try_wait(), Ok(None)) {
                let log = self.folder.join(format!("shop-{port}.log"));
                return Err(format!("the shop is not ready: {}", fs::read_to_string(log).unwrap_or_default()));
            }
            sleep(Duration::from_millis(2)).await;
        }
    }

    fn spawn(&self, mut command: Command, name: &str) -> Result<Child, String> {
        let log = fs::File::create(self.folder.join(format!("{name}.log"))).map_err(|error| error.to_string())?;
        let copy = log.try_clone().map_err(|error| error.to_string())?;
        command.stdin(Stdio::null()).stdout(copy).stderr(log).spawn().map_err(|error| format!("{name}: {error}"))
    }

    /// The program with our settings and no others.
    fn command(&self, mode: Mode) -> Command {
        self.command_of(Command::new(&self.program), mode)
    }

    /// The same for what runs the program.
    fn command_of(&self, mut command: Command, mode: Mode) -> Command {
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ESHOPZ_")) {
            command.env_remove(name);
        }
        command.env_remove("RUST_LOG");
        command.env("ESHOPZ_DATA_DIR", &self.folder).env("ESHOPZ_DATABASE_URL", self.postgres.url());
        if mode != Mode::Bare {
            command.env("ESHOPZ_REDIS_URL", self.redis.url());
        }
        command.env(
            "ESHOPZ_PRODUCT_CACHE",
            match mode {
                Mode::Hot => "on",
                Mode::Redis => "redis",
                Mode::Bare => "off",
            },
        );
        command
    }

    /// A port that is free, with those that follow from it.
    fn free_port(&mut self) -> u16 {
        loop {
            let port = self.next_port;
            self.next_port = if port + 1 < PORTS.end { port + 1 } else { PORTS.start };
            let all = [port, port + INTERNAL, port + MANAGEMENT];
            if all.iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()) {
                return port;
            }
        }
    }
}

async fn is_ready(port: u16) -> bool {
    let Ok(mut conn) = crate::client::Conn::open(port).await else { return false };
    conn.get("/health/ready", &[]).await.is_ok_and(|reply| reply.status == 200)
}
