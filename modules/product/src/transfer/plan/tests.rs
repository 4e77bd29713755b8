//! What files make of a shop, without a database.

use eshopz_kernel::Currency;

use super::super::memory::Memory;
use super::*;
use crate::csv::{Batches, Lines};
use crate::domain::stock::Level;

/// A shop that files are applied to.
#[derive(Default)]
struct Trial {
    shop: Shop,
    tree: CategoryTree,
}

impl Trial {
    /// Applies a file and says `row code` of what is refused.
    fn import(&mut self, file: &str) -> Vec<String> {
        let mut batches = Batches::new(Lines::open(file.as_bytes(), Currency::USD).unwrap());
        let mut memory = Memory::default();
        let mut refused = Vec::new();
        while let Some(batch) = batches.next_batch().unwrap() {
            let mut recall = memory.recall();
            let plan = plan(&batch, &self.shop, &mut recall, &mut self.tree);
            let fresh = recall.fresh;
            memory.keep(fresh);
            for Planned { after, .. } in plan.planned {
                let skus = after.variants.iter().filter_map(|variant| Some((variant.sku.clone()?, variant.id)));
                self.shop.skus.extend(skus);
                self.shop.products.insert(after.handle.clone(), after);
            }
            refused.extend(plan.refused.iter().map(|refusal| format!("{} {}", refusal.row, refusal.reason_code)));
        }
        refused
    }

    fn product(&mut self, handle: &str) -> &mut ProductState {
        self.shop.products.get_mut(handle).unwrap()
    }

    fn images(&mut self, handle: &str) -> String {
        let images: Vec<String> = self
            .product(handle)
            .images
            .iter()
            .map(|i| format!("{}{}", &i.url["https://x.test/".len()..], i.alt))
            .collect();
        images.join(" ")
    }
}

const NONE: [&str; 0] = [];
const HEAD: &str = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src,Image Position,Image Alt Text,Status,Published\n";

#[test]
fn options_may_change_only_when_every_variant_is_named() {
    let mut trial = Trial::default();
    assert_eq!(trial.import(&format!("{HEAD}mug,Mug,Title,Default Title,MUG,5,,,,,\n")), NONE);
    assert_eq!(trial.product("mug").options, []);
    let other = format!("{HEAD}mug,Mug,Size,S,MUG-S,5,,,,,\nmug,,,L,MUG-L,5,,,,,\n");
    assert_eq!(trial.import(&other), ["2 options_differ", "3 options_differ"]);
    assert_eq!(trial.product("mug").variants.len(), 1);
    let named = format!("{HEAD}mug,Mug,Size,S,MUG,5,,,,,\nmug,,,L,MUG-L,5,,,,,\n");
    assert_eq!(trial.import(&named), NONE);
    let mug = trial.product("mug");
    assert_eq!((mug.options[0].name.as_str(), mug.options[0].values.join(" ")), ("Size", "S L".to_owned()));
    let doubled = format!("{HEAD}two,Two,Size,S,,5,,,,,\n")
        .replace("Option1 Name,Option1 Value", "Option1 Name,Option1 Value,Option2 Name,Option2 Value")
        .replace("Size,S", "Size,S,size,M");
    assert_eq!(trial.import(&doubled), ["2 option_names_repeat"]);
}

#[test]
fn values_without_a_name_are_those_of_an_option_called_title() {
    let mut trial = Trial::default();
    assert_eq!(trial.import(&format!("{HEAD}mug,Mug,,Red,,5,,,,,\nmug,,,Blue,,5,,,,,\n")), NONE);
    assert_eq!(trial.product("mug").options[0].name, "Title");
}

#[test]
fn a_variant_is_not_taken_over_by_another() {
    let mut trial = Trial::default();
    trial.import(&format!("{HEAD}tee,Tee,Size,S,A,5,,,,,\ntee,,,M,B,5,,,,,\n"));
    // B is what M is called, so S cannot be called so, and no row may take M's place by its SKU.
    assert_eq!(trial.import(&format!("{HEAD}tee,Tee,Size,S,B,6,,,,,\n")), ["2 duplicate_sku"]);
    assert_eq!(trial.import(&format!("{HEAD}tee,Tee,Size,L,A,6,,,,,\ntee,,,L,A,6,,,,,\n")), ["3 variant_taken"]);
    let titles: Vec<String> = trial.product("tee").variants.iter().map(|variant| variant.title()).collect();
    assert_eq!(titles, ["L", "M"]);
    assert_eq!(trial.import(&format!("{HEAD}tee,Tee,Size,XL,A,6,,,,,\ntee,,,XXL,A,6,,,,,\n")), ["3 variant_taken"]);
}

#[test]
fn images_are_added_and_ordered_but_never_removed() {
    let mut trial = Trial::default();
    let row = |image: &str| format!("mug,,,,,,https://x.test/{image},,\n");
    let first = format!("{HEAD}mug,Mug,,,,5,https://x.test/b,2,,,\n{}{}", row("a,1,x"), row("c,,"));
    trial.import(&first);
    assert_eq!(trial.images("mug"), "ax b c");
    trial
        .product("mug")
        .images
        .insert(1, crate::domain::Image { url: "https://x.test/own".into(), alt: String::new() });
    trial.import(&first.replace("a,1,x", "a,1,y"));
    assert_eq!(trial.images("mug"), "ay own b c");
    trial.import(&format!("{HEAD}mug,Mug,,,,5,https://x.test/c,1,,,\n{}", row("d,2,")));
    assert_eq!(trial.images("mug"), "c d ay own b");
    let many: String = (0..300).map(|number| row(&format!("n{number},,"))).collect();
    assert_eq!(trial.import(&format!("{HEAD}mug,Mug,,,,5,,,,,\n{many}")).len(), 300 - 245);
}

#[test]
fn the_status_follows_the_file() {
    let mut trial = Trial::default();
    let mut status = |status: &str, published: &str| {
        assert_eq!(trial.import(&format!("{HEAD}mug,Mug,,,,5,,,,{status},{published}\n")), NONE);
        trial.product("mug").status
    };
    assert_eq!(status("", ""), Status::Active);
    assert_eq!(status("", "FALSE"), Status::Draft);
    assert_eq!(status("", ""), Status::Draft);
    assert_eq!(status("", "true"), Status::Active);
    assert_eq!(status("Archived", "true"), Status::Archived);
    assert_eq!(status("", "true"), Status::Archived);
    assert_eq!(status("active", "false"), Status::Active);
}

#[test]
fn a_product_row_without_variants_changes_the_product() {
    let mut trial = Trial::default();
    trial.import("Handle,Title,Vendor,Tags,Variant Price\nmug,Mug,Tandem,\"a, b\",5\n");
    assert_eq!(trial.import("Handle,Title,Vendor,Tags\nmug,Cup,,c\n"), NONE);
    let mug = trial.product("mug");
    assert_eq!((mug.title.as_str(), mug.vendor.as_str(), mug.tags.join(",")), ("Cup", "", "c".to_owned()));
    assert_eq!(trial.import("Handle,Vendor,Tags\nmug,Juno,\n"), NONE);
    let mug = trial.product("mug");
    assert_eq!((mug.title.as_str(), mug.vendor.as_str(), mug.tags.join(",")), ("Cup", "Juno", "c".to_owned()));
    assert_eq!(trial.import("Handle,Vendor\nnew,Juno\n"), ["2 title_missing"]);
    assert_eq!(trial.import("Handle,Title\nnew,New\n"), ["2 price_missing"]);
}

#[test]
fn selling_beyond_the_stock_cannot_end_while_it_is_used() {
    let mut trial = Trial::default();
    let file = |policy: &str| format!("Handle,Title,Variant Price,Variant Inventory Policy\nmug,Mug,5,{policy}\n");
    trial.import(&file("continue"));
    trial.product("mug").variants[0].stock = Level { on_hand: 0, reserved: 2, backorder: true };
    assert_eq!(trial.import(&file("deny")), ["2 below_reserved"]);
    assert_eq!(trial.import(&file("")), NONE);
    assert!(trial.product("mug").variants[0].stock.backorder);
}
