//! What the operating system lets this process have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard one: each client is a descriptor. Says what the
/// limit is, or that it could not be raised; the node starts either way.
pub(crate) fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => tracing::info!(from = ?limit.current, to = ?limit.maximum, "open files: soft limit raised"),
        Err(error) => tracing::warn!(
            limit = ?limit.current, %error,
            "open files: the soft limit could not be raised; each client takes one, raise LimitNOFILE",
        ),
    }
}
