//! Tasks that the process cannot do without, and that are no actors: the guardian does not see them.

use std::future::Future;

use tokio::task::AbortHandle;

use super::exit::{ExitCode, Fatal};

/// Drives `task` on the current arbiter. When it ends, by a panic too, the process does: one that accepts nobody any more,
/// and seems to be well, is worse than none. `what` it does is told then. To end it on purpose abort it.
pub fn spawn_vital(fatal: &Fatal, what: String, task: impl Future<Output = ()> + 'static) -> AbortHandle {
    let (fatal, task) = (fatal.clone(), actix_rt::spawn(task));
    let abort = task.abort_handle();
    actix_rt::spawn(async move {
        let (code, how) = match task.await {
            Ok(()) => (ExitCode::Unexpected, "ended"),
            Err(error) if error.is_panic() => (ExitCode::Panic, "panicked"),
            Err(_) => return, // aborted
        };
        fatal.end(code, &format!("{what} has {how}"));
    });
    abort
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn a_task_that_must_not_end_takes_the_process_with_it() {
        for (panics, code, told) in [
            (true, ExitCode::Panic, "accepting has panicked"),
            (false, ExitCode::Unexpected, "accepting has ended"),
        ] {
            let (fatal, endings) = Fatal::recorded();
            let (end, ended) = tokio::sync::oneshot::channel::<()>();
            let task = async move {
                let _ = ended.await;
                assert!(!panics, "as it is told to");
            };
            let _ = spawn_vital(&fatal, "accepting".into(), task);
            tokio::task::yield_now().await;
            assert_eq!(endings.codes(), [], "it goes on");
            end.send(()).expect("it waits");
            while endings.codes().is_empty() {
                tokio::task::yield_now().await;
            }
            assert_eq!(endings.all(), [(code, told.to_owned())]);
        }
    }

    #[actix_rt::test]
    async fn one_that_is_ended_on_purpose_leaves_the_process_as_it_is() {
        let (fatal, endings) = Fatal::recorded();
        let (held, dropped) = tokio::sync::oneshot::channel::<()>();
        let task = async move {
            let _held = held;
            std::future::pending::<()>().await;
        };
        spawn_vital(&fatal, "accepting".into(), task).abort();
        assert!(dropped.await.is_err(), "it is gone");
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        assert_eq!(endings.codes(), []);
    }
}
