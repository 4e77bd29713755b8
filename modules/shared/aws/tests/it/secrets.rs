//! Secrets as Secrets Manager keeps them.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::primitives::Blob;
use eshopz_aws::secrets::{SecretStore, SecretsError};
use eshopz_testkit::moto::Moto;

use crate::events::shop::sdk;

#[tokio::test]
async fn a_secret_is_found_by_name_and_arn_as_text_and_as_bytes() {
    let moto = Moto::start();
    let sdk = sdk(moto.endpoint()).await;
    let (client, store) = (Client::new(&sdk), SecretStore::new(&sdk));
    let made = client.create_secret().name("shop/text").secret_string(r#"{"redis_url": "a"}"#).send().await.unwrap();
    let bytes = Blob::new(r#"{"redis_url": "b"}"#);
    client.create_secret().name("bytes").secret_binary(bytes).send().await.unwrap();

    let by_name = store.fetch("shop/text").await.unwrap();
    let by_arn = store.fetch(made.arn().unwrap()).await.unwrap();
    assert_eq!((&by_name.version, &by_name.values), (&by_arn.version, &by_arn.values));
    assert_eq!(by_name.values["redis_url"], "a");
    assert_eq!(store.fetch("bytes").await.unwrap().values["redis_url"], "b");
    assert_eq!(store.fetch("none").await.unwrap_err(), SecretsError::NotFound("none".to_owned()));

    client.put_secret_value().secret_id("shop/text").secret_string(r#"{"redis_url": "c"}"#).send().await.unwrap();
    let changed = store.fetch("shop/text").await.unwrap();
    assert!(changed.version != by_name.version && changed.values["redis_url"] == "c");
    assert!(!format!("{changed:?}").contains("\"c\""));

    client.delete_secret().secret_id("shop/text").send().await.unwrap();
    assert_eq!(store.fetch("shop/text").await.unwrap_err(), SecretsError::NoValue("shop/text".to_owned()));
}
