//! Too much of everything: what is small when it is sent and large when it is read, what is long, deep or many.

use super::Attacked;
use crate::support::is_problem;

/// A gzip of a million zeros is a thousand bytes; nobody unpacks it.
#[tokio::test]
async fn nothing_is_unpacked() {
    let attacked = Attacked::start().await;
    let admin = attacked.admin.as_str();
    for encoding in ["gzip", "deflate", "br", "zstd", "compress", "gzip, gzip", "identity, gzip", "x"] {
        let headers = [("authorization", admin), ("content-type", "application/json"), ("content-encoding", encoding)];
        let answer = attacked.shop.raw("POST", "/api/v1/products", &headers, vec![0x1f, 0x8b, 8, 0]).await;
        is_problem(&answer, &[415], "unsupported_media_type");
        let headers = [("authorization", admin), ("content-type", "text/csv"), ("content-encoding", encoding)];
        let answer = attacked.shop.raw("POST", "/api/v1/products/import", &headers, vec![0x1f, 0x8b, 8, 0]).await;
        is_problem(&answer, &[415], "unsupported_media_type");
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("content-encoding", encoding)];
        let answer = attacked.shop.raw("POST", "/api/v1/auth/token", &headers, vec![0x1f, 0x8b, 8, 0]).await;
        is_problem(&answer, &[415], "unsupported_media_type");
    }
}
