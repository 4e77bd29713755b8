//! The images of a product. An import adds and orders them; it never takes one away.

use super::super::state::ProductState;
use crate::csv::{ImageCells, Line};
use crate::domain::Image;

/// Adds the images of the rows. The first rows of a product in a file also say the order and the
/// alternative texts; those that come back to it only add what is missing.
pub fn apply(lines: &[&Line], first_time: bool, product: &mut ProductState) {
    let asked = asked(lines);
    if !first_time {
        let missing = asked.into_iter().filter(|image| product.images.iter().all(|known| known.url != image.url));
        let missing: Vec<Image> = missing.map(fresh).collect();
        product.images.extend(missing);
        return;
    }
    if is_in_order(&asked, &product.images) {
        for image in &asked {
            if let (Some(alt), Some(known)) =
                (&image.alt, product.images.iter_mut().find(|known| known.url == image.url))
            {
                known.alt.clone_from(alt);
            }
        }
        return;
    }
    let mut before = std::mem::take(&mut product.images);
    for image in asked {
        let known = before.iter().position(|known| known.url == image.url).map(|place| before.remove(place));
        let alt = image.alt.clone().or(known.map(|known| known.alt)).unwrap_or_default();
        product.images.push(Image { url: image.url.clone(), alt });
    }
    product.images.extend(before);
}

/// Each image once, by position; those without one stay where they are at the end.
fn asked<'l>(lines: &[&'l Line]) -> Vec<&'l ImageCells> {
    let mut asked: Vec<&ImageCells> = Vec::new();
    for image in lines.iter().filter_map(|line| line.content.as_ref().ok()?.image.as_ref()) {
        if asked.iter().all(|other| other.url != image.url) {
            asked.push(image);
        }
    }
    asked.sort_by_key(|image| image.position.unwrap_or(i32::MAX));
    asked
}

/// Whether all are there, in the order that is asked for: others may stand between.
fn is_in_order(asked: &[&ImageCells], known: &[Image]) -> bool {
    let mut rest = known.iter();
    asked.iter().all(|image| rest.any(|known| known.url == image.url))
}

fn fresh(image: &ImageCells) -> Image {
    Image { url: image.url.clone(), alt: image.alt.clone().unwrap_or_default() }
}
