//! `UserApi`.

use std::sync::Arc;

use eshopz_kernel::{FaultKind, Role, SessionId, UserId};
use eshopz_user_api::{ExportPart, UserApi};
use serde_json::json;
use uuid::Uuid;

use super::{Record, World, here_and_away};

here_and_away!(suite, user);

async fn suite(api: Arc<dyn UserApi>, world: &World) -> Record {
    let mut record = Record::default();
    world.user.prepare().await.unwrap();
    let keys = api.verifying_keys().await.unwrap();
    assert!(!keys.is_empty() && keys.iter().all(|key| !key.kid.is_empty() && key.x.len() == 43));
    assert_eq!(api.verifying_keys().await.unwrap(), keys);
    accounts(&*api, world, &mut record).await;
    sessions(&*api, world, &mut record).await;
    exports(&*api, world, &mut record).await;
    record
}

/// An account, with one session that is good.
async fn account(world: &World, name: &str, role: &str) -> (UserId, SessionId) {
    let (user, session) = (UserId::new(), SessionId::new());
    world
        .plant(&format!(
            "INSERT INTO users.users (id, email, full_name, role) VALUES ('{user}', '{role}@example.com', '{name}', '{role}'); \
             INSERT INTO users.sessions (id, user_id, expires_at) VALUES ('{session}', '{user}', now() + interval '1 day')"
        ))
        .await;
    (user, session)
}

async fn accounts(api: &dyn UserApi, world: &World, record: &mut Record) {
    let (user, _) = account(world, "Ада 🧮 \"Love\" \\ lace", "admin").await;
    let found = record.note("an account", api.user(user).await).unwrap();
    assert_eq!((found.id, found.role, found.full_name.as_str()), (user, Role::Admin, "Ада 🧮 \"Love\" \\ lace"));
    let fault = record.note("nobody", api.user(UserId::new()).await).unwrap_err();
    assert_eq!((fault.kind, fault.code.as_ref()), (FaultKind::NotFound, "not_found"));
    world
        .plant(&format!(
            "UPDATE users.users SET deleted_at = now(), email = 'deleted+{user}@invalid', full_name = '' WHERE id = '{user}'"
        ))
        .await;
    assert_eq!(record.note("a deleted one", api.user(user).await).unwrap_err().kind, FaultKind::NotFound);
}

async fn sessions(api: &dyn UserApi, world: &World, record: &mut Record) {
    assert_eq!(record.note("no session", api.session_role(SessionId::new()).await).unwrap(), None);
    let (user, session) = account(world, "Ann", "customer").await;
    assert_eq!(record.note("a session", api.session_role(session).await).unwrap(), Some(Role::Customer));
    for (change, back, after) in [
        ("users SET role = 'admin'", "users SET role = 'customer'", Some(Role::Admin)),
        ("users SET disabled_at = now()", "users SET disabled_at = NULL", None),
        ("sessions SET expires_at = now()", "sessions SET expires_at = now() + interval '1 day'", None),
        ("sessions SET revoked_at = now()", "sessions SET revoked_at = NULL", None),
    ] {
        let column = if change.starts_with("users") { format!("id = '{user}'") } else { format!("id = '{session}'") };
        world.plant(&format!("UPDATE users.{change} WHERE {column}")).await;
        assert_eq!(record.note(change, api.session_role(session).await).unwrap(), after);
        world.plant(&format!("UPDATE users.{back} WHERE {column}")).await;
        assert_eq!(record.note("as before", api.session_role(session).await).unwrap(), Some(Role::Customer));
    }
}

async fn exports(api: &dyn UserApi, world: &World, record: &mut Record) {
    let (export_id, user) = (Uuid::now_v7(), UserId::new());
    let part = |number, text: &str| ExportPart {
        export_id,
        module: "order".to_owned(),
        number,
        is_last: true,
        document: json!({"orders": [{"email": text, "name": "Ада 🧮 \"Love\" \\ lace"}]}),
    };
    record.note("nobody waits for it", api.deliver_export(part(0, "lost")).await).unwrap();
    world
        .plant(&format!(
            "INSERT INTO users.users (id, email, full_name) VALUES ('{user}', 'export@example.com', 'Ann'); \
             INSERT INTO users.exports (id, user_id) VALUES ('{export_id}', '{user}')"
        ))
        .await;
    for (number, text) in [(0, "first"), (1, "second"), (1, "second"), (0, "again")] {
        record.note("a part", api.deliver_export(part(number, text)).await).unwrap();
    }
    let rows = "SELECT document::text FROM users.export_parts ORDER BY number";
    let kept: Vec<String> =
        world.db.owner().await.query(rows, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert!(kept.len() == 2 && kept[0].contains("again") && kept[1].contains("second"), "{kept:?}");
    assert!(kept[0].contains("🧮"), "{kept:?}");
}
