//! [`UserApi`] over HTTP.

use std::sync::Arc;

use async_trait::async_trait;
use eshopz_kernel::{Fault, Role, SessionId, UserId};
use eshopz_platform::wire::{Methods, Neighbour};
use eshopz_user_api::{ExportPart, UserApi, UserSummary, VerifyingKey};

const VERIFYING_KEYS: &str = "verifying_keys";
const SESSION_ROLE: &str = "session_role";
const USER: &str = "user";
const DELIVER_EXPORT: &str = "deliver_export";

/// The contract as routes.
pub fn routes(methods: Methods, api: &Arc<dyn UserApi>) -> Methods {
    methods
        .method(VERIFYING_KEYS, api, |api, (): ()| async move { api.verifying_keys().await })
        .method(SESSION_ROLE, api, |api, session| async move { api.session_role(session).await })
        .method(USER, api, |api, id| async move { api.user(id).await })
        .method(DELIVER_EXPORT, api, |api, part| async move { api.deliver_export(part).await })
}

/// The contract by its routes in another process.
#[must_use]
pub fn client(neighbour: Neighbour) -> Arc<dyn UserApi> {
    Arc::new(Client(neighbour))
}

struct Client(Neighbour);

#[async_trait]
impl UserApi for Client {
    async fn verifying_keys(&self) -> Result<Vec<VerifyingKey>, Fault> {
        self.0.read(VERIFYING_KEYS, &()).await
    }

    async fn session_role(&self, session: SessionId) -> Result<Option<Role>, Fault> {
        self.0.read(SESSION_ROLE, &session).await
    }

    async fn user(&self, id: UserId) -> Result<UserSummary, Fault> {
        self.0.read(USER, &id).await
    }

    async fn deliver_export(&self, part: ExportPart) -> Result<(), Fault> {
        self.0.write(DELIVER_EXPORT, &part).await
    }
}
