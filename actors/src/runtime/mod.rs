//! Starts actors: mailbox first, own thread or shared; clock and seed.
