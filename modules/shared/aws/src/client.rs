//! The way to AWS that every service here shares: where it is, who we are, and how long we wait.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// To a service that is there, a connection takes milliseconds.
const CONNECT: Duration = Duration::from_secs(3);
/// One attempt; long polling has its own limit.
const ATTEMPT: Duration = Duration::from_secs(10);
/// A call with its repetitions.
const OPERATION: Duration = Duration::from_secs(25);
const ATTEMPTS: u32 = 3;

/// The configuration that AWS' own tools read: `AWS_REGION`, `AWS_ENDPOINT_URL` (also one per service),
/// and credentials from the environment, a profile, a web identity, the container or the machine.
///
/// Credentials are fetched with the first call and renewed before they end. Without a region in the
/// environment or the profile the machine is asked for its own, which takes seconds where none answers.
pub async fn sdk_config() -> SdkConfig {
    loader().load().await
}

/// The same before it is read, for what shall not come from the environment.
#[must_use]
pub fn loader() -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION)
        .build();
    // ring rather than the default: it builds without cmake and a C++ compiler.
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
}
