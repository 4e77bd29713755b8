//! The attribute on real code: it dies where it is told to, behaves as before otherwise, and its names are
//! those that a scan of the source gives.
#![cfg(debug_assertions)]
#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output};
use std::sync::Mutex;

use eshopz_crash::crash_points;

/// Which part of the child's work to run.
const CHILD: &str = "ESHOPZ_CRASH_TEST_CHILD";

struct Till(Mutex<Vec<u32>>);

#[crash_points]
impl Till {
    async fn take(&self, coin: u32) -> Result<usize, String> {
        // What is borrowed here lives to the end of the statement, as it does without the attribute.
        let count = echo(&coin.to_string()).await.len() + async { 2 }.await;
        let sum = self.each(async |seen: &u32| Ok::<_, String>(checked(*seen).await? + coin)).await?;
        let (one, two) = tokio::join!(checked(coin), async { checked(sum).await });
        tokio::select! {
            biased;
            _ = checked(coin) => {
                let sum = one? + checked(two?).await?;
                self.0.lock().unwrap().push(sum)
            }
            () = std::future::pending() => return Err("never".to_owned()),
        }
        Ok(count)
    }

    async fn each(&self, work: impl AsyncFn(&u32) -> Result<u32, String>) -> Result<u32, String> {
        let seen = self.0.lock().unwrap().clone();
        let mut sum = 0;
        for one in &seen {
            sum += work(one).await?;
        }
        Ok(sum)
    }
}

async fn echo(text: &str) -> &str {
    text
}

#[crash_points]
async fn checked(coin: u32) -> Result<u32, String> {
    tokio::task::yield_now().await;
    if coin < 1_000 { Ok(coin) } else { Err("too much".to_owned()) }
}

/// Runs [`the_child`] alone, in a process of its own.
fn child(variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "the_child", "--nocapture"]).env(CHILD, "yes").envs(variables.iter().copied());
    command.output().unwrap()
}

#[tokio::test]
async fn the_child() {
    let till = Till(Mutex::new(vec![1, 2]));
    assert_eq!(till.take(3).await, Ok(3));
    assert_eq!(*till.0.lock().unwrap(), [1, 2, 12]);
    assert_eq!(till.take(1_000).await, Err("too much".to_owned()));
    if std::env::var_os(CHILD).is_some() {
        println!("the child lives");
    }
}

fn lives(output: &Output) -> bool {
    String::from_utf8_lossy(&output.stdout).contains("the child lives")
}

#[test]
fn it_dies_at_the_passing_it_is_told() {
    const POINT: &str = "points::checked#1:yield_now";
    let died = |at: &str| {
        let output = child(&[("ESHOPZ_CRASH_AT", at)]);
        assert_eq!(output.status.signal() == Some(9), !lives(&output), "{at}: {output:?}");
        !lives(&output)
    };
    assert!(died(POINT));
    assert!(died(&format!("{POINT}@3")));
    assert!(!died(&format!("{POINT}@1000")));
    assert!(!died("points::checked"));
    let file = std::env::temp_dir().join(format!("eshopz-crash-{}", std::process::id()));
    let by_file = format!("file:{}", file.display());
    assert!(!died(&by_file));
    std::fs::write(&file, POINT).unwrap();
    assert!(died(&by_file));
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn what_is_passed_is_what_a_scan_lists() {
    let file = std::env::temp_dir().join(format!("eshopz-trace-{}", std::process::id()));
    assert!(lives(&child(&[("ESHOPZ_CRASH_TRACE", file.to_str().unwrap())])));
    let trace = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let passed: BTreeSet<String> = trace.lines().map(str::to_owned).collect();
    let scanned = eshopz_crash_points::scan("points", include_str!("points.rs")).unwrap();
    let listed = scanned.into_iter().filter(|function| function.marked).flat_map(|function| function.points);
    assert_eq!(passed, listed.collect());
    assert!(passed.len() >= 7, "{passed:?}");
}
