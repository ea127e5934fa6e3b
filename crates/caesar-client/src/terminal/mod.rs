//! How jobs look on a terminal: live progress, tables and errors. Shared by the `caesar` command
//! and the demo.

mod evaluation;
mod profile;
mod progress;
mod tables;
mod text;

pub use evaluation::evaluation_tables;
pub use profile::profile_table;
pub use progress::ProgressView;
pub use tables::{jobs_table, report_table, status_table};
pub use text::{clean, describe_error, describe_failure, describe_progress};
