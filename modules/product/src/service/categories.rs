//! The category tree.

use std::sync::Arc;

use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_kernel::{CategoryId, Fault};
use eshopz_platform::audit::{self, Entry};
use eshopz_platform::db::StoreError;
use eshopz_platform::http::IfMatch;
use uuid::Uuid;

use super::ProductService;
use crate::domain::handle;
use crate::error::ProductError;
use crate::store;
use crate::store::categories::{CategoryChanges, NewCategory};
use crate::store::rows::Category;

const CATEGORY: ProductError = ProductError::NotFound("category");

/// A category to be made.
#[derive(Clone, Debug)]
pub struct CategoryDraft {
    /// Made of the name when it is not given.
    pub slug: Option<String>,
    pub name: String,
    /// A slug.
    pub parent: Option<String>,
    pub position: i32,
}

/// A change of a category; `None` leaves things as they are.
#[derive(Clone, Debug, Default)]
pub struct CategoryPatch {
    pub slug: Option<String>,
    pub name: Option<String>,
    /// A slug; `Some(None)` makes it a root.
    pub parent: Option<Option<String>>,
    pub position: Option<i32>,
}

impl ProductService {
    /// Categories after a place in the list, by position and slug.
    ///
    /// # Errors
    /// The statement's.
    pub async fn list_categories(
        &self,
        parent: Option<&str>,
        after: Option<&(i32, String)>,
        limit: usize,
    ) -> Result<Arc<Vec<Category>>, ProductError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        if !self.shelf.is_in_memory() {
            let mut conn = self.db.read_conn().await?;
            return Ok(Arc::new(store::categories::list(&mut conn, parent, after, limit).await?));
        }
        // What is kept comes from the writer: a replica may not have heard of the last change.
        let load = async {
            let mut conn = self.db.conn().await?;
            let rows = store::categories::list(&mut conn, parent, after, limit).await.map_err(StoreError::from)?;
            Ok::<_, Fault>(Arc::new(rows))
        };
        Ok(self.shelf.pages.get(&format!("{parent:?} {after:?} {limit}"), load).await?)
    }

    /// A category by its slug.
    ///
    /// # Errors
    /// [`ProductError::NotFound`].
    pub async fn find_category(&self, slug: &str) -> Result<Category, ProductError> {
        let mut conn = self.db.conn().await?;
        store::categories::by_slug(&mut conn, checked(slug)?).await?.ok_or(CATEGORY)
    }

    /// Makes a category.
    ///
    /// # Errors
    /// [`ProductError::SlugTaken`], [`ProductError::UnknownCategory`].
    pub async fn create_category(&self, draft: CategoryDraft) -> Result<Category, ProductError> {
        let mut conn = self.db.conn().await?;
        let created = (*conn)
            .transaction(async |conn| {
                let parent_id = match &draft.parent {
                    Some(slug) => Some(parent_id(conn, slug).await?),
                    None => None,
                };
                let slug = draft.slug.unwrap_or_else(|| handle::from_title(&draft.name));
                let id = CategoryId::new().uuid();
                let new = NewCategory { id, slug, name: draft.name, parent_id, position: draft.position };
                store::categories::insert(conn, &new).await?;
                note(conn, "category.created", id, &new.slug).await?;
                store::categories::by_slug(conn, &new.slug).await?.ok_or(CATEGORY)
            })
            .await
            .map_err(ProductError::by_constraint)?;
        drop(conn);
        self.shelf.tree_changed().await;
        Ok(created)
    }

    /// Changes a category, or moves it with all below it.
    ///
    /// # Errors
    /// [`ProductError::NotFound`], [`ProductError::SlugTaken`], [`ProductError::UnknownCategory`],
    /// [`ProductError::CategoryCycle`]; 412 by `if_match`.
    pub async fn update_category(
        &self,
        slug: &str,
        patch: CategoryPatch,
        if_match: &IfMatch,
    ) -> Result<Category, ProductError> {
        let slug = checked(slug)?;
        let mut conn = self.db.conn().await?;
        let updated = (*conn)
            .transaction(async |conn| {
                let parent_id = match patch.parent {
                    None => None,
                    Some(parent) => {
                        store::categories::lock_tree(conn).await?;
                        match parent {
                            None => Some(None),
                            Some(parent) => Some(Some(parent_id(conn, &parent).await?)),
                        }
                    }
                };
                let locked = store::categories::lock(conn, slug).await?.ok_or(CATEGORY)?;
                if_match.check(locked.version)?;
                if let Some(Some(parent)) = parent_id
                    && store::categories::is_at_or_above(conn, locked.id, parent).await?
                {
                    return Err(ProductError::CategoryCycle);
                }
                let CategoryPatch { slug: new_slug, name, position, .. } = patch;
                let now = new_slug.clone().unwrap_or(locked.slug);
                let changes = CategoryChanges { slug: new_slug, name, parent_id, position };
                store::categories::update(conn, locked.id, &changes).await?;
                note(conn, "category.updated", locked.id, &now).await?;
                store::categories::by_slug(conn, &now).await?.ok_or(CATEGORY)
            })
            .await
            .map_err(ProductError::by_constraint)?;
        drop(conn);
        self.shelf.tree_changed().await;
        if updated.slug != slug {
            self.slug_changed(updated.id).await;
        }
        Ok(updated)
    }

    /// Products show the slug of their category. Which they are is asked after the commit: whoever is put
    /// into the category later has the new one.
    async fn slug_changed(&self, category: Uuid) {
        match self.products_of(category).await {
            Ok(products) => self.shelf.changed(products).await,
            Err(error) => {
                tracing::warn!(%error, "products show their category's old slug until their copies end");
                self.shelf.forget_all_here();
            }
        }
    }

    async fn products_of(&self, category: Uuid) -> Result<Vec<Uuid>, ProductError> {
        let mut conn = self.db.conn().await?;
        Ok(store::products::of_category(&mut conn, category).await?)
    }

    /// Removes a category.
    ///
    /// # Errors
    /// [`ProductError::NotFound`], [`ProductError::CategoryInUse`]; 412 by `if_match`.
    pub async fn delete_category(&self, slug: &str, if_match: &IfMatch) -> Result<(), ProductError> {
        let slug = checked(slug)?;
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                let locked = store::categories::lock(conn, slug).await?.ok_or(CATEGORY)?;
                if_match.check(locked.version)?;
                store::categories::delete(conn, locked.id).await?;
                note(conn, "category.deleted", locked.id, slug).await
            })
            .await
            .map_err(ProductError::by_constraint)?;
        drop(conn);
        self.shelf.tree_changed().await;
        Ok(())
    }
}

/// Notes in the audit log what was done to a category, which is known by its slug.
async fn note(conn: &mut AsyncPgConnection, action: &'static str, id: Uuid, slug: &str) -> Result<(), ProductError> {
    Ok(audit::record(conn, &Entry::new(action, "category", id).with("slug", slug)).await?)
}

/// A slug from a path: PostgreSQL takes no text with a NUL in it.
fn checked(slug: &str) -> Result<&str, ProductError> {
    if slug.contains('\0') { Err(CATEGORY) } else { Ok(slug) }
}

async fn parent_id(conn: &mut AsyncPgConnection, slug: &str) -> Result<Uuid, ProductError> {
    store::categories::id_of(conn, slug).await?.ok_or(ProductError::UnknownCategory { field: "/parent" })
}
