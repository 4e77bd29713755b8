//! The names of the modules, their ports, and the order in which they are built.

use std::fmt;

use anyhow::bail;

/// A bounded context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Module {
    User,
    Product,
    Cart,
    Payment,
    Order,
}

impl Module {
    /// All of them; each calls only those before it.
    pub const ALL: [Self; 5] = [Self::User, Self::Product, Self::Cart, Self::Payment, Self::Order];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Product => "product",
            Self::Cart => "cart",
            Self::Payment => "payment",
            Self::Order => "order",
        }
    }

    /// The module's schema in PostgreSQL and the role that may use it.
    #[must_use]
    pub const fn schema(self) -> &'static str {
        match self {
            Self::User => "users",
            Self::Product => "products",
            Self::Cart => "carts",
            Self::Payment => "payments",
            Self::Order => "orders",
        }
    }

    /// The public port of a process that runs this module alone.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::User => 3001,
            Self::Product => 3002,
            Self::Cart => 3003,
            Self::Payment => 3004,
            Self::Order => 3005,
        }
    }

    /// Whom the module calls and whose events it hears.
    #[must_use]
    pub const fn calls(self) -> &'static [Self] {
        match self {
            Self::User => &[],
            Self::Product | Self::Payment => &[Self::User],
            Self::Cart => &[Self::User, Self::Product],
            Self::Order => &[Self::User, Self::Product, Self::Cart, Self::Payment],
        }
    }

    /// The public port of a process that runs these modules.
    #[must_use]
    pub fn default_port(selected: &[Self]) -> u16 {
        match selected {
            [only] => only.port(),
            _ => 3000,
        }
    }

    /// Reads `all` or a list of names.
    ///
    /// # Errors
    /// When a name is no module.
    pub fn parse_selection(names: &[String]) -> anyhow::Result<Vec<Self>> {
        let mut selected = Vec::new();
        for name in names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
            if name == "all" {
                selected.extend(Self::ALL);
            } else if let Some(module) = Self::ALL.into_iter().find(|module| module.name() == name) {
                selected.push(module);
            } else {
                bail!("`{name}` is no module; there are all, user, product, cart, payment and order");
            }
        }
        selected.sort();
        selected.dedup();
        if selected.is_empty() {
            bail!("name at least one module: all, user, product, cart, payment or order");
        }
        Ok(selected)
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The modules as a table, or as a graph with every call.
#[must_use]
pub fn describe(graph: bool) -> String {
    let mut lines = Vec::new();
    for module in Module::ALL {
        let port = module.port();
        if graph {
            let calls: Vec<&str> = module.calls().iter().map(|called| called.name()).collect();
            let calls = if calls.is_empty() { "nobody".to_owned() } else { calls.join(", ") };
            lines.push(format!("{module:<8} :{port}  -> {calls}", module = module.name()));
        } else {
            lines.push(format!(
                "{:<8} public :{port}  internal :{}  management :{}",
                module.name(),
                port + 1_000,
                port + crate::config::MANAGEMENT_OFFSET
            ));
        }
    }
    lines.join("\n")
}
