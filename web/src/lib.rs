//! The data owner's tab: a page that draws and a worker that computes.
//!
//! Nothing but the messages of [`protocol`] passes between them.

pub mod protocol;
#[cfg(feature = "worker")]
pub mod worker;
