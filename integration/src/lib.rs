//! Whole servers under test: real processes, disks that lose power, the wire protocol by hand, Apache's
//! server beside ours, and programs nobody here wrote.

pub mod decoders;
pub mod differential;
pub mod ensemble;
pub mod golden;
pub mod java_server;
pub mod loop_disk;
pub mod network;
pub mod ports;
pub mod power_cut;
pub mod process;
pub mod raw_client;
pub mod relay;
pub mod rounds;
pub mod sim;
