//! A Paddock node: from a configuration to a running member, and to its end.

mod client_port;
mod damaged;
mod data_dir;
mod descriptors;
mod ensemble;
mod in_force;
mod initialize;
mod metrics;
mod open;
mod orders;
mod pid_file;
mod settings;
mod survivor;
mod wiring;

pub use damaged::{Damaged, ResyncError};
pub use data_dir::OtherUser;
pub use initialize::initialize;
pub use open::{StartError, refusal};
pub use settings::segment_bytes;
pub use survivor::{NewHistory, RecoverError, Survivor, holding_at};
pub use wiring::Node;
