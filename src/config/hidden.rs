//! A setting that nobody may read in a log.

use std::fmt;
use std::ops::Deref;

/// A secret, or a URL that may hold one. It is text to whoever uses it and `***` to whoever prints it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hidden(String);

impl Deref for Hidden {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Hidden {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Hidden {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_but_not_shown() {
        let hidden = Hidden::from("hunter2");
        assert_eq!(&*hidden, "hunter2");
        assert_eq!(format!("{hidden:?} {:?}", Some(&hidden)), "*** Some(***)");
    }
}
