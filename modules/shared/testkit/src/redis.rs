//! A Redis of one test: a process of its own on a free port, without files, gone when this is dropped.
#![allow(clippy::panic, reason = "a test that cannot have its server has to fail, and say why")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// It starts within a few milliseconds; a machine full of tests is slower.
const START: Duration = Duration::from_secs(30);
/// Somebody else may take the free port first.
const TRIES: usize = 5;
/// Ends the server when our end of standard input is closed, which also happens when the test is killed.
const SUPERVISED: &str = "redis-server --port $0 --bind 127.0.0.1 --save '' --appendonly no --daemonize no \
    </dev/null >/dev/null 2>&1 & echo $!; cat >/dev/null; kill -KILL $! 2>/dev/null; wait";

/// A Redis server that can be ended, hung, and brought back.
#[derive(Debug)]
pub struct TestRedis {
    port: u16,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    supervisor: Child,
    /// Open as long as the server shall run.
    lifeline: Option<ChildStdin>,
    server: Pid,
}

impl TestRedis {
    /// Starts one and waits until it answers.
    ///
    /// # Panics
    /// When there is no `redis-server`, or it does not come up.
    #[must_use]
    pub fn start() -> Self {
        for _ in 0..TRIES {
            let port = free_port();
            if let Some(running) = Running::start(port) {
                return Self { port, running: Some(running) };
            }
        }
        panic!("redis-server did not come up; is it installed?")
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it at once, with all that was in it.
    pub fn kill(&mut self) {
        drop(self.running.take());
    }

    /// Starts it anew at the same address, empty.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn restart(&mut self) {
        self.kill();
        self.running = Running::start(self.port);
        assert!(self.running.is_some(), "redis-server did not come up again");
    }

    /// Hangs it: connections are accepted, nothing is answered.
    ///
    /// # Panics
    /// When it does not run.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// When it does not run.
    pub fn cont(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let sent = self.running.as_ref().map(|running| kill_process(running.server, signal));
        assert!(matches!(sent, Some(Ok(()))), "redis-server does not run: {sent:?}");
    }

    /// Sends a command and reads the first line of its answer, beside every pool.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn ask(&self, command: &str) -> String {
        ask(self.port, command).unwrap_or_else(|error| panic!("redis-server does not answer: {error}"))
    }
}

impl Running {
    fn start(port: u16) -> Option<Self> {
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISED, &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run sh: {error}"));
        let lifeline = supervisor.stdin.take();
        let Some(server) = supervisor.stdout.take().and_then(pid_told) else {
            panic!("sh did not start redis-server: {:?}", supervisor.wait())
        };
        let running = Self { supervisor, lifeline, server };
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if ask(port, "PING").is_ok_and(|answer| answer == "+PONG") {
                return Some(running);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be hung, or gone already.
        let _ = kill_process(self.server, Signal::KILL);
        drop(self.lifeline.take());
        let _ = self.supervisor.wait();
    }
}

/// The server's process, as the supervisor tells it.
fn pid_told(stdout: ChildStdout) -> Option<Pid> {
    let mut told = String::new();
    BufReader::new(stdout).read_line(&mut told).ok()?;
    told.trim().parse().ok().and_then(Pid::from_raw)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    listener.unwrap_or_else(|error| panic!("no free port: {error}")).port()
}

fn ask(port: u16, command: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(format!("{command}\r\n").as_bytes())?;
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer)?;
    let answer = String::from_utf8_lossy(answer.get(..length).unwrap_or_default()).into_owned();
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}
