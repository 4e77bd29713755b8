//! The token by which a guest holds a cart. It is shown once; only its SHA-256 is kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// What is kept of a guest's token.
#[derive(Clone, Debug)]
pub struct TokenHash([u8; 32]);

/// A new token, 32 random bytes in base64url, and what is kept of it.
#[must_use]
pub fn issue() -> (String, TokenHash) {
    let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let hash = TokenHash::of(&token);
    (token, hash)
}

impl TokenHash {
    /// Of a token as it was presented, whatever it is.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// For the row.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.0.to_vec()
    }

    /// Compares with a row's hash in the same time wherever they differ.
    #[must_use]
    pub fn matches(&self, stored: &[u8]) -> bool {
        let difference = self.0.iter().zip(stored).fold(0_u8, |all, (mine, theirs)| all | (mine ^ theirs));
        stored.len() == self.0.len() && difference == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_matches() {
        let (token, hash) = issue();
        assert_eq!(token.len(), 43);
        assert!(TokenHash::of(&token).matches(&hash.to_vec()));
        let (other, _) = issue();
        assert!(!TokenHash::of(&other).matches(&hash.to_vec()));
        assert!(!TokenHash::of(&token).matches(&[]));
        assert!(!TokenHash::of("").matches(&hash.to_vec()));
    }
}
