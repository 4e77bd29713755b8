//! Codes by time (RFC 6238) as authenticator apps make them: HMAC-SHA-1, six digits, a new one every 30 seconds.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// Bytes of a secret: as many as the hash has (RFC 4226, section 4, R6).
pub const SECRET_BYTES: usize = 20;
/// Seconds of a time step.
const STEP: i64 = 30;
/// Steps by which the clock of a telephone may be off.
const DRIFT: i64 = 1;
/// 10 to the power of the digits.
const MODULUS: u32 = 1_000_000;
/// In the app, before the account's name.
const ISSUER: &str = "EShopz";

/// A shared secret.
pub struct Secret(Vec<u8>);

impl Secret {
    #[must_use]
    pub fn generate() -> Self {
        Self(rand::random::<[u8; SECRET_BYTES]>().to_vec())
    }

    #[must_use]
    pub const fn of(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As it is typed into an app.
    #[must_use]
    pub fn base32(&self) -> String {
        BASE32_NOPAD.encode(&self.0)
    }

    /// What a QR code of it holds (Google's key URI format).
    #[must_use]
    pub fn uri(&self, account: &str) -> String {
        let account = percent_encoding::utf8_percent_encode(account, percent_encoding::NON_ALPHANUMERIC);
        format!(
            "otpauth://totp/{ISSUER}:{account}?secret={}&issuer={ISSUER}&algorithm=SHA1&digits=6&period={STEP}",
            self.base32()
        )
    }

    /// The time step of a code, if it is of now or of a step beside it, and later than those that were used.
    #[must_use]
    pub fn step_of(&self, code: &str, unix_seconds: i64, last_used: i64) -> Option<i64> {
        let now = unix_seconds.div_euclid(STEP);
        // All of them are computed, so that the time says nothing of which it was.
        let steps = (now - DRIFT)..=(now + DRIFT);
        steps.filter(|step| same(&self.code(*step), code)).filter(|step| *step > last_used).max()
    }

    /// RFC 4226, 5.3.
    fn code(&self, step: i64) -> String {
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&self.0) else { return String::new() };
        mac.update(&step.to_be_bytes());
        let digest = mac.finalize().into_bytes();
        let offset = usize::from(digest.last().copied().unwrap_or_default() & 0x0f);
        let word = digest.get(offset..offset + 4).and_then(|four| <[u8; 4]>::try_from(four).ok()).unwrap_or_default();
        format!("{:06}", (u32::from_be_bytes(word) & 0x7fff_ffff) % MODULUS)
    }
}

/// Whether two texts are the same, in a time that does not tell where they differ.
fn same(expected: &str, given: &str) -> bool {
    let differing = expected.bytes().zip(given.bytes()).fold(0, |all, (one, other)| all | (one ^ other));
    !expected.is_empty() && expected.len() == given.len() && differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, whose codes have eight digits: of these the last six.
    #[test]
    fn the_codes_are_those_of_the_standard() {
        let secret = Secret::of(b"12345678901234567890".to_vec());
        for (time, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret.code(time / STEP), code);
            assert_eq!(secret.step_of(code, time, 0), Some(time / STEP));
        }
    }

    #[test]
    fn a_code_is_good_a_step_around_its_time_and_once() {
        let secret = Secret::generate();
        let now = 1_700_000_010;
        let step = now / STEP;
        for (age, good) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let code = secret.code(step + age);
            assert_eq!(secret.step_of(&code, now, 0), good.then_some(step + age), "{age}");
        }
        let code = secret.code(step);
        assert_eq!(secret.step_of(&code, now, step), None);
        assert_eq!(secret.step_of(&secret.code(step + 1), now, step), Some(step + 1));
        assert_eq!(secret.step_of(&secret.code(step - 1), now, step), None);
        for bad in ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦"] {
            assert_eq!(secret.step_of(bad, now, 0), None, "{bad}");
        }
    }

    #[test]
    fn an_app_can_read_it() {
        let secret = Secret::of(b"12345678901234567890".to_vec());
        assert_eq!(secret.base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(
            secret.uri("ann+x@example.com"),
            "otpauth://totp/EShopz:ann%2Bx%40example%2Ecom?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=EShopz&algorithm=SHA1&digits=6&period=30"
        );
        assert_eq!(Secret::generate().bytes().len(), SECRET_BYTES);
    }
}
