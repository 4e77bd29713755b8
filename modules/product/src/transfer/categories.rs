//! The category tree while a file is read: paths are found in it, and what is missing is added under
//! its parent.

use std::collections::HashMap;

use eshopz_kernel::CategoryId;
use uuid::Uuid;

use crate::domain::handle;

/// The longest slug of a category that is made of its name, in characters.
const LONGEST: usize = 100;

/// The longest name.
const LONGEST_NAME: usize = 255;

/// The slug of a name without a letter that a slug can have.
const NAMELESS: &str = "category";

/// A node of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CategoryState {
    pub id: Uuid,
    pub slug: String,
    pub name: String,
    pub parent_id: Option<Uuid>,
}

/// The tree, with the nodes that are to be written.
#[derive(Clone, Debug, Default)]
pub struct CategoryTree {
    nodes: HashMap<Uuid, CategoryState>,
    by_slug: HashMap<String, Uuid>,
    /// Parents before their children.
    fresh: Vec<CategoryState>,
}

impl CategoryTree {
    /// The tree as it is in the shop.
    #[must_use]
    pub fn new(nodes: Vec<CategoryState>) -> Self {
        let mut tree = Self::default();
        for node in nodes {
            tree.insert(node);
        }
        tree
    }

    /// The nodes to be written before the products that are in them.
    #[must_use]
    pub fn fresh(&self) -> &[CategoryState] {
        &self.fresh
    }

    /// They have been written.
    pub fn settle(&mut self) {
        self.fresh.clear();
    }

    /// The category at a path of names from the root down. Slugs, if there are as many, say which is
    /// meant; otherwise it is the child of that name.
    pub fn at(&mut self, names: &[String], slugs: &[String]) -> Option<Uuid> {
        let mut parent = None;
        for (index, name) in names.iter().enumerate() {
            let slug = slugs.get(index).filter(|_| slugs.len() == names.len());
            parent = Some(self.child(parent, name, slug.map(String::as_str)));
        }
        parent
    }

    /// Name and slug from the root down to a category.
    #[must_use]
    pub fn path(&self, id: Uuid) -> Vec<(String, String)> {
        let mut path = Vec::new();
        let mut next = Some(id);
        // A loop in the tree would be a fault elsewhere; it does not become one here.
        while let Some(node) = next.and_then(|id| self.nodes.get(&id)).filter(|_| path.len() < LONGEST) {
            path.push((node.name.clone(), node.slug.clone()));
            next = node.parent_id;
        }
        path.reverse();
        path
    }

    fn child(&mut self, parent: Option<Uuid>, name: &str, slug: Option<&str>) -> Uuid {
        let named = slugify(name);
        // One that can be a slug is taken as it is, so that the next row finds it.
        let slug = slug.map(|slug| if handle::is_valid(slug) { slug.to_owned() } else { slugify(slug) });
        if let Some(known) = slug.as_ref().and_then(|slug| self.by_slug.get(slug)) {
            return *known;
        }
        if slug.is_none()
            && let Some(known) = self.child_named(parent, name, &named)
        {
            return known;
        }
        let slug = self.free_slug(parent, slug.unwrap_or(named));
        let name: String = name.chars().take(LONGEST_NAME).collect();
        let node = CategoryState { id: CategoryId::new().uuid(), slug, name, parent_id: parent };
        self.fresh.push(node.clone());
        self.insert(node)
    }

    fn child_named(&self, parent: Option<Uuid>, name: &str, slug: &str) -> Option<Uuid> {
        let at = |id: &Uuid| self.nodes.get(id).is_some_and(|node| node.parent_id == parent);
        let mut children = self.nodes.values().filter(|node| node.parent_id == parent);
        let named = children.find(|node| node.name.to_lowercase() == name.to_lowercase()).map(|node| node.id);
        // What is left of names without Latin letters says nothing of them.
        let telling = Some(slug).filter(|slug| *slug != NAMELESS);
        named.or_else(|| telling.and_then(|slug| self.by_slug.get(slug)).copied().filter(|id| at(id)))
    }

    /// The slug, or with the parent's before it, or with a number after it.
    fn free_slug(&self, parent: Option<Uuid>, slug: String) -> String {
        if !self.by_slug.contains_key(&slug) {
            return slug;
        }
        let above = parent.and_then(|parent| self.nodes.get(&parent)).map(|node| format!("{}-{slug}", node.slug));
        let base = slugify(above.as_deref().unwrap_or(&slug));
        if !self.by_slug.contains_key(&base) {
            return base;
        }
        let stem: String = base.chars().take(LONGEST - 8).collect();
        (2..)
            .map(|number: u32| format!("{stem}-{number}"))
            .find(|slug| !self.by_slug.contains_key(slug))
            .unwrap_or(base)
    }

    fn insert(&mut self, node: CategoryState) -> Uuid {
        let id = node.id;
        self.by_slug.insert(node.slug.clone(), id);
        self.nodes.insert(id, node);
        id
    }
}

/// Small letters and digits with single hyphens between.
#[must_use]
pub fn slugify(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars().flat_map(char::to_lowercase) {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter);
        } else if let Some(plain) = plain_letter(letter) {
            slug.push_str(plain);
        } else if !slug.is_empty() && !slug.ends_with('-') && letter != '\'' && letter != '’' {
            slug.push('-');
        }
    }
    let short: String = slug.chars().take(LONGEST).collect();
    let slug = short.trim_matches('-');
    if slug.is_empty() { NAMELESS.to_owned() } else { slug.to_owned() }
}

/// Letters of Western European languages without their marks.
const fn plain_letter(letter: char) -> Option<&'static str> {
    Some(match letter {
        'à' | 'á' | 'â' | 'ã' | 'å' => "a",
        'ä' | 'æ' => "ae",
        'ç' => "c",
        'è' | 'é' | 'ê' | 'ë' => "e",
        'ì' | 'í' | 'î' | 'ï' => "i",
        'ñ' => "n",
        'ò' | 'ó' | 'ô' | 'õ' => "o",
        'ö' | 'ø' | 'œ' => "oe",
        'ß' => "ss",
        'ù' | 'ú' | 'û' => "u",
        'ü' => "ue",
        'ý' | 'ÿ' => "y",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split(" > ").map(str::to_owned).collect()
    }

    #[test]
    fn what_is_missing_is_added_once() {
        let mut tree = CategoryTree::default();
        let shirts = tree.at(&path("Apparel > Shirts"), &[]).unwrap();
        assert_eq!(tree.at(&path("apparel > SHIRTS"), &[]), Some(shirts));
        assert_eq!(tree.fresh().len(), 2);
        tree.settle();
        let others = tree.at(&path("Dolls > Shirts"), &[]).unwrap();
        let slugs: Vec<&str> = tree.fresh().iter().map(|node| node.slug.as_str()).collect();
        assert_eq!(slugs, ["dolls", "dolls-shirts"]);
        assert_ne!(others, shirts);
        assert_eq!(tree.path(others), [("Dolls".into(), "dolls".into()), ("Shirts".into(), "dolls-shirts".into())]);
        assert_eq!(tree.at(&[], &[]), None);
    }

    #[test]
    fn slugs_say_which_is_meant() {
        let mut tree = CategoryTree::default();
        let made = tree.at(&path("Tops > Tees"), &path("tops > t-shirts")).unwrap();
        assert_eq!(tree.at(&path("Tops > Renamed"), &path("tops > t-shirts")), Some(made));
        assert_eq!(tree.path(made)[1], ("Tees".to_owned(), "t-shirts".to_owned()));
    }

    #[test]
    fn slugs_are_taken_as_they_are() {
        let mut tree = CategoryTree::default();
        for slug in ["t_shirts", "café"] {
            let made = tree.at(&path("Tees"), &path(slug)).unwrap();
            assert_eq!(tree.at(&path("Tees"), &path(slug)), Some(made));
            assert_eq!(tree.path(made)[0].1, slug);
        }
        let made = tree.at(&path("Tees"), &path("No Slug")).unwrap();
        assert_eq!(tree.at(&path("Tees"), &path("No Slug")), Some(made));
    }

    #[test]
    fn names_of_any_script_are_told_apart() {
        let mut tree = CategoryTree::default();
        let clothes = tree.at(&path("Одежда"), &[]).unwrap();
        let shoes = tree.at(&path("Обувь"), &[]).unwrap();
        assert_ne!(clothes, shoes);
        assert_eq!((tree.at(&path("одежда"), &[]), tree.at(&path("Обувь"), &[])), (Some(clothes), Some(shoes)));
    }

    #[test]
    fn slugs_are_made_of_any_name() {
        assert_eq!(slugify("Bücher & Größen – 2"), "buecher-groessen-2");
        assert_eq!(slugify("Men's  Wear!"), "mens-wear");
        assert_eq!(slugify("日本"), "category");
    }
}
