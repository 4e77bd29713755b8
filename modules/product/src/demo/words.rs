//! The words that names, makers and descriptions are made of.

/// What a line of products is called.
pub const SERIES: &[&str] = &[
    "Alder", "Amber", "Anchor", "Arden", "Aspen", "Aurora", "Basalt", "Bayside", "Birch", "Bramble", "Briar", "Brook",
    "Calder", "Canyon", "Cedar", "Cinder", "Clover", "Coastal", "Copper", "Cove", "Dawn", "Delta", "Dune", "Eastwood",
    "Echo", "Elm", "Ember", "Fern", "Field", "Fjord", "Flint", "Forge", "Foxglove", "Garnet", "Glen", "Granite",
    "Grove", "Harbor", "Hazel", "Heath", "Heron", "Highland", "Hollow", "Indigo", "Iris", "Ivy", "Juniper", "Kestrel",
    "Lagoon", "Larch", "Laurel", "Linden", "Lumen", "Maple", "Marlow", "Meadow", "Mistral", "Moss", "Nordic", "North",
    "Oak", "Ocean", "Onyx", "Orchard", "Osprey", "Pebble", "Pine", "Prairie", "Quarry", "Quill", "Raven", "Ridge",
    "River", "Rowan", "Sable", "Saffron", "Sage", "Sierra", "Slate", "Solstice", "Sparrow", "Spruce", "Sterling",
    "Stone", "Summit", "Sunday", "Tern", "Thistle", "Thorne", "Tidal", "Timber", "Umber", "Vale", "Verona", "Wander",
    "Weald", "Westerly", "Willow", "Winter", "Wren",
];

/// Said of some products between the line and the material.
pub const TOUCHES: &[&str] = &[
    "Artisan",
    "Classic",
    "Compact",
    "Everyday",
    "Heritage",
    "Lightweight",
    "Modern",
    "Original",
    "Relaxed",
    "Rustic",
    "Signature",
    "Slim",
    "Soft",
    "Studio",
    "Vintage",
];

/// Who makes them.
pub const VENDORS: &[&str] = &[
    "Alder & Finch",
    "Atelier Morn",
    "Bay Nine",
    "Birchwood Goods",
    "Blue Door",
    "Brightside Supply",
    "Cask & Loom",
    "Clementine",
    "Common Thread",
    "Copperfield",
    "Draper Lane",
    "Eastlight",
    "Fable & Co",
    "Field Notes North",
    "Fourth Street",
    "Gather Home",
    "Good Harbor",
    "Grain & Grove",
    "Hearthside",
    "Hollis",
    "Inkwell",
    "Juno Works",
    "Kindling",
    "Lark & Ladder",
    "Little Orchard",
    "Lowland",
    "Maker's Row",
    "Meridian",
    "Millstone",
    "Nine Pines",
    "Northbound",
    "Oakhurst",
    "Old Quarter",
    "Paper Crane",
    "Plain Goods",
    "Quiet Hour",
    "Red Kettle",
    "Salt & Sail",
    "Second Story",
    "Tandem",
    "The Wool Room",
    "Thimble",
    "Tidewater",
    "Upland",
    "Wayfare",
    "Windmill Press",
];

/// How a description begins, before what it is.
pub const OPENINGS: &[&str] = &[
    "Made to be used every day and to look better for it.",
    "A quiet piece that goes with nearly everything.",
    "Designed in a small studio and made in short runs.",
    "The one that people come back for.",
    "Simple lines, honest materials, nothing to spare.",
    "An old favourite, drawn again from the start.",
    "Built for weekends away and long weeks at home.",
    "Small enough to give, good enough to keep.",
    "Finished by hand, so no two are quite the same.",
    "Tested by our own families before it went on sale.",
];

/// How it ends.
pub const ENDINGS: &[&str] = &[
    "Packed without plastic.",
    "Comes with a two-year guarantee.",
    "Ships within two working days.",
    "Spare parts are kept for ten years.",
    "A gift box is included.",
    "Care instructions are in the parcel.",
    "Part of every sale goes to planting trees.",
    "If it does not suit, send it back within thirty days.",
];

/// Tags that any product may have.
pub const TAGS: &[&str] =
    &["bestseller", "eco", "gift", "handmade", "limited", "new", "organic", "sale", "staff pick", "summer", "winter"];

/// Colours, those next to each other going well together.
pub const COLORS: &[&str] = &[
    "Black",
    "Charcoal",
    "Grey",
    "White",
    "Ivory",
    "Oat",
    "Sand",
    "Rust",
    "Terracotta",
    "Red",
    "Rose",
    "Plum",
    "Navy",
    "Blue",
    "Teal",
    "Sage",
    "Green",
    "Olive",
    "Mustard",
];
