//! Tests of the whole: the house's walls, the documents, the migrations, the command line, and the
//! shop as its users meet it.

mod architecture;
mod cli;
mod documents;
mod flows;
mod schema;
mod support;
