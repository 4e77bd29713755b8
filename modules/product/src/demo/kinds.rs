//! The kinds of things that the made-up shop sells, and how each varies.

/// How the variants of a product differ.
#[derive(Clone, Copy, Debug, Default)]
pub enum Scheme {
    /// One variant.
    #[default]
    Single,
    /// One option, by its name, with a run of these values.
    One(&'static str, &'static [&'static str]),
    /// A few colours.
    Colors,
    /// Sizes of these, each in one to three colours.
    SizesAndColors(&'static [&'static str]),
    /// Materials of the kind, each in one to three colours.
    MaterialsAndColors,
}

/// A kind of product.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kind {
    /// Names from the root of the category tree down.
    pub category: &'static [&'static str],
    pub product_type: &'static str,
    pub nouns: &'static [&'static str],
    pub materials: &'static [&'static str],
    pub scheme: Scheme,
    /// Whole units of the currency, lowest and highest.
    pub prices: (i64, i64),
    pub grams: (i64, i64),
    /// A sentence about any of them.
    pub told: &'static str,
    pub tags: &'static [&'static str],
}

const CLOTHES: &[&str] = &["XS", "S", "M", "L", "XL"];
const SHOES: &[&str] = &["36", "37", "38", "39", "40", "41", "42", "43", "44"];
const SMALL_TO_LARGE: &[&str] = &["Small", "Medium", "Large"];
const BEDS: &[&str] = &["Single", "Double", "King"];
const WEIGHTS: &[&str] = &["125 g", "250 g", "500 g", "1 kg"];

macro_rules! kinds {
    ($($category:expr, $type:literal, $nouns:expr, $materials:expr, $scheme:expr, $prices:expr, $grams:expr,
       $told:literal, $tags:expr;)+) => {
        /// Every kind.
        pub const KINDS: &[Kind] = &[$(Kind {
            category: &$category, product_type: $type, nouns: &$nouns, materials: &$materials, scheme: $scheme,
            prices: $prices, grams: $grams, told: $told, tags: &$tags,
        }),+];
    };
}

kinds! {
    ["Apparel", "Shirts"], "Shirt", ["Shirt", "Overshirt", "Blouse"], ["Linen", "Cotton", "Flannel", "Chambray"],
        Scheme::SizesAndColors(CLOTHES), (35, 95), (180, 320), "A shirt with room in the shoulders and real buttons.", ["tops"];
    ["Apparel", "T-Shirts"], "T-Shirt", ["T-Shirt", "Pocket Tee", "Long Sleeve"], ["Cotton", "Organic Cotton", "Hemp"],
        Scheme::SizesAndColors(CLOTHES), (15, 45), (140, 220), "Heavy jersey that keeps its shape in the wash.", ["tops", "basics"];
    ["Apparel", "Knitwear"], "Sweater", ["Sweater", "Cardigan", "Pullover"], ["Merino", "Lambswool", "Alpaca", "Cotton"],
        Scheme::One("Size", CLOTHES), (60, 180), (350, 700), "Knitted in one piece, so that there are few seams.", ["tops", "wool"];
    ["Apparel", "Jackets"], "Jacket", ["Jacket", "Parka", "Anorak"], ["Waxed Cotton", "Denim", "Wool", "Nylon"],
        Scheme::One("Size", CLOTHES), (90, 290), (600, 1400), "Keeps wind and rain out and has pockets where hands go.", ["outerwear"];
    ["Apparel", "Trousers"], "Trousers", ["Trousers", "Chinos", "Jeans"], ["Twill", "Denim", "Corduroy", "Linen"],
        Scheme::One("Size", &["28", "30", "32", "34", "36"]), (45, 130), (380, 650), "A straight leg and a waist that sits well.", ["bottoms"];
    ["Apparel", "Dresses"], "Dress", ["Dress", "Wrap Dress", "Pinafore"], ["Linen", "Viscose", "Cotton", "Silk"],
        Scheme::SizesAndColors(CLOTHES), (55, 190), (250, 480), "Falls below the knee and moves with you.", ["dresses"];
    ["Apparel", "Shoes"], "Shoes", ["Sneakers", "Boots", "Loafers", "Sandals"], ["Leather", "Canvas", "Suede"],
        Scheme::One("Size", SHOES), (60, 220), (500, 1300), "Stitched soles that a cobbler can replace.", ["shoes"];
    ["Apparel", "Accessories", "Hats"], "Hat", ["Beanie", "Cap", "Bucket Hat"], ["Wool", "Cotton", "Corduroy"],
        Scheme::Colors, (15, 60), (60, 180), "One size that fits most heads.", ["accessories"];
    ["Apparel", "Accessories", "Scarves"], "Scarf", ["Scarf", "Shawl", "Bandana"], ["Silk", "Cashmere", "Cotton"],
        Scheme::Colors, (20, 140), (60, 250), "Wide enough to be a blanket on a long train ride.", ["accessories"];
    ["Apparel", "Accessories", "Bags"], "Bag", ["Tote", "Backpack", "Messenger Bag"], ["Leather", "Canvas", "Recycled Nylon"],
        Scheme::Colors, (35, 240), (300, 1200), "Room for a computer, lunch and a change of plan.", ["bags"];
    ["Home", "Kitchen", "Mugs"], "Mug", ["Mug", "Espresso Cup", "Tumbler"], ["Stoneware", "Porcelain", "Enamel"],
        Scheme::Colors, (9, 35), (200, 420), "Holds its warmth and stacks without complaint.", ["kitchen"];
    ["Home", "Kitchen", "Cookware"], "Cookware", ["Skillet", "Saucepan", "Casserole"], ["Cast Iron", "Copper", "Steel"],
        Scheme::One("Size", SMALL_TO_LARGE), (29, 260), (900, 4200), "Heats evenly on any stove, also by induction.", ["kitchen"];
    ["Home", "Kitchen", "Tableware"], "Tableware", ["Dinner Plate", "Bowl", "Serving Platter"], ["Stoneware", "Porcelain"],
        Scheme::Colors, (12, 70), (350, 1400), "Glazed twice, fit for oven and dishwasher.", ["kitchen", "table"];
    ["Home", "Bedroom", "Bedding"], "Bedding", ["Duvet Cover", "Sheet Set", "Pillowcase"], ["Linen", "Percale", "Flannel"],
        Scheme::One("Size", BEDS), (35, 240), (500, 2600), "Washed before it is sewn, so that it is soft at once.", ["bedroom"];
    ["Home", "Bedroom", "Throws"], "Throw", ["Throw", "Blanket", "Quilt"], ["Wool", "Cotton", "Mohair"],
        Scheme::Colors, (45, 210), (800, 2200), "Heavy enough to settle under.", ["bedroom", "living room"];
    ["Home", "Living Room", "Lamps"], "Lamp", ["Table Lamp", "Floor Lamp", "Pendant"], ["Brass", "Walnut", "Rattan", "Glass"],
        Scheme::Single, (49, 420), (900, 6500), "Takes a standard bulb; the cable is two metres long.", ["lighting"];
    ["Home", "Living Room", "Cushions"], "Cushion", ["Cushion", "Bolster", "Floor Cushion"], ["Velvet", "Linen", "Boucle"],
        Scheme::MaterialsAndColors, (19, 95), (400, 1500), "The cover comes off for washing.", ["living room"];
    ["Home", "Living Room", "Furniture"], "Furniture", ["Side Table", "Stool", "Shelf", "Bench"], ["Oak", "Ash", "Walnut"],
        Scheme::Single, (79, 690), (4000, 24000), "Comes in three parts and goes together with one key.", ["furniture"];
    ["Home", "Bath"], "Towel", ["Bath Towel", "Hand Towel", "Bath Mat"], ["Cotton", "Waffle Cotton", "Bamboo"],
        Scheme::Colors, (12, 65), (250, 900), "Dries quickly, also itself.", ["bath"];
    ["Home", "Candles"], "Candle", ["Candle", "Diffuser"], ["Cedar", "Fig", "Bergamot", "Vanilla"],
        Scheme::Single, (14, 58), (250, 700), "Burns for about forty hours.", ["scent", "gift"];
    ["Garden", "Planters"], "Planter", ["Planter", "Plant Pot", "Window Box"], ["Terracotta", "Concrete", "Zinc"],
        Scheme::One("Size", SMALL_TO_LARGE), (12, 120), (700, 6500), "With a hole in the base and a saucer below.", ["garden"];
    ["Garden", "Tools"], "Garden Tool", ["Hand Trowel", "Secateurs", "Watering Can"], ["Ash", "Steel", "Copper"],
        Scheme::Single, (15, 85), (250, 1600), "Handles of ash, oiled twice.", ["garden", "tools"];
    ["Outdoors", "Camping"], "Camping Gear", ["Tent", "Sleeping Bag", "Lantern"], ["Ripstop", "Canvas", "Down"],
        Scheme::Colors, (39, 480), (400, 4800), "Goes up in the dark, in the rain, alone.", ["outdoors"];
    ["Outdoors", "Bottles"], "Bottle", ["Water Bottle", "Flask"], ["Steel", "Glass", "Titanium"],
        Scheme::One("Size", &["350 ml", "500 ml", "750 ml", "1 l"]), (15, 60), (180, 480), "Tight in any bag, at any angle.", ["outdoors"];
    ["Electronics", "Headphones"], "Headphones", ["Headphones", "Earbuds"], ["Aluminium", "Walnut", "Matte"],
        Scheme::Colors, (49, 380), (40, 320), "Thirty hours on one charge.", ["audio"];
    ["Electronics", "Speakers"], "Speaker", ["Speaker", "Radio", "Soundbar"], ["Oak", "Felt", "Aluminium"],
        Scheme::Single, (59, 540), (500, 5200), "Fills a room without filling a shelf.", ["audio"];
    ["Toys", "Games"], "Game", ["Board Game", "Puzzle", "Card Game"], ["Wooden", "Pocket", "Family"],
        Scheme::Single, (12, 65), (150, 1800), "For two to six players from eight years on.", ["toys", "family"];
    ["Toys", "Plush"], "Plush", ["Bear", "Rabbit", "Fox", "Whale"], ["Cotton", "Corduroy", "Wool"],
        Scheme::One("Size", SMALL_TO_LARGE), (14, 59), (120, 800), "Machine washable, as it will have to be.", ["toys", "baby"];
    ["Stationery", "Notebooks"], "Notebook", ["Notebook", "Journal", "Sketchbook"], ["Linen", "Kraft", "Leather"],
        Scheme::One("Ruling", &["Plain", "Lined", "Dotted"]), (8, 48), (150, 600), "Opens flat; the paper takes a fountain pen.", ["paper"];
    ["Stationery", "Pens"], "Pen", ["Fountain Pen", "Ballpoint", "Pencil Set"], ["Brass", "Maple", "Resin"],
        Scheme::Single, (9, 160), (20, 180), "Refills of the usual size.", ["paper"];
    ["Food", "Coffee"], "Coffee", ["Espresso", "Filter Coffee", "Decaf"], ["Ethiopian", "Colombian", "Guatemalan"],
        Scheme::One("Weight", WEIGHTS), (7, 38), (125, 1000), "Roasted on Mondays and sent on Tuesdays.", ["coffee"];
    ["Food", "Tea"], "Tea", ["Black Tea", "Green Tea", "Herbal Tea"], ["Darjeeling", "Sencha", "Mountain"],
        Scheme::One("Weight", WEIGHTS), (6, 42), (125, 1000), "Whole leaves that may be steeped twice.", ["tea"];
    ["Beauty", "Soap"], "Soap", ["Soap Bar", "Hand Wash", "Shampoo Bar"], ["Olive", "Lavender", "Oatmeal", "Charcoal"],
        Scheme::Single, (5, 28), (90, 500), "Cold-processed and cured for six weeks.", ["bath", "natural"];
}
