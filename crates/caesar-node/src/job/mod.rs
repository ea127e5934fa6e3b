//! Jobs: their states, their life at B (`coordinator`) and at A (`participant`), what the peer says
//! about them (`notices`), how an attempt ends (`attempt`), and the thread that computes it.

mod attempt;
mod control;
mod coordinator;
mod engine;
mod id;
mod live;
mod load;
mod manager;
mod notices;
mod participant;
mod profile;
mod run;
mod state;
#[cfg(test)]
mod tests;

pub use control::{Cause, Control, LAST_MESSAGES};
pub use engine::{Context, Engine, ProtocolEngine};
pub use id::JobId;
pub use live::{Live, Report, Waiting};
pub use load::source;
pub use manager::{Manager, ManagerConfig};
pub use profile::{Profile, Spent, Traffic};
pub use state::{Event, Illegal, State, Verdict, transition};
