//! Jobs: their states, their life at B (`coordinator`) and at A (`participant`), and the thread
//! that computes them.

mod control;
mod coordinator;
mod engine;
#[cfg(test)]
mod hostile;
mod id;
mod live;
mod load;
mod manager;
mod participant;
mod run;
mod state;
#[cfg(test)]
mod tests;

pub use control::{Cause, Control};
pub use engine::{Context, Engine, ProtocolEngine};
pub use id::JobId;
pub use live::{Live, Report, Waiting};
pub use manager::{Manager, ManagerConfig};
pub use state::{Event, Illegal, State, transition};
