//! The names of the modules, their ports, who calls whom and who hears whom.

use std::fmt;

use anyhow::bail;
use eshopz_platform::events::{Subscription, Subscriptions};
use eshopz_platform::personal::Columns;

/// Ports above the public one, in every process: the internal listener, for the other modules.
pub const INTERNAL_OFFSET: u16 = 1_000;
/// And the management listener, for the operator.
pub const MANAGEMENT_OFFSET: u16 = 6_000;

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
    /// All of them; each calls and hears only those before it, and itself.
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

    /// Whom the module calls. Everybody asks `user` who is signed in.
    #[must_use]
    pub const fn calls(self) -> &'static [Self] {
        match self {
            Self::User => &[],
            Self::Product | Self::Payment => &[Self::User],
            Self::Cart => &[Self::User, Self::Product],
            Self::Order => &[Self::User, Self::Product, Self::Cart, Self::Payment],
        }
    }

    /// The module's listeners and what they take, whether or not it runs here.
    #[must_use]
    pub const fn subscriptions(self) -> &'static [Subscription] {
        match self {
            Self::Cart => eshopz_cart::SUBSCRIPTIONS,
            Self::Order => eshopz_order::SUBSCRIPTIONS,
            Self::Payment => eshopz_payment::SUBSCRIPTIONS,
            Self::User | Self::Product => &[],
        }
    }

    /// The module's columns that can hold text, and what becomes of them when an account is deleted.
    #[must_use]
    pub const fn personal(self) -> &'static [Columns] {
        match self {
            Self::User => eshopz_user::PERSONAL,
            Self::Product => eshopz_product::PERSONAL,
            Self::Cart => eshopz_cart::PERSONAL,
            Self::Payment => eshopz_payment::PERSONAL,
            Self::Order => eshopz_order::PERSONAL,
        }
    }

    /// Whether a listener of this name is one of the module's.
    #[must_use]
    pub fn has_listener(self, name: &str) -> bool {
        self.subscriptions().iter().any(|one| one.listener == name)
    }

    /// The names of the events that the module tells.
    #[must_use]
    pub const fn events(self) -> &'static [&'static str] {
        match self {
            Self::User => eshopz_user_api::EVENTS,
            Self::Product => eshopz_product_api::EVENTS,
            Self::Cart => &[],
            Self::Payment => eshopz_payment_api::EVENTS,
            Self::Order => eshopz_order_api::EVENTS,
        }
    }

    /// The modules that hear at least one event of this one.
    pub fn heard_by(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |module| module.hears().contains(&self))
    }

    /// The modules whose events this one takes, itself perhaps among them.
    #[must_use]
    pub fn hears(self) -> Vec<Self> {
        let taken: Vec<&str> = self.subscriptions().iter().flat_map(|one| one.events).copied().collect();
        let told = |module: &Self| module.events().iter().any(|event| taken.contains(event));
        Self::ALL.into_iter().filter(told).collect()
    }

    /// The public port of a process that runs these modules.
    #[must_use]
    pub fn default_port(selected: &[Self]) -> u16 {
        match selected {
            [only] => only.port(),
            _ => 3000,
        }
    }

    /// Reads a name.
    ///
    /// # Errors
    /// When it is no module's.
    pub fn parse(name: &str) -> anyhow::Result<Self> {
        match Self::ALL.into_iter().find(|module| module.name() == name) {
            Some(module) => Ok(module),
            None => bail!("`{name}` is no module; there are all, user, product, cart, payment and order"),
        }
    }

    /// Reads `all` or a list of names.
    ///
    /// # Errors
    /// When a name is no module.
    pub fn parse_selection(names: &[String]) -> anyhow::Result<Vec<Self>> {
        let mut selected = Vec::new();
        for name in names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
            match name {
                "all" => selected.extend(Self::ALL),
                name => selected.push(Self::parse(name)?),
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

/// Every subscription of the shop, wherever the listeners run.
#[must_use]
pub fn subscriptions() -> Subscriptions {
    Module::ALL
        .into_iter()
        .flat_map(Module::subscriptions)
        .fold(Subscriptions::default(), |all, one| all.with(one.listener, one.events))
}

/// The modules that take events of this name.
pub fn hearers_of(event: &str) -> impl Iterator<Item = Module> {
    let takes = move |module: &Module| module.subscriptions().iter().any(|one| one.events.contains(&event));
    Module::ALL.into_iter().filter(takes)
}

/// A circle among the calls and subscriptions: with it there would be no order to build the modules in.
#[must_use]
pub fn circle() -> Option<(Module, Module)> {
    Module::ALL.into_iter().enumerate().find_map(|(place, module)| {
        let below = |other: &Module| Module::ALL.iter().take(place).any(|lower| lower == other);
        let called = module.calls().iter().copied().find(|called| !below(called));
        called
            .or_else(|| module.hears().into_iter().find(|heard| *heard != module && !below(heard)))
            .map(|wrong| (module, wrong))
    })
}

/// The modules as a table, or as a graph with every call and every event.
#[must_use]
pub fn describe(graph: bool) -> String {
    let mut lines = Vec::new();
    for module in Module::ALL {
        let port = module.port();
        lines.push(format!(
            "{:<8} public :{port}  internal :{}  management :{}",
            module.name(),
            port + INTERNAL_OFFSET,
            port + MANAGEMENT_OFFSET
        ));
        if graph {
            lines.push(format!("  calls      {}", names(module.calls().iter().copied())));
            lines.push(format!("  called by  {}", names(callers(module))));
            if module.events().is_empty() {
                lines.push("  tells      nothing".to_owned());
            }
            lines.extend(module.events().iter().map(|event| format!("  tells      {event} -> {}", listeners(event))));
        }
    }
    if !graph {
        return lines.join("\n");
    }
    lines.push(
        "Calls and subscriptions point down; user is at the bottom. Several modules in one process: public :3000."
            .to_owned(),
    );
    lines.join("\n")
}

fn callers(called: Module) -> impl Iterator<Item = Module> {
    Module::ALL.into_iter().filter(move |module| module.calls().contains(&called))
}

fn listeners(event: &str) -> String {
    let all = subscriptions();
    let listeners: Vec<&str> = all.listeners_of(event).collect();
    if listeners.is_empty() { "nobody".to_owned() } else { listeners.join(", ") }
}

fn names(modules: impl Iterator<Item = Module>) -> String {
    let names: Vec<&str> = modules.map(Module::name).collect();
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_circle() {
        assert_eq!(circle(), None);
    }

    #[test]
    fn every_subscription_is_to_an_event_that_somebody_tells() {
        let told: Vec<&str> = Module::ALL.into_iter().flat_map(Module::events).copied().collect();
        for (event, listener) in subscriptions().pairs() {
            assert!(told.contains(&event), "{listener} waits for {event}, which nobody tells");
        }
    }

    #[test]
    fn a_listeners_name_begins_with_its_module() {
        for module in Module::ALL {
            for one in module.subscriptions() {
                assert_eq!(one.listener.split('.').next(), Some(module.name()));
            }
        }
    }

    #[test]
    fn the_graph_names_ports_calls_and_listeners() {
        let graph = describe(true);
        assert!(graph.contains("order    public :3005  internal :4005  management :9005"), "{graph}");
        assert!(
            graph.contains("user.deleted.v1 -> cart.forget_customer, order.forget_customer, payment.forget_customer"),
            "{graph}"
        );
        assert!(graph.contains("calls      user, product, cart, payment"), "{graph}");
    }
}
