//! The doors that are not for the public: nothing of them opens at the public listener, and the internal one takes
//! nobody without a service token. `tests/conformance/listener.rs` has the gate by itself.

use serde_json::json;

use super::stage::Stage;
use crate::support::is_problem;

/// Of the other two listeners.
const PRIVATE: [&str; 14] = [
    "/internal",
    "/internal/v1/user/session_role",
    "/internal/v1/user/verifying_keys",
    "/internal/v1/product/variants",
    "/internal/v1/cart/cart",
    "/internal/v1/payment/create",
    "/internal/v1/order/events/order.settle",
    "//internal/v1/user/session_role",
    "/api/v1/../../internal/v1/user/session_role",
    "/api/v1/users/%2e%2e/%2e%2e/%2e%2e/internal/v1/user/session_role",
    "/metrics",
    "/health/live",
    "/health/ready",
    "/info",
];

/// An admin gets no further than anybody: these doors are somewhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_public_listener_has_nothing_of_the_others() {
    let stage = Stage::build().await;
    let admin = [("authorization", stage.admin.bearer.as_str())];
    for path in PRIVATE {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            for headers in [&[][..], &admin] {
                let answer = stage.shop.send(method, path, headers, None).await;
                assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text);
                is_problem(&answer, &[404], "not_found");
            }
        }
    }
}

/// Tokens of people are none of services.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_internal_listener_takes_no_token_of_a_person() {
    let stage = Stage::build().await;
    let client = reqwest::Client::new();
    let internal = stage.shop.internal();
    for path in PRIVATE.into_iter().chain(["/", "/api/v1/products", "/openapi.json", "/docs/"]) {
        for bearer in ["", "Bearer x.y.z", stage.admin.bearer.as_str()] {
            let request = client.post(format!("{internal}{path}")).header("authorization", bearer).json(&json!(null));
            assert_eq!(request.send().await.unwrap().status(), 401, "{path} with `{bearer:.12}`");
        }
        let bare = client.post(format!("{internal}{path}")).send().await.unwrap();
        assert_eq!(bare.status(), 401, "{path}");
    }
}

/// The management listener shows how the process is, and nothing of the shop.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_management_listener_has_nothing_of_the_shop() {
    let stage = Stage::build().await;
    let client = reqwest::Client::new();
    let management = &stage.shop.management;
    for path in ["/api/v1/products", "/api/v1/users", "/internal/v1/user/verifying_keys", "/openapi.json", "/docs/"] {
        let request = client.get(format!("{management}{path}")).header("authorization", &stage.admin.bearer);
        assert_eq!(request.send().await.unwrap().status(), 404, "{path}");
    }
    for path in ["/health/live", "/health/ready", "/metrics", "/info"] {
        assert_eq!(client.get(format!("{management}{path}")).send().await.unwrap().status(), 200, "{path}");
        assert_ne!(client.post(format!("{management}{path}")).send().await.unwrap().status(), 200, "POST {path}");
    }
    // A person's token in a metric would be a token in somebody's monitoring.
    let metrics = client.get(format!("{management}/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("eshopz_") && !metrics.contains("eyJ"), "a token is shown");
}
