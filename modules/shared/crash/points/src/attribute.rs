//! What the attribute makes of an item: the item with its points for a build with `debug_assertions`, and
//! the item as it was written for any other.

use proc_macro2::TokenStream;
use quote::quote;
use syn::visit_mut::VisitMut as _;
use syn::{Block, FnArg, ImplItem, Item, Signature};

use crate::awaits::Awaits;
use crate::type_name;

/// The attribute on `item`; what cannot be done is an error of the compiler.
#[must_use]
pub fn expand(item: TokenStream) -> TokenStream {
    match with_points(item.clone()) {
        Ok(pointed) => quote! {
            #[cfg(debug_assertions)]
            #pointed
            #[cfg(not(debug_assertions))]
            #item
        },
        Err(error) => {
            let error = error.to_compile_error();
            quote! { #item #error }
        }
    }
}

fn with_points(item: TokenStream) -> syn::Result<TokenStream> {
    match syn::parse2(item)? {
        Item::Fn(mut function) => {
            if matches!(function.sig.inputs.first(), Some(FnArg::Receiver(_))) {
                return Err(syn::Error::new_spanned(&function.sig.ident, "it goes before the `impl` block"));
            }
            put(None, &function.sig, &mut function.block)?;
            Ok(quote! { #function })
        }
        Item::Impl(mut block) => {
            let name = type_name(&block.self_ty);
            for item in &mut block.items {
                if let ImplItem::Fn(function) = item {
                    put(Some(&name), &function.sig, &mut function.block)?;
                }
            }
            Ok(quote! { #block })
        }
        other => Err(syn::Error::new_spanned(other, "it goes before a function or an `impl` block")),
    }
}

/// Puts the points into a function's body and gives their names.
pub(crate) fn put(of: Option<&str>, signature: &Signature, body: &mut Block) -> syn::Result<Vec<String>> {
    let name = &signature.ident;
    let mut awaits = Awaits::of(of.map_or_else(|| name.to_string(), |of| format!("{of}::{name}")));
    awaits.visit_block_mut(body);
    awaits.unreadable.map_or(Ok(awaits.points), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "async fn buy(shop: &Shop) -> Result<(), Error> {
        let cart = shop.cart(1).await?;
        shop.transaction(async |conn| { store::insert(conn, &cart).await?; Ok(()) }).await?;
        tokio::select! { biased; () = stopped(), if go => return Ok(()), _ = sleep() => { note().await } else => {} }
        let (one, two) = futures::join!(first(), async { second().await });
        info!(\"{}\", third().await);
        Ok(())
    }";

    fn plain(tokens: &TokenStream) -> String {
        tokens.to_string().replace(char::is_whitespace, "")
    }

    #[test]
    fn a_release_has_what_was_written() {
        let item: TokenStream = CODE.parse().unwrap();
        let expanded = plain(&expand(item.clone()));
        let (debug, release) = expanded.split_once("#[cfg(not(debug_assertions))]").unwrap();
        assert_eq!(release, plain(&item));
        assert!(debug.starts_with("#[cfg(debug_assertions)]asyncfnbuy"));
        assert_eq!(debug.matches("::eshopz_crash::passed(").count(), 8, "{debug}");
        assert!(!release.contains("eshopz_crash"));
    }

    #[test]
    fn every_await_has_a_number_and_a_name() {
        let Item::Fn(mut function) = syn::parse_str(CODE).unwrap() else { panic!() };
        let points = put(Some("Shop"), &function.sig, &mut function.block).unwrap();
        let expected = ["1:cart", "2:insert", "3:transaction", "4:note", "5:select", "6:second", "7:join", "8:third"];
        assert_eq!(points, expected.map(|point| format!("Shop::buy#{point}")));
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let refused = |code: &str| plain(&expand(code.parse().unwrap())).contains("compile_error!");
        assert!(refused("async fn f() { info!(%error, x.await) }"));
        assert!(refused("async fn f(&self) { x.await }"));
        assert!(refused("struct S;"));
        assert!(!refused("impl S { async fn f(&self) { x.await } }"));
    }
}
