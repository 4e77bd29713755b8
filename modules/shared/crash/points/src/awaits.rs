//! Finding the awaits of a function, and putting a point after each.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens as _, quote};
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{Block, Expr, ExprMacro, Macro, Stmt, Token};

use crate::select::Select;

/// Macros that await what they are given.
const AWAITING: [&str; 3] = ["join", "try_join", "select"];

/// The points of a function, in the order in which their awaits end.
pub(crate) struct Awaits {
    function: String,
    /// Each without the module's path.
    pub points: Vec<String>,
    pub unreadable: Option<syn::Error>,
}

impl Awaits {
    pub fn of(function: String) -> Self {
        Self { function, points: Vec::new(), unreadable: None }
    }

    /// The expression with a point behind it. A call, and not a block: what the expression borrows for the
    /// length of its statement lives as long as it did.
    fn point(&mut self, expr: &Expr, awaited: &str) -> Expr {
        let name = format!("{}#{}:{awaited}", self.function, self.points.len() + 1);
        let wrapped = quote! {
            ::eshopz_crash::passed(#expr, ::core::concat!(::core::module_path!(), "::", #name))
        };
        self.points.push(name);
        Expr::Verbatim(wrapped)
    }

    /// Points in what a macro is given, which is a list of expressions or the branches of a `select!`.
    fn within(&mut self, given: &mut Macro) {
        if !awaits(given.tokens.clone()) {
            return;
        }
        if let Ok(mut list) = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(given.tokens.clone()) {
            list.iter_mut().for_each(|expr| self.visit_expr_mut(expr));
            given.tokens = list.into_token_stream();
        } else if let Ok(mut select) = syn::parse2::<Select>(given.tokens.clone()) {
            select.expressions().for_each(|expr| self.visit_expr_mut(expr));
            given.tokens = select.into_token_stream();
        } else {
            let message = "there is an await in this macro, which cannot be read here: move it before the macro";
            self.unreadable.get_or_insert(syn::Error::new_spanned(&given.path, message));
        }
    }
}

impl VisitMut for Awaits {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        match expr {
            Expr::Macro(given) => {
                self.within(&mut given.mac);
                if let Some(name) = awaiting(&given.mac) {
                    *expr = self.point(expr, &name);
                }
            }
            _ => {
                visit_mut::visit_expr_mut(self, expr);
                if let Expr::Await(awaited) = expr {
                    let name = name_of(&awaited.base);
                    *expr = self.point(expr, &name);
                }
            }
        }
    }

    /// A macro that stands alone is no expression to syn.
    fn visit_block_mut(&mut self, block: &mut Block) {
        let last = block.stmts.len().saturating_sub(1);
        for (index, stmt) in block.stmts.iter_mut().enumerate() {
            let Stmt::Macro(alone) = stmt else {
                self.visit_stmt_mut(stmt);
                continue;
            };
            self.within(&mut alone.mac);
            if let Some(name) = awaiting(&alone.mac) {
                let expr = Expr::Macro(ExprMacro { attrs: alone.attrs.clone(), mac: alone.mac.clone() });
                let end = alone.semi_token.or_else(|| (index < last).then(Default::default));
                *stmt = Stmt::Expr(self.point(&expr, &name), end);
            }
        }
    }
}

/// The name of a macro that awaits.
fn awaiting(given: &Macro) -> Option<String> {
    let name = given.path.segments.last()?.ident.to_string();
    AWAITING.contains(&name.as_str()).then_some(name)
}

/// Whether `await` is anywhere in it.
pub(crate) fn awaits(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => awaits(group.stream()),
        TokenTree::Ident(ident) => ident == "await",
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// What is awaited, in a word.
fn name_of(expr: &Expr) -> String {
    match expr {
        Expr::MethodCall(call) => call.method.to_string(),
        Expr::Call(call) => name_of(&call.func),
        Expr::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default(),
        Expr::Paren(inner) => name_of(&inner.expr),
        Expr::Reference(inner) => name_of(&inner.expr),
        Expr::Field(field) => field.member.to_token_stream().to_string(),
        _ => "await".to_owned(),
    }
}
