//! A server that speaks AWS: moto's, a process of its own on a free port, gone when this is dropped.
#![allow(clippy::panic, reason = "a test that cannot have its server has to fail, and say why")]

use crate::partner::Partner;

/// Names moto's program, where it is neither in the repository's `.venv` nor on the path.
pub const PROGRAM_VARIABLE: &str = "ESHOPZ_MOTO_SERVER";
/// The region of everything in it.
pub const REGION: &str = "eu-central-1";

/// A running server.
#[derive(Debug)]
pub struct Moto(Partner);

impl Moto {
    /// Starts one and waits until it listens.
    ///
    /// # Panics
    /// When there is no such program, or it does not come up.
    #[must_use]
    pub fn start() -> Self {
        Self(Partner::start(PROGRAM_VARIABLE, "moto_server", &["-H", "127.0.0.1", "-p", "0"]))
    }

    /// Where it is: `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.0.endpoint()
    }

    /// What a process needs in its environment to take this for AWS.
    #[must_use]
    pub fn env(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", self.endpoint().to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ]
    }

    /// Forgets everything that was made in it.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn reset(&self) {
        let answer = reqwest::Client::new().post(format!("{}/moto-api/reset", self.endpoint())).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        answer.unwrap_or_else(|error| panic!("moto does not reset: {error}"));
    }
}
