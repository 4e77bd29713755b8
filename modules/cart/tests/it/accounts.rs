//! The accounts as this module knows them: whoever takes what is handed over for a person.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use eshopz_kernel::{Fault, Role, SessionId, UserId};
use eshopz_user_api::{ExportPart, UserApi, UserSummary, VerifyingKey};

/// Keeps what is handed over.
#[derive(Default)]
pub struct Accounts {
    pub exported: Mutex<Vec<ExportPart>>,
}

impl Accounts {
    pub fn shared() -> Arc<Self> {
        Arc::default()
    }
}

#[async_trait]
impl UserApi for Accounts {
    async fn verifying_keys(&self) -> Result<Vec<VerifyingKey>, Fault> {
        unreachable!("the test's own identity signs")
    }

    async fn session_role(&self, _: SessionId) -> Result<Option<Role>, Fault> {
        unreachable!("the test's own identity signs")
    }

    async fn user(&self, _: UserId) -> Result<UserSummary, Fault> {
        unreachable!("nobody is asked for")
    }

    async fn deliver_export(&self, part: ExportPart) -> Result<(), Fault> {
        self.exported.lock().unwrap().push(part);
        Ok(())
    }
}
