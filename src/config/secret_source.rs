//! Where secrets come from, as it is written in a setting.

use std::fmt;
use std::str::FromStr;

/// `env`, or `aws:` and the names of secrets in AWS Secrets Manager.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SecretSource {
    /// The environment.
    #[default]
    Env,
    /// These secrets, by name or ARN; what a later one says counts more.
    Aws(Vec<String>),
}

impl FromStr for SecretSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "env" {
            return Ok(Self::Env);
        }
        let names = text.strip_prefix("aws:").ok_or("must be `env`, or `aws:` and the name of a secret")?;
        let names: Vec<String> = names.split(',').map(|name| name.trim().to_owned()).collect();
        if names.iter().any(String::is_empty) {
            return Err("name the secret after `aws:`, as in aws:eshopz/production".to_owned());
        }
        Ok(Self::Aws(names))
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env => f.write_str("env"),
            Self::Aws(names) => write!(f, "aws:{}", names.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_read_as_it_is_written() {
        for text in ["env", "aws:shop", "aws:arn:aws:secretsmanager:eu-west-1:1:secret:shop-AbC,shop/gateway"] {
            assert_eq!(text.parse::<SecretSource>().unwrap().to_string(), text);
        }
        assert_eq!("aws:a, b".parse(), Ok(SecretSource::Aws(vec!["a".to_owned(), "b".to_owned()])));
        for bad in ["", "aws", "aws:", "aws:a,,b", "vault:a", "ENV"] {
            assert!(bad.parse::<SecretSource>().is_err(), "{bad}");
        }
    }
}
