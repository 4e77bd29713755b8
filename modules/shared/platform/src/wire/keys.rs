//! Service tokens: how a process shows that it belongs to the shop. JWTs signed with a key that all
//! processes derive from a secret they share; each is good for one called module and one minute.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use eshopz_kernel::Fault;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::protocol::TOKEN_INVALID;

/// The issuer of every service token.
pub const SERVICE_ISSUER: &str = "eshopz-service";

/// How long a token is good, in seconds.
const LIFE: i64 = 60;
/// How long it is used: half of its life, so that none expires on the way.
const USE: Duration = Duration::from_secs(30);
/// How long a token is taken after its end, in seconds: clocks differ a little.
const LEEWAY: u64 = 5;
/// How far in the future a token may have been made, in seconds: a process with a clock that is fast is one of
/// ours all the same. What its tokens may do is bounded by their end.
const AHEAD: i64 = 60;
/// No token may be good for longer, in seconds, by its own clock or ours: it would outlive a rotation of the
/// secret, which may have been made because the old one is known.
const LONGEST_LIFE: i64 = 300;
/// What the key is derived for. A secret has other uses too, and none may sign for another.
const PURPOSE: &[u8] = b"eshopz service tokens 1";

/// The claims of a service token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceClaims {
    pub iss: String,
    /// The module that calls.
    pub sub: String,
    /// The module that is called.
    pub aud: String,
    /// Seconds since 1970.
    pub iat: i64,
    /// Seconds since 1970.
    pub exp: i64,
}

/// The keys that service tokens are signed and checked with. Clones share them, so that a rotation reaches
/// every neighbour and listener of the process.
#[derive(Clone)]
pub struct ServiceKeys(Arc<RwLock<Ring>>);

struct Ring {
    signing: EncodingKey,
    /// The signing key's own first.
    checking: Vec<DecodingKey>,
    /// Caller and audience → a token and when it was made.
    tokens: HashMap<(String, String), (String, Instant)>,
}

impl fmt::Debug for ServiceKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceKeys").finish_non_exhaustive()
    }
}

impl ServiceKeys {
    /// Keys derived from secrets: the first signs, all of them check.
    ///
    /// # Errors
    /// Internal, when there is no secret or an empty one.
    pub fn new(secrets: Vec<String>) -> Result<Self, Fault> {
        Ok(Self(Arc::new(RwLock::new(Ring::of(&secrets)?))))
    }

    /// Takes other secrets. For a rotation without a refused call, the new one is first added behind the old
    /// in every process, then put before it, then the old one is dropped.
    ///
    /// # Errors
    /// Those of [`Self::new`]; the keys are then unchanged.
    pub fn replace(&self, secrets: Vec<String>) -> Result<(), Fault> {
        let ring = Ring::of(&secrets)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = ring;
        Ok(())
    }

    /// A token by which `caller` may call the module `audience`.
    ///
    /// # Errors
    /// Internal, when it cannot be signed.
    pub fn token(&self, caller: &str, audience: &str) -> Result<String, Fault> {
        let key = (caller.to_owned(), audience.to_owned());
        let ring = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((token, made)) = ring.tokens.get(&key)
            && made.elapsed() < USE
        {
            return Ok(token.clone());
        }
        drop(ring);
        let mut ring = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let token = ring.sign(caller, audience)?;
        ring.tokens.insert(key, (token.clone(), Instant::now()));
        Ok(token)
    }

    /// Checks signature, times, issuer and audience. A token that was not made yet, or is good for longer
    /// than any of ours, is refused as well.
    ///
    /// # Errors
    /// 401 `service_token_invalid`.
    pub fn check(&self, token: &str, audience: &str) -> Result<ServiceClaims, Fault> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[SERVICE_ISSUER]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.leeway = LEEWAY;
        let ring = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut refusal = None;
        for key in &ring.checking {
            match jsonwebtoken::decode::<ServiceClaims>(token, key, &validation) {
                Ok(data) => return plausible(data.claims),
                // Another key may fit; whatever else is wrong is wrong with every key.
                Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => refusal = Some(error),
                Err(error) => return Err(refused(&error)),
            }
        }
        Err(refusal.map_or_else(invalid, |error| refused(&error)))
    }
}

impl Ring {
    fn of(secrets: &[String]) -> Result<Self, Fault> {
        let (first, _) = secrets.split_first().ok_or_else(|| Fault::internal("no secret for service tokens"))?;
        let checking = secrets.iter().map(|secret| Ok(DecodingKey::from_secret(&derive(secret)?)));
        Ok(Self {
            signing: EncodingKey::from_secret(&derive(first)?),
            checking: checking.collect::<Result<_, Fault>>()?,
            tokens: HashMap::new(),
        })
    }

    fn sign(&self, caller: &str, audience: &str) -> Result<String, Fault> {
        let now = chrono::Utc::now().timestamp();
        let claims = ServiceClaims {
            iss: SERVICE_ISSUER.to_owned(),
            sub: caller.to_owned(),
            aud: audience.to_owned(),
            iat: now,
            exp: now + LIFE,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
            .map_err(|error| Fault::internal("service token").caused_by(error))
    }
}

fn derive(secret: &str) -> Result<[u8; 32], Fault> {
    if secret.is_empty() {
        return Err(Fault::internal("an empty secret for service tokens"));
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .map_err(|error| Fault::internal("service key").caused_by(error))?;
    mac.update(PURPOSE);
    Ok(mac.finalize().into_bytes().into())
}

/// The claims, if a process of the shop can have made them.
fn plausible(claims: ServiceClaims) -> Result<ServiceClaims, Fault> {
    let now = chrono::Utc::now().timestamp();
    if claims.iat > now.saturating_add(AHEAD) {
        tracing::warn!(caller = claims.sub, "a service token of the future was refused: do the clocks agree?");
        return Err(invalid());
    }
    let life = claims.exp.saturating_sub(claims.iat.min(now));
    if life > LONGEST_LIFE {
        tracing::warn!(caller = claims.sub, life, "a service token that is good for too long was refused");
        return Err(invalid());
    }
    Ok(claims)
}

fn invalid() -> Fault {
    Fault::unauthenticated(TOKEN_INVALID, "This listener is for the shop's own services, with a token of theirs.")
}

fn refused(error: &jsonwebtoken::errors::Error) -> Fault {
    match error.kind() {
        ErrorKind::InvalidSignature => tracing::warn!(
            "a service token signed with another key was refused: \
             do the processes share ESHOPZ_SECRET_KEY or one database?"
        ),
        ErrorKind::ExpiredSignature => {
            tracing::warn!("an expired service token was refused: do the clocks of the machines agree?");
        }
        _ => tracing::warn!(%error, "a service token was refused"),
    }
    invalid().caused_by(error.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secrets: &[&str]) -> ServiceKeys {
        ServiceKeys::new(secrets.iter().map(|secret| (*secret).to_owned()).collect()).unwrap()
    }

    /// A token with any claims, signed as ours are.
    fn forge(secret: &str, header: &Header, claims: &ServiceClaims) -> String {
        jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(&derive(secret).unwrap())).unwrap()
    }

    fn claims(age: i64) -> ServiceClaims {
        let now = chrono::Utc::now().timestamp();
        ServiceClaims {
            iss: SERVICE_ISSUER.into(),
            sub: "order".into(),
            aud: "product".into(),
            iat: now - age,
            exp: now - age + LIFE,
        }
    }

    #[track_caller]
    fn assert_refused(result: Result<ServiceClaims, Fault>) {
        assert_eq!(result.unwrap_err().code, TOKEN_INVALID);
    }

    #[test]
    fn a_token_opens_its_module_and_no_other() {
        let keys = keys(&["one"]);
        let token = keys.token("order", "product").unwrap();
        let found = keys.check(&token, "product").unwrap();
        assert_eq!((found.sub.as_str(), found.aud.as_str()), ("order", "product"));
        assert_eq!(found.exp - found.iat, LIFE);
        assert_refused(keys.check(&token, "user"));
        assert_refused(keys.check(&token, ""));
    }

    #[test]
    fn a_token_is_used_again_while_it_is_fresh() {
        let keys = keys(&["one"]);
        assert_eq!(keys.token("order", "product").unwrap(), keys.token("order", "product").unwrap());
        assert_ne!(keys.token("order", "product").unwrap(), keys.token("cart", "product").unwrap());
    }

    #[test]
    fn expired_and_foreign_tokens_are_refused() {
        let keys = keys(&["one"]);
        let hs256 = Header::new(Algorithm::HS256);
        assert!(keys.check(&forge("one", &hs256, &claims(LIFE + 2)), "product").is_ok(), "clocks may differ a little");
        assert_refused(keys.check(&forge("one", &hs256, &claims(LIFE + 10)), "product"));
        assert_refused(keys.check(&forge("two", &hs256, &claims(0)), "product"));
        assert_refused(keys.check(&forge("one", &Header::new(Algorithm::HS512), &claims(0)), "product"));
        let other = ServiceClaims { iss: "eshopz".into(), ..claims(0) };
        assert_refused(keys.check(&forge("one", &hs256, &other), "product"));
        assert_refused(keys.check("", "product"));
        assert_refused(keys.check("nonsense", "product"));
    }

    #[test]
    fn a_token_for_too_long_or_of_the_future_is_refused() {
        let keys = keys(&["one"]);
        let hs256 = Header::new(Algorithm::HS256);
        let check = |claims: &ServiceClaims| keys.check(&forge("one", &hs256, claims), "product");
        let lasting = |life| ServiceClaims { exp: claims(0).iat + life, ..claims(0) };
        assert!(check(&lasting(LONGEST_LIFE)).is_ok());
        // The time may go on between the two.
        assert_refused(check(&lasting(LONGEST_LIFE + 5)));
        assert_refused(check(&lasting(i64::from(u32::MAX))));
        assert_refused(check(&claims(-AHEAD - 30)));
        assert_refused(check(&ServiceClaims { iat: i64::MIN, ..claims(0) }));
    }

    #[test]
    fn a_fast_clock_shuts_nobody_out_and_buys_no_time() {
        let keys = keys(&["one"]);
        let check =
            |claims: &ServiceClaims| keys.check(&forge("one", &Header::new(Algorithm::HS256), claims), "product");
        for fast in [6, 30, AHEAD] {
            assert!(check(&claims(-fast)).is_ok(), "{fast} s");
        }
        let of_tomorrow = claims(-AHEAD);
        let lasting = |life| ServiceClaims { exp: of_tomorrow.iat + life, ..of_tomorrow.clone() };
        assert!(check(&lasting(LONGEST_LIFE - AHEAD)).is_ok());
        assert_refused(check(&lasting(LONGEST_LIFE)));
    }

    #[test]
    fn a_token_without_a_signature_is_refused() {
        use base64::Engine as _;
        let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        let body = encode(&serde_json::to_string(&claims(0)).unwrap());
        for token in
            [format!("{}.{body}.", encode(r#"{"alg":"none"}"#)), format!("{}.{body}.", encode(r#"{"alg":"HS256"}"#))]
        {
            assert_refused(keys(&["one"]).check(&token, "product"));
        }
    }

    #[test]
    fn keys_rotate_without_a_refused_call() {
        let (here, there) = (keys(&["old"]), keys(&["old"]));
        let check =
            |from: &ServiceKeys, to: &ServiceKeys| to.check(&from.token("order", "product").unwrap(), "product");
        for secrets in [["old", "new"], ["new", "old"]] {
            here.replace(secrets.map(str::to_owned).to_vec()).unwrap();
            assert!(check(&here, &there).is_ok() && check(&there, &here).is_ok(), "{secrets:?}");
            there.replace(secrets.map(str::to_owned).to_vec()).unwrap();
            assert!(check(&here, &there).is_ok() && check(&there, &here).is_ok(), "{secrets:?}");
        }
        here.replace(vec!["new".to_owned()]).unwrap();
        assert!(check(&here, &there).is_ok() && check(&there, &here).is_ok());
        assert_refused(here.check(&keys(&["old"]).token("order", "product").unwrap(), "product"));
    }

    #[test]
    fn without_a_secret_there_are_no_keys() {
        assert!(ServiceKeys::new(Vec::new()).is_err());
        assert!(ServiceKeys::new(vec![String::new()]).is_err());
        let keys = keys(&["planted-secret"]);
        assert!(keys.replace(Vec::new()).is_err());
        assert!(!format!("{keys:?}").contains("planted"));
    }
}
