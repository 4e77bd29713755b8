//! The secret that RDS, or a template of Secrets Manager, makes for a database: user name, password, host,
//! port, name and engine as members of their own. It becomes one `database_url`.

use serde_json::{Map, Value};

use super::SecretsError;

/// The setting that the parts make up.
const URL: &str = "database_url";
/// The same under the name of its variable.
const URL_VARIABLE: &str = "ESHOPZ_DATABASE_URL";
/// What such a secret says besides, which is no setting.
const PARTS: [&str; 9] = [
    "username",
    "password",
    "host",
    "port",
    "dbname",
    "engine",
    "dbInstanceIdentifier",
    "dbClusterIdentifier",
    "masterarn",
];

/// Puts a URL in place of its parts. A URL that is there already counts more than the parts.
pub(super) fn fold(name: &str, members: &mut Map<String, Value>) -> Result<(), SecretsError> {
    let is_database = members.contains_key("username") && members.contains_key("password");
    if !is_database {
        return Ok(());
    }
    let parts: Map<String, Value> =
        PARTS.iter().filter_map(|part| members.remove(*part).map(|value| ((*part).to_owned(), value))).collect();
    if !members.contains_key(URL) && !members.contains_key(URL_VARIABLE) {
        members.insert(URL.to_owned(), Value::String(url(name, &parts)?));
    }
    Ok(())
}

fn url(name: &str, parts: &Map<String, Value>) -> Result<String, SecretsError> {
    let part = |key: &str| match parts.get(key) {
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(Value::Null) | None => Ok(None),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
            Err(SecretsError::NotText(name.to_owned(), key.to_owned()))
        }
    };
    let engine = part("engine")?.unwrap_or_else(|| "postgres".to_owned());
    if !engine.contains("postgres") {
        return Err(SecretsError::Engine(name.to_owned()));
    }
    let host = part("host")?.ok_or_else(|| SecretsError::NoHost(name.to_owned()))?;
    let (user, password) = (part("username")?.unwrap_or_default(), part("password")?.unwrap_or_default());
    let port = part("port")?.map(|port| format!(":{}", encoded(&port))).unwrap_or_default();
    let database = part("dbname")?.map(|database| format!("/{}", encoded(&database))).unwrap_or_default();
    let host = if host.contains(':') { format!("[{host}]") } else { encoded(&host) };
    Ok(format!("postgres://{}:{}@{host}{port}{database}", encoded(&user), encoded(&password)))
}

/// Percent-encoded, all but what never has a meaning in a URL.
fn encoded(text: &str) -> String {
    let mut url = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn folded(secret: Value) -> Result<Map<String, Value>, SecretsError> {
        let Value::Object(mut members) = secret else { panic!("an object") };
        fold("rds", &mut members).map(|()| members)
    }

    #[test]
    fn the_parts_become_a_url() {
        let secret = json!({
            "username": "shop", "password": "p@ss/w?rd:%é", "host": "db.example", "port": 5433, "dbname": "shop",
            "engine": "postgres", "dbInstanceIdentifier": "shop-1", "redis_url": "redis://cache",
        });
        let expected = json!({
            "database_url": "postgres://shop:p%40ss%2Fw%3Frd%3A%25%C3%A9@db.example:5433/shop",
            "redis_url": "redis://cache",
        });
        assert_eq!(Value::Object(folded(secret).unwrap()), expected);
        let short = folded(json!({"username": "shop", "password": "x", "host": "::1"})).unwrap();
        assert_eq!(Value::Object(short), json!({"database_url": "postgres://shop:x@[::1]"}));
    }

    #[test]
    fn a_url_beside_the_parts_counts_more() {
        let both = folded(json!({"username": "a", "password": "b", "host": "c", "ESHOPZ_DATABASE_URL": "d"})).unwrap();
        assert_eq!(Value::Object(both), json!({"ESHOPZ_DATABASE_URL": "d"}));
        let other = json!({"host": "c", "redis_url": "redis://cache"});
        assert_eq!(Value::Object(folded(other.clone()).unwrap()), other);
    }

    #[test]
    fn what_is_missing_is_said() {
        let no_host = folded(json!({"username": "a", "password": "hunter2"})).unwrap_err();
        assert_eq!(no_host, SecretsError::NoHost("rds".to_owned()));
        let other = folded(json!({"username": "a", "password": "b", "host": "c", "engine": "mysql"})).unwrap_err();
        assert_eq!(other, SecretsError::Engine("rds".to_owned()));
    }
}
