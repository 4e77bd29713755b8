//! Paths that mean something else to whoever reads them next. Sent by hand: a client would tidy them up.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Attacked;

/// An answer as it came.
pub struct Raw {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Raw {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// Sends these bytes and reads until the shop hangs up.
pub async fn send(attacked: &Attacked, request: &[u8]) -> Raw {
    let mut stream = TcpStream::connect(attacked.shop.base.trim_start_matches("http://")).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is cut off has told what it had to tell.
    drop(stream.read_to_end(&mut answer).await);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Raw { status, head: head.to_owned(), body: body.to_owned() }
}

async fn get(attacked: &Attacked, path: &str, headers: &str) -> Raw {
    send(attacked, format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}connection: close\r\n\r\n").as_bytes()).await
}

#[tokio::test]
async fn no_path_leads_anywhere_else() {
    let attacked = Attacked::start().await;
    attacked.shop.product(&attacked.admin, "Linen Shirt", 1_900, 3).await;
    let signed_in = format!("authorization: {}\r\n", attacked.admin);
    for path in [
        "/api/v1/products/..%2f..%2fusers",
        "/api/v1/products/../users",
        "/api/v1/products/..",
        "/api/v1/products/%2e%2e/users",
        "/api/v1/products/..;/users",
        "/api/v1/products;/",
        "/api/v1/products/linen-shirt;a=b",
        "/api/v1//products",
        "//api/v1/products",
        "/api/v1/products//",
        "/api/v1/products/linen-shirt/",
        "/api/v1/products/linen-shirt%2f",
        "/api/v1/products/linen-shirt%00",
        "/api/v1/products/linen-shirt%00.json",
        "/api/v1/products/linen%252dshirt",
        "/api/v1/products/%",
        "/api/v1/products/%zz",
        "/api/v1/products/%c0%ae%c0%ae",
        "/api/v1/products/%ff%fe",
        "/api/v1/products/\\..\\users",
        "/api/v1/products/%5c%2e%2e%5cusers",
        "/api/v1/users/me%2f..%2f..",
        "/API/V1/PRODUCTS",
        "/api/v1/./products",
        "/docs/../api/v1/users",
        "/docs/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/docs/%2e%2e/%2e%2e/etc/passwd",
        "/docs//etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/internal/v1/user/session_role",
        "/metrics",
    ] {
        let answer = get(&attacked, path, &signed_in).await;
        assert!([400, 404, 405].contains(&answer.status), "{path}: {} {}", answer.status, answer.body);
        assert!(
            !answer.body.contains("root:") && !answer.body.contains("admin@example.com"),
            "{path}: {}",
            answer.body
        );
        // The documentation's files answer for themselves.
        if answer.status != 400 && !path.starts_with("/docs/") {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}: {}", answer.head);
        }
    }
    // An absolute target and a fragment are read as HTTP says, or refused.
    for path in
        ["http://evil.test/api/v1/products", "/api/v1/products#x", "*", "api/v1/products", "/api/v1/products?a#b"]
    {
        let answer = get(&attacked, path, "").await;
        assert!([200, 400, 404, 422].contains(&answer.status), "{path}: {}", answer.status);
        assert!(!answer.head.contains("evil.test"), "{path}: {}", answer.head);
    }
    attacked.is_unharmed();
}
