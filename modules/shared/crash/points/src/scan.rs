//! The points of a source file, as it lies in the repository.

use quote::ToTokens;
use syn::{Attribute, Block, ImplItem, Item, ItemImpl, Meta, Signature};

use crate::attribute::put;
use crate::awaits::awaits;
use crate::{ATTRIBUTE, is_called, type_name};

/// A function that awaits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// With the path of its module.
    pub name: String,
    /// It has the attribute, by itself or by its `impl` block.
    pub marked: bool,
    /// The names of its points.
    pub points: Vec<String>,
}

/// The module of a file: `modules/order/src/service/mod.rs` is `eshopz_order::service`.
#[must_use]
pub fn module_of(file: &str) -> Option<String> {
    let (folder, path) = file.split_once("/src/")?;
    let package = folder.rsplit('/').next()?;
    let path = path.strip_suffix(".rs")?;
    let path = path.strip_suffix("mod").map_or(path, |folder| folder.trim_end_matches('/'));
    let path = if path == "lib" { "" } else { path };
    let parts = std::iter::once(format!("eshopz_{package}")).chain(path.split('/').map(str::to_owned));
    Some(parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("::"))
}

/// The functions in the text of a module that await; what is there for tests only is left out.
///
/// # Errors
/// When it is no Rust, or an await is where the attribute would not reach it.
pub fn scan(module: &str, text: &str) -> syn::Result<Vec<Function>> {
    let mut found = Vec::new();
    for item in syn::parse_file(text)?.items {
        add(&mut found, module, item)?;
    }
    Ok(found)
}

fn add(found: &mut Vec<Function>, module: &str, item: Item) -> syn::Result<()> {
    match item {
        Item::Fn(mut function) if !is_test(&function.attrs) => {
            let marked = is_marked(&function.attrs);
            add_function(found, (module, None), marked, (&function.sig, &mut function.block))
        }
        Item::Impl(block) if !is_test(&block.attrs) => add_block(found, module, block),
        Item::Mod(inner) if !is_test(&inner.attrs) => {
            let module = format!("{module}::{}", inner.ident);
            inner.content.into_iter().flat_map(|(_, items)| items).try_for_each(|item| add(found, &module, item))
        }
        Item::Fn(_) | Item::Impl(_) | Item::Mod(_) => Ok(()),
        other if awaits(other.to_token_stream()) => {
            Err(syn::Error::new_spanned(other, format!("{module}: an await that is in no function and no `impl`")))
        }
        _ => Ok(()),
    }
}

fn add_block(found: &mut Vec<Function>, module: &str, block: ItemImpl) -> syn::Result<()> {
    let (name, marked) = (type_name(&block.self_ty), is_marked(&block.attrs));
    for item in block.items {
        if let ImplItem::Fn(mut function) = item {
            add_function(found, (module, Some(&name)), marked, (&function.sig, &mut function.block))?;
        }
    }
    Ok(())
}

fn add_function(
    found: &mut Vec<Function>,
    (module, of): (&str, Option<&str>),
    marked: bool,
    (signature, body): (&Signature, &mut Block),
) -> syn::Result<()> {
    let points = put(of, signature, body)?;
    if let Some(name) = points.first().and_then(|first| first.split('#').next()) {
        let name = format!("{module}::{name}");
        let points = points.iter().map(|point| format!("{module}::{point}")).collect();
        found.push(Function { name, marked, points });
    }
    Ok(())
}

fn is_marked(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| is_called(attribute, ATTRIBUTE))
}

fn is_test(attributes: &[Attribute]) -> bool {
    let is_test = |attribute: &Attribute| {
        let only_in_tests = matches!(&attribute.meta, Meta::List(list) if list.tokens.to_string() == "test")
            && is_called(attribute, "cfg");
        only_in_tests || is_called(attribute, "test")
    };
    attributes.iter().any(is_test)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_named_as_rustc_does() {
        for (file, module) in [
            ("modules/order/src/lib.rs", "eshopz_order"),
            ("modules/order/src/listeners.rs", "eshopz_order::listeners"),
            ("modules/order/src/service/mod.rs", "eshopz_order::service"),
            ("modules/shared/platform/src/events/relay.rs", "eshopz_platform::events::relay"),
        ] {
            assert_eq!(module_of(file).as_deref(), Some(module));
        }
        assert_eq!(module_of("README.md"), None);
    }

    #[test]
    fn a_function_without_the_attribute_is_found_out() {
        let text = "
            #[crash_points] async fn marked() { one().await }
            async fn bare() { one().await; two().await; }
            fn still() {}
            #[eshopz_crash::crash_points] #[async_trait] impl Shop { async fn buy(&self) { self.pay().await } }
            impl Listener for Shop { async fn hear(&self) { self.0.pay().await } }
            #[cfg(test)] mod tests { async fn test() { one().await } }
            mod inner { async fn deep() { one().await } }";
        let found = scan("m", text).unwrap();
        let seen: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.marked, f.points.len())).collect();
        let expected = [
            ("m::marked", true, 1),
            ("m::bare", false, 2),
            ("m::Shop::buy", true, 1),
            ("m::Shop::hear", false, 1),
            ("m::inner::deep", false, 1),
        ];
        assert_eq!(seen, expected);
        assert_eq!(found[1].points, ["m::bare#1:one", "m::bare#2:two"]);
        assert!(scan("m", "trait T { async fn f() { x.await } }").is_err());
    }
}
