//! What the three steps share: schedules, Adam, the order of public data, divergences, saved state.
//!
//! Nothing here draws randomness that a guarantee rests on; that is [`crate::dp`]'s alone.

mod adam;
mod order;
mod read;
mod schedule;
mod softened;
mod state;

pub use adam::{Adam, AdamConfig};
pub use order::{Order, SplitMix64};
pub use read::{DeviceError, read};
pub use schedule::Schedule;
pub use softened::{Softened, cross_entropy, divergence};
pub use state::{State, StateError};
