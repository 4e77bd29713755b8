//! Secrets from AWS Secrets Manager (moto's server plays it): the start, the rotation, and that none of them
//! is ever shown.

mod leaks;
mod logins;
mod places;
mod rotation;
mod start;
