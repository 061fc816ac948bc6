//! What is on disk, and when it is durable.
