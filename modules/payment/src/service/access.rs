//! Who may see a payment: its payer, by account or by the order's token, and admins.

use eshopz_kernel::PaymentId;
use eshopz_platform::http::Caller;
use sha2::{Digest as _, Sha256};

use super::PaymentService;
use crate::error::PaymentError;
use crate::gateway::signature::hex;
use crate::store::Payment;

/// In which capacity somebody sees a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// `scope` keeps the idempotency keys of different payers apart.
    Payer {
        scope: String,
    },
    Admin,
}

impl PaymentService {
    /// The payment, if the caller may see it. Somebody else's looks like one that does not exist.
    ///
    /// # Errors
    /// 404.
    pub async fn visible(&self, id: PaymentId, caller: &Caller) -> Result<(Payment, Access), PaymentError> {
        let payment = self.load(id.uuid()).await?;
        let access = access(&payment, caller).ok_or(PaymentError::NotFound)?;
        Ok((payment, access))
    }
}

fn access(payment: &Payment, caller: &Caller) -> Option<Access> {
    let account = caller.user_id().filter(|user| payment.customer_id == Some(user.uuid()));
    if let Some(user) = account {
        return Some(Access::Payer { scope: format!("user:{user}") });
    }
    // Hashes are compared, not tokens: how far two of them agree tells nothing about a token.
    let token = caller.order_token.as_deref().map(|token| hex(&Sha256::digest(token.as_bytes())));
    if let Some(hash) = token.filter(|hash| payment.payer_token_hash.as_deref() == Some(hash)) {
        return Some(Access::Payer { scope: format!("order:{hash}") });
    }
    caller.is_admin().then_some(Access::Admin)
}
