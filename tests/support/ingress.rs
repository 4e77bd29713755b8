//! nginx as the ingress: one address for all modules, by path prefix, from the template in the repository.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use eshopz::modules::Module;

use super::single_port;

const TEMPLATE: &str = include_str!("../../scripts/lib/ingress.conf.template");

/// A running nginx.
pub struct Ingress {
    pub port: u16,
    folder: PathBuf,
    child: Child,
}

/// A line of its access log.
#[derive(Debug)]
pub struct Access {
    pub status: u16,
    /// The address of the process that was asked; none when the ingress answered by itself.
    pub process: Option<String>,
    pub path: String,
}

impl Ingress {
    /// Starts it before the processes with these public ports, as the list of a module has them.
    pub async fn start(folder: PathBuf, ports: impl Fn(Module) -> Vec<u16>) -> Self {
        // Its workers, which may be another user's, have to pass.
        std::fs::create_dir_all(&folder).unwrap();
        let port = single_port();
        configure(&folder, port, ports);
        let config = folder.join("nginx.conf");
        // Debian's place is not on everybody's path.
        let program = ["/usr/sbin/nginx"].into_iter().find(|path| std::path::Path::new(path).exists());
        let child = Command::new(program.unwrap_or("nginx"))
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("said")).unwrap())
            .spawn()
            .expect("nginx is needed; scripts/test installs it");
        let ingress = Self { port, folder, child };
        let started = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "nginx does not listen: {}", ingress.said());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ingress
    }

    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Takes other processes for the modules, as a cluster does when a pod is not ready, and returns when no
    /// request under the old configuration is under way.
    pub async fn route(&self, ports: impl Fn(Module) -> Vec<u16>) {
        let before = self.workers();
        configure(&self.folder, self.port, ports);
        let status = Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        let started = Instant::now();
        loop {
            let now = self.workers();
            if !now.is_empty() && now.iter().all(|worker| !before.contains(worker)) {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(30), "nginx does not take it up: {}", self.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn workers(&self) -> Vec<u32> {
        let path = format!("/proc/{pid}/task/{pid}/children", pid = self.child.id());
        let children = std::fs::read_to_string(path).unwrap_or_default();
        children.split_whitespace().map(|id| id.parse().unwrap()).collect()
    }

    /// What was asked of it until now.
    pub fn log(&self) -> Vec<Access> {
        let text = std::fs::read_to_string(self.folder.join("access.log")).unwrap_or_default();
        text.lines().filter_map(read_access).collect()
    }

    fn said(&self) -> String {
        let files = ["said", "error.log"].map(|name| std::fs::read_to_string(self.folder.join(name)));
        files.into_iter().map(Result::unwrap_or_default).collect()
    }
}

/// `$status $upstream_addr $request_method $request_uri …`
fn read_access(line: &str) -> Option<Access> {
    // More than one address is a request that was passed on to the next process.
    let line = line.replace(", ", ",");
    let mut parts = line.split(' ');
    let (status, process) = (parts.next()?.parse().ok()?, parts.next()?);
    let process = (process != "-").then(|| process.to_owned());
    Some(Access { status, process, path: parts.nth(1)?.to_owned() })
}

fn configure(folder: &std::path::Path, port: u16, ports: impl Fn(Module) -> Vec<u16>) {
    let mut text =
        TEMPLATE.replace("@LISTEN@", &format!("127.0.0.1:{port}")).replace("@FOLDER@", folder.to_str().unwrap());
    for module in Module::ALL {
        let servers: Vec<String> =
            ports(module).iter().map(|port| format!("server 127.0.0.1:{port} max_fails=0;")).collect();
        text = text.replace(&format!("@{}@", module.name().to_uppercase()), &servers.join(" "));
    }
    std::fs::write(folder.join("nginx.conf"), text).unwrap();
}

impl Drop for Ingress {
    fn drop(&mut self) {
        // A fast shutdown, which takes the workers along; it may have ended already.
        drop(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("-- what nginx said last:\n{}", self.said());
        }
    }
}
