//! The command line: exit codes, and that a wrong call says in one line what to do.

use crate::support::{run, text};

#[test]
fn wrong_calls_exit_with_two() {
    let calls: [&[&str]; 7] = [
        &["serve", "--modules", "nonsense"],
        &["serve", "--listen", "nowhere"],
        &["serve", "--listen", "127.0.0.1:65000"],
        &["serve", "--tax-rates", "DE"],
        &["serve", "--env", "production", "--payment-gateway", "sandbox"],
        &["serve", "--payment-gateway", "stripe", "--webhook-secret", "whsec_1"],
        &["migrate", "sideways"],
    ];
    for call in calls {
        let output = run("", call, "");
        assert_eq!(output.status.code(), Some(2), "{call:?}: {}", text(&output));
    }
}

#[test]
fn help_names_every_variable() {
    let help = text(&run("", &["serve", "--help"], ""));
    for variable in [
        "ESHOPZ_DATABASE_URL",
        "ESHOPZ_ORDER_DATABASE_URL",
        "ESHOPZ_REDIS_URL",
        "ESHOPZ_ENV",
        "ESHOPZ_EVENTS",
        "ESHOPZ_SECRETS",
        "ESHOPZ_PAYMENT_GATEWAY",
        "ESHOPZ_STRIPE_SECRET_KEY",
        "ESHOPZ_RATE_LIMIT",
        "ESHOPZ_LISTEN",
        "ESHOPZ_MODULES",
    ] {
        assert!(help.contains(variable), "{variable} is not in --help");
    }
}

#[test]
fn modules_and_configuration_are_shown() {
    let modules = text(&run("", &["modules"], ""));
    assert!(modules.contains("order    public :3005"), "{modules}");
    let graph = text(&run("", &["modules", "--graph"], ""));
    assert!(graph.contains("user, product, cart, payment"), "{graph}");
    let config = text(&run("postgres://shop:hunter2@db/shop", &["config"], ""));
    assert!(config.contains("postgres://shop:***@db/shop") && !config.contains("hunter2"), "{config}");
}

#[test]
fn an_unreachable_database_is_one_line() {
    let output = run("postgres://nobody@127.0.0.1:1/none", &["verify"], "");
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<String> =
        text(&output).lines().filter(|line| line.starts_with("eshopz:")).map(str::to_owned).collect();
    assert_eq!(lines.len(), 1, "{}", text(&output));
}

/// As in `eshopz migrate status | head -1`: the work is done, and nothing falls over.
#[test]
fn a_reader_that_leaves_is_no_failure() {
    let mut child = crate::support::eshopz("", &["config"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
