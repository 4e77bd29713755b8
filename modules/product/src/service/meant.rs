//! Which words were meant: the catalogue's vocabulary as this process knows it.

use std::sync::{PoisonError, RwLock};

use diesel::QueryResult;
use diesel_async::AsyncPgConnection;

use crate::domain::vocabulary::Vocabulary;
use crate::store;

/// The words that have been read so far. Each correction first reads those that have come since.
#[derive(Default)]
pub struct Meant(RwLock<Known>);

#[derive(Default)]
struct Known {
    vocabulary: Vocabulary,
    /// It has the words of all transactions before this one.
    all_before: i64,
}

impl Meant {
    /// Whether one of the words is none of the catalogue's, the last of which need not be whole. It is told by what was
    /// read last, so it may be wrong; before anything was read nothing is said to be unknown.
    pub fn unknown(&self, before: &[String], last: &str) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.all_before > 0
            && !(known.vocabulary.has_begun(last) && before.iter().all(|word| known.vocabulary.has(word)))
    }

    /// For each word those that may have been meant, itself first: it may be one of a description, which the vocabulary
    /// does not have. `None` if none of them has others.
    pub async fn instead(
        &self,
        conn: &mut AsyncPgConnection,
        words: Vec<String>,
    ) -> QueryResult<Option<Vec<Vec<String>>>> {
        self.learn(conn).await?;
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let groups: Vec<Vec<String>> = words
            .into_iter()
            .map(|typed| {
                let nearest: Vec<String> = known.vocabulary.nearest(&typed).into_iter().map(str::to_owned).collect();
                std::iter::once(typed).chain(nearest).collect()
            })
            .collect();
        Ok(groups.iter().any(|group| group.len() > 1).then_some(groups))
    }

    async fn learn(&self, conn: &mut AsyncPgConnection) -> QueryResult<()> {
        let seen = self.0.read().unwrap_or_else(PoisonError::into_inner).all_before;
        let learnt = store::words::since(conn, seen).await?;
        if learnt.words.is_empty() && learnt.all_before <= seen {
            return Ok(());
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.vocabulary.learn(learnt.words);
        // Another may have read later than this; a replica may be behind what was read elsewhere.
        known.all_before = known.all_before.max(learnt.all_before);
        Ok(())
    }
}
