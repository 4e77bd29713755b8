//! The keys that sign access tokens.

use std::sync::Arc;

use eshopz_testkit::db::TestDb;
use eshopz_user::UserSettings;

use crate::shop::{Letters, Shop, module, settings};

#[tokio::test]
async fn processes_that_start_at_once_share_one_key() {
    let base = TestDb::new(&["user"]).await;
    let modules: Vec<_> = (0..4).map(|_| module(&base, Arc::new(Letters::default()), settings())).collect();
    let prepared = futures::future::join_all(modules.iter().map(|module| module.prepare())).await;
    assert!(prepared.iter().all(Result::is_ok), "{prepared:?}");
    let mut keys = Vec::new();
    for module in &modules {
        keys.push(module.api().verifying_keys().await.unwrap());
    }
    keys.dedup();
    assert_eq!((keys.len(), keys[0].len()), (1, 1));
}

#[tokio::test]
async fn a_key_outlives_the_process_and_opens_with_its_secret_only() {
    let shop = Shop::open().await;
    let known = shop.module.api().verifying_keys().await.unwrap();
    let later = module(&shop.base, Arc::new(Letters::default()), settings());
    later.prepare().await.unwrap();
    assert_eq!(later.api().verifying_keys().await.unwrap(), known);
    for secret in ["another secret, just as long", "short", ""] {
        let settings = UserSettings { key_secret: secret.to_owned(), ..settings() };
        let fault = module(&shop.base, Arc::new(Letters::default()), settings).prepare().await.unwrap_err();
        assert!(fault.to_string().contains("secret"), "{fault}");
    }
    // PKCS#8 of Ed25519 begins so; it must not be found as it is.
    let plain = "SELECT count(*) FROM users.signing_keys \
                 WHERE position('\\x302e020100300506032b6570'::bytea in private_key_encrypted) > 0";
    assert_eq!(shop.number(plain).await, 0);
}

#[tokio::test]
async fn a_retired_key_is_shown_until_its_tokens_have_expired() {
    let shop = Shop::open().await;
    shop.sql("UPDATE users.signing_keys SET retired_at = now()").await;
    let after = module(&shop.base, Arc::new(Letters::default()), settings());
    assert_eq!(after.api().verifying_keys().await.unwrap().len(), 2);
    shop.sql("UPDATE users.signing_keys SET retired_at = now() - interval '1 hour' WHERE retired_at IS NOT NULL").await;
    let later = module(&shop.base, Arc::new(Letters::default()), settings());
    assert_eq!(later.api().verifying_keys().await.unwrap().len(), 1);
}
