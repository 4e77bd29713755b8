//! The branches of `tokio::select!`, which are no list of expressions.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Expr, Pat, Result, Token};

/// What is between the braces of a `select!`.
pub(crate) struct Select {
    biased: bool,
    branches: Vec<Branch>,
}

struct Branch {
    /// `None` for `else`.
    ready: Option<Ready>,
    then: Expr,
}

struct Ready {
    pattern: Pat,
    future: Expr,
    condition: Option<Expr>,
}

impl Select {
    /// Every expression in it, in the order in which they are written.
    pub fn expressions(&mut self) -> impl Iterator<Item = &mut Expr> {
        self.branches.iter_mut().flat_map(|branch| {
            let ready = branch.ready.iter_mut().flat_map(|ready| [Some(&mut ready.future), ready.condition.as_mut()]);
            ready.flatten().chain([&mut branch.then])
        })
    }
}

impl Parse for Select {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let biased = input.fork().parse::<syn::Ident>().is_ok_and(|word| word == "biased");
        if biased {
            input.parse::<syn::Ident>()?;
            input.parse::<Token![;]>()?;
        }
        let mut branches = Vec::new();
        while !input.is_empty() {
            branches.push(input.parse()?);
        }
        Ok(Self { biased, branches })
    }
}

impl Parse for Branch {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let ready = match input.parse::<Option<Token![else]>>()? {
            Some(_) => None,
            None => Some(input.parse()?),
        };
        Ok(Self { ready, then: arm(input)? })
    }
}

impl Parse for Ready {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let pattern = Pat::parse_multi(input)?;
        input.parse::<Token![=]>()?;
        let future = input.parse()?;
        let condition = match input.parse::<Option<Token![,]>>()? {
            Some(_) => {
                input.parse::<Token![if]>()?;
                Some(input.parse()?)
            }
            None => None,
        };
        Ok(Self { pattern, future, condition })
    }
}

/// After the arrow; the comma can be left out after a block.
fn arm(input: ParseStream<'_>) -> Result<Expr> {
    input.parse::<Token![=>]>()?;
    let then = Expr::parse_with_earlier_boundary_rule(input)?;
    input.parse::<Option<Token![,]>>()?;
    Ok(then)
}

impl ToTokens for Select {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        if self.biased {
            tokens.extend(quote! { biased; });
        }
        for Branch { ready, then } in &self.branches {
            tokens.extend(match ready {
                Some(Ready { pattern, future, condition }) => {
                    let condition = condition.iter();
                    quote! { #pattern = #future #(, if #condition)* => { #then }, }
                }
                None => quote! { else => { #then }, },
            });
        }
    }
}
