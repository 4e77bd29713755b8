//! What should hold between the module's rows and what no constraint can hold.

use diesel::prelude::QueryableByName;
use diesel::result::QueryResult;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::db::Single as _;

/// A rule: its name, how many rows it is about, and which break it.
pub struct Rule {
    pub name: &'static str,
    count: &'static str,
    broken: &'static str,
}

/// The rules of the module's own tables.
pub const RULES: [Rule; 5] = [
    Rule {
        name: "session_has_one_good_token",
        count: "SELECT count(*) AS n FROM sessions WHERE revoked_at IS NULL AND expires_at > now()",
        broken: "SELECT s.id::text AS subject, format('%s unspent refresh tokens, expected 1', count(t.hash)) AS detail \
                 FROM sessions s LEFT JOIN refresh_tokens t ON t.session_id = s.id AND t.spent_at IS NULL \
                 WHERE s.revoked_at IS NULL AND s.expires_at > now() GROUP BY s.id HAVING count(t.hash) <> 1",
    },
    Rule {
        name: "one_default_address",
        count: "SELECT count(DISTINCT user_id) AS n FROM addresses",
        broken: "SELECT user_id::text AS subject, \
                        format('%s of %s addresses are the default, expected 1', \
                               count(*) FILTER (WHERE is_default), count(*)) AS detail \
                 FROM addresses GROUP BY user_id HAVING count(*) FILTER (WHERE is_default) <> 1",
    },
    Rule {
        name: "deleted_account_is_empty",
        count: "SELECT count(*) AS n FROM users WHERE deleted_at IS NOT NULL",
        broken: "SELECT u.id::text AS subject, \
                        format('still has %s addresses, %s sessions, %s mailed tokens and letters, and %s parts of a second \
                               factor', a.n, s.n, m.n, f.n) AS detail \
                 FROM users u \
                 CROSS JOIN LATERAL (SELECT count(*) AS n FROM addresses WHERE user_id = u.id) a \
                 CROSS JOIN LATERAL (SELECT count(*) AS n FROM sessions WHERE user_id = u.id \
                                     AND (revoked_at IS NULL OR address IS NOT NULL OR user_agent IS NOT NULL)) s \
                 CROSS JOIN LATERAL (SELECT (SELECT count(*) FROM mailed_tokens WHERE user_id = u.id) \
                                          + (SELECT count(*) FROM letters WHERE user_id = u.id) AS n) m \
                 CROSS JOIN LATERAL (SELECT (SELECT count(*) FROM second_factors WHERE user_id = u.id) \
                                          + (SELECT count(*) FROM recovery_codes WHERE user_id = u.id) AS n) f \
                 WHERE u.deleted_at IS NOT NULL AND a.n + s.n + m.n + f.n > 0",
    },
    Rule {
        name: "second_factor_is_whole",
        count: "SELECT count(*) AS n FROM users WHERE second_factor_at IS NOT NULL",
        broken: "SELECT id::text AS subject, 'needs codes of a second factor that it does not have' AS detail FROM users u \
                 WHERE second_factor_at IS NOT NULL \
                 AND NOT EXISTS (SELECT FROM second_factors f WHERE f.user_id = u.id)",
    },
    Rule {
        name: "account_can_sign_in",
        count: "SELECT count(*) AS n FROM users WHERE deleted_at IS NULL",
        broken: "SELECT id::text AS subject, 'has no Argon2id password hash' AS detail FROM users \
                 WHERE deleted_at IS NULL AND password_hash NOT LIKE '$argon2id$%' IS NOT FALSE",
    },
];

/// A row that breaks a rule.
#[derive(QueryableByName)]
pub struct Broken {
    #[diesel(sql_type = Text)]
    pub subject: String,
    #[diesel(sql_type = Text)]
    pub detail: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

impl Rule {
    pub async fn count(&self, conn: &mut AsyncPgConnection) -> QueryResult<i64> {
        sql_query(self.count).single::<Count>(conn).await.map(|count| count.n)
    }

    pub async fn broken(&self, conn: &mut AsyncPgConnection) -> QueryResult<Vec<Broken>> {
        sql_query(self.broken).load(conn).await
    }
}
