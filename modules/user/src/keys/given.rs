//! Keys that the operator gives, from a secret store. They are in no database.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use eshopz_user_api::VerifyingKey;

use super::ring::{Entry, Ring, Signer};
use super::{Timing, thumbprint};
use crate::error::UserError;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// A private key of the operator's.
#[derive(Clone)]
pub struct GivenKey {
    public: VerifyingKey,
    signer: Arc<Signer>,
}

impl fmt::Debug for GivenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GivenKey").field("kid", &self.public.kid).finish_non_exhaustive()
    }
}

/// Reads Ed25519 keys in PKCS#8 PEM, as `openssl genpkey -algorithm ed25519` writes them, one after the
/// other. The first of them signs; all of them are published.
///
/// # Errors
/// [`UserError::GivenKeys`], which says what is wrong, and with which one, but nothing of a key.
pub fn parse_signing_keys(pem: &str) -> Result<Vec<GivenKey>, UserError> {
    let mut keys: Vec<GivenKey> = Vec::new();
    let mut rest = pem.trim();
    while !rest.is_empty() {
        let number = keys.len() + 1;
        let wrong = |what: &str| UserError::GivenKeys(format!("key {number} {what}"));
        let block = rest.strip_prefix(BEGIN).ok_or_else(|| wrong(&format!("does not begin with `{BEGIN}`")))?;
        let (block, after) = block.split_once(END).ok_or_else(|| wrong(&format!("has no `{END}`")))?;
        let text: String = block.chars().filter(|character| !character.is_whitespace()).collect();
        // What the libraries would say of it may quote it.
        let der = STANDARD.decode(text).map_err(|_| wrong("is not base64"))?;
        let key = SigningKey::from_pkcs8_der(&der).map_err(|_| wrong("is no Ed25519 key in PKCS#8"))?;
        let key = GivenKey::new(&key).ok_or_else(|| wrong("cannot be used"))?;
        if keys.iter().any(|other| other.public == key.public) {
            return Err(wrong("was given before"));
        }
        keys.push(key);
        rest = after.trim_start();
    }
    if keys.is_empty() { Err(UserError::GivenKeys("there is no key".to_owned())) } else { Ok(keys) }
}

impl GivenKey {
    fn new(key: &SigningKey) -> Option<Self> {
        let x = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
        let kid = thumbprint(&x);
        let der = key.to_pkcs8_der().ok()?;
        let signer = Arc::new(Signer::new(kid.clone(), der.as_bytes()));
        Some(Self { public: VerifyingKey { kid, x }, signer })
    }

    fn entry(&self, signs_from: Instant) -> Entry {
        Entry { public: self.public.clone(), signer: Some(Arc::clone(&self.signer)), signs_from, shown_until: None }
    }
}

/// The ring of a process that starts: the first key signs.
pub fn ring(keys: &[GivenKey], now: Instant) -> Ring {
    Ring(keys.iter().rev().map(|key| key.entry(now)).collect())
}

/// The ring after the operator gave other keys. A key that was not among the old ones signs once
/// everybody has had time to see it; until then the old ones do, and they stay for as long as a token
/// of theirs may be about.
pub fn replaced(old: &Ring, keys: &[GivenKey], timing: Timing, now: Instant) -> Ring {
    let left = old.0.iter().filter(|entry| entry.is_shown(now) && keys.iter().all(|key| key.public != entry.public));
    let left = left.cloned().map(|mut entry| {
        entry.shown_until.get_or_insert(now + timing.announced + timing.kept);
        entry
    });
    let signs_from = |key: &GivenKey| match old.find(&key.public.kid) {
        Some(known) if known.is_shown(now) => known.signs_from,
        _ => now + timing.announced,
    };
    Ring(left.chain(keys.iter().rev().map(|key| key.entry(signs_from(key)))).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::settings::UserSettings;

    fn pem(seed: u8) -> String {
        let der = SigningKey::from_bytes(&[seed; 32]).to_pkcs8_der().unwrap();
        format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(der.as_bytes()))
    }

    fn kid(seed: u8) -> String {
        parse_signing_keys(&pem(seed)).unwrap()[0].public.kid.clone()
    }

    fn signing(ring: &Ring, now: Instant) -> String {
        let signer = ring.signer(now).unwrap();
        ring.0
            .iter()
            .find(|entry| entry.signer.as_deref().is_some_and(|own| std::ptr::eq(own, signer)))
            .unwrap()
            .public
            .kid
            .clone()
    }

    fn shown(ring: &Ring, now: Instant) -> Vec<String> {
        let mut kids: Vec<String> = ring.shown(now).into_iter().map(|key| key.kid).collect();
        kids.sort();
        kids
    }

    fn sorted(seeds: &[u8]) -> Vec<String> {
        let mut kids: Vec<String> = seeds.iter().map(|seed| kid(*seed)).collect();
        kids.sort();
        kids
    }

    #[test]
    fn openssls_keys_are_read() {
        // RFC 8410, 10.3, and its public key.
        let text = "-----BEGIN PRIVATE KEY-----\n\
                    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                    -----END PRIVATE KEY-----\n";
        let both = parse_signing_keys(&format!("\n{text}\n\r\n{}", pem(1))).unwrap();
        assert_eq!(both.len(), 2);
        assert_eq!(both[0].public.x, "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE");
    }

    #[test]
    fn what_is_wrong_is_told_without_the_key() {
        let good = pem(1);
        let secret = good.lines().nth(1).unwrap();
        let der = STANDARD.decode(secret).unwrap();
        for (text, told) in [
            (String::new(), "there is no key"),
            (secret.to_owned(), "key 1 does not begin"),
            (good.replace(END, ""), "key 1 has no"),
            (format!("{good}{}", good.replacen("\nM", "\n*", 1)), "key 2 is not base64"),
            (format!("{BEGIN}\n{}\n{END}", STANDARD.encode(&der[2..])), "key 1 is no Ed25519 key"),
            (good.replace("PRIVATE", "EC PRIVATE"), "key 1 does not begin"),
            (good.repeat(2), "key 2 was given before"),
        ] {
            let error = parse_signing_keys(&text).unwrap_err().to_string();
            assert!(error.contains(told) && error.contains("ESHOPZ_SIGNING_KEYS"), "{error}");
            assert!(!error.contains(&secret[20..30]), "{error}");
        }
        let key = &parse_signing_keys(&good).unwrap()[0];
        assert_eq!(format!("{key:?}"), format!("GivenKey {{ kid: \"{}\", .. }}", kid(1)));
    }

    #[test]
    fn a_new_key_is_shown_before_it_signs_and_an_old_one_after() {
        let timing = Timing { announced: Duration::from_secs(180), kept: Duration::from_secs(960) };
        let read = |seeds: &[u8]| parse_signing_keys(&seeds.iter().map(|seed| pem(*seed)).collect::<String>()).unwrap();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let first = ring(&read(&[1]), start);
        assert_eq!(signing(&first, start), kid(1));
        let second = replaced(&first, &read(&[2]), timing, at(0));
        // The same again, and the new one with the old: nothing begins anew.
        let third = replaced(&second, &read(&[2, 1]), timing, at(100));
        for ring in [&second, &replaced(&second, &read(&[2]), timing, at(100)), &third] {
            assert_eq!((signing(ring, at(179)), shown(ring, at(179))), (kid(1), sorted(&[1, 2])));
            assert_eq!((signing(ring, at(180)), shown(ring, at(1139))), (kid(2), sorted(&[1, 2])));
        }
        assert_eq!(shown(&second, at(1140)), [kid(2)]);
        assert_eq!(shown(&third, at(9000)), sorted(&[1, 2]));
        // In two steps: a key that was shown all the while signs at once.
        let swapped = replaced(&ring(&read(&[1, 2]), start), &read(&[2, 1]), timing, at(500));
        assert_eq!(signing(&swapped, at(500)), kid(2));
    }

    /// A process that is given other keys in the course of time.
    struct Process {
        before: Ring,
        after: Ring,
        told_at: Instant,
    }

    impl Process {
        fn ring(&self, now: Instant) -> &Ring {
            if now < self.told_at { &self.before } else { &self.after }
        }
    }

    #[test]
    fn processes_that_are_told_one_after_the_other_take_each_others_tokens() {
        let given = parse_signing_keys(&pem(1)).unwrap();
        let apart = Duration::from_secs(132);
        let settings =
            UserSettings { signing_keys: given.clone(), signing_keys_known_within: apart, ..UserSettings::default() };
        let (timing, life, refresh) = (Timing::of(&settings), settings.access_token_ttl, settings.key_refresh);
        let start = Instant::now() + refresh * 2;
        let processes = [Duration::ZERO, apart / 2, apart].map(|later| {
            let (before, told_at) = (ring(&given, start), start + later);
            // The old key is not even kept behind the new one.
            let after = replaced(&before, &parse_signing_keys(&pem(2)).unwrap(), timing, told_at);
            Process { before, after, told_at }
        });
        for now in (0..600).map(|second| start + Duration::from_secs(second)) {
            for kid in processes.each_ref().map(|process| signing(process.ring(now), now)) {
                // By an answer as old as those that are remembered, and with the token as old as it gets.
                for asked in [now - refresh * 2, now, now + life] {
                    let known = processes.each_ref().map(|process| shown(process.ring(asked), asked));
                    assert!(known.iter().all(|kids| kids.contains(&kid)), "{:?} later: {known:?}", now - start);
                }
            }
        }
    }
}
