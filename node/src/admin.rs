//! How the commands of operators speak with a node: HTTP over the socket in its data directory.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use paddock_actors::admin::socket::{self, SOCKET};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An answer longer than this is none of a node's.
const LONGEST: u64 = 16 << 20;

/// Why there is no answer, for whoever asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// There is no socket, or nobody listens to it.
    #[error("no node is running on {directory}: {error}; is it the data directory of a node of this version?", directory = .directory.display())]
    NotRunning { directory: PathBuf, error: io::Error },
    /// It is another user's.
    #[error("{socket}: may not be opened: only its owner and root may speak with this node", socket = .0.display())]
    NotOurs(PathBuf),
    /// It is silent.
    #[error("the node on {directory} has not answered within {within:?}", directory = .directory.display())]
    Silent { directory: PathBuf, within: Duration },
    /// It ended, or is no node.
    #[error("the node on {directory} gave no answer: {error}", directory = .directory.display())]
    Broken { directory: PathBuf, error: io::Error },
    /// It answered that it cannot, in these words.
    #[error("{error}")]
    Refused {
        /// HTTP's number for it.
        status: u16,
        /// What the leader would have told a client, where it is the leader who refuses.
        code: Option<i32>,
        error: String,
    },
    /// It was not asked: that would be no use.
    #[error("{0}")]
    Pointless(String),
}

/// What a node says instead of an answer.
#[derive(serde::Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    code: Option<i32>,
}

/// `GET`s a path. The answer is told as it came, too.
pub(crate) fn get<T: DeserializeOwned>(
    directory: &Path,
    path: &str,
    within: Duration,
) -> Result<(T, String), AskError> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    answer(directory, &request, within)
}

/// `POST`s an order to a path; else the same.
pub(crate) fn post<T: DeserializeOwned>(
    directory: &Path,
    path: &str,
    order: &impl Serialize,
    within: Duration,
) -> Result<(T, String), AskError> {
    let body = serde_json::to_string(order).expect("plain data is always JSON");
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    answer(directory, &request, within)
}

fn answer<T: DeserializeOwned>(
    directory: &Path,
    request: &str,
    within: Duration,
) -> Result<(T, String), AskError> {
    let broken = |error| AskError::Broken { directory: directory.to_owned(), error };
    let (status, body) = ask(directory, request, within)?;
    if status != 200 {
        let said = serde_json::from_str::<Refusal>(&body);
        return Err(said.map_or_else(
            |_| broken(io::Error::other(format!("HTTP status {status}"))),
            |Refusal { error, code }| AskError::Refused { status, code, error },
        ));
    }
    let value = serde_json::from_str(&body).map_err(|error| broken(error.into()))?;
    Ok((value, body))
}

/// The status and the body of the answer.
fn ask(directory: &Path, request: &str, within: Duration) -> Result<(u16, String), AskError> {
    let owned = || directory.to_owned();
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            AskError::Silent { directory: owned(), within }
        }
        _ => AskError::Broken { directory: owned(), error },
    };
    let mut stream = socket::connect(directory).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => AskError::NotOurs(directory.join(SOCKET)),
        _ => AskError::NotRunning { directory: owned(), error },
    })?;
    stream.set_read_timeout(Some(within)).map_err(failed)?;
    stream.set_write_timeout(Some(within)).map_err(failed)?;
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = String::new();
    stream.take(LONGEST).read_to_string(&mut answer).map_err(failed)?;
    if answer.is_empty() {
        return Err(failed(io::ErrorKind::UnexpectedEof.into()));
    }
    let parsed = answer.split_once("\r\n\r\n").and_then(|(head, body)| {
        let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        Some((status, body.to_owned()))
    });
    parsed.ok_or_else(|| failed(io::Error::other("it is not HTTP")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use paddock_actors::admin::socket::AdminSocket;

    use super::*;

    const SHORTLY: Duration = Duration::from_millis(200);

    /// What comes of a node that does so with whoever connects.
    fn asked(node: impl FnOnce(UnixListener) + Send + 'static) -> Result<(u32, String), AskError> {
        let dir = tempfile::tempdir().unwrap();
        let (_socket, listener) = AdminSocket::bind(dir.path()).unwrap();
        listener.set_nonblocking(false).unwrap();
        let node = std::thread::spawn(move || node(listener));
        let answer = get(dir.path(), "/api/x", SHORTLY);
        node.join().unwrap();
        answer
    }

    /// One that answers so.
    fn says(answer: &'static str) -> impl FnOnce(UnixListener) {
        move |listener| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let len = stream.read(&mut request).unwrap();
            assert!(request[..len].starts_with(b"GET /api/x HTTP/1.1\r\nHost: localhost\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        }
    }

    #[test]
    fn an_answer_a_refusal_and_what_is_neither() {
        let (value, text) = asked(says("HTTP/1.1 200 OK\r\na: b\r\n\r\n7")).unwrap();
        assert_eq!((value, text.as_str()), (7, "7"));
        for (answer, told) in [
            ("HTTP/1.1 409 Conflict\r\n\r\n{\"error\":\"it does not lead\"}", "it does not lead"),
            ("HTTP/1.1 404 Not Found\r\n\r\n", "gave no answer: HTTP status 404"),
            ("HTTP/1.1 200 OK\r\n\r\nseven", "gave no answer: "),
            ("SSH-2.0\r\n\r\n", "gave no answer: it is not HTTP"),
            ("", "gave no answer: unexpected end of file"),
        ] {
            let error = asked(says(answer)).unwrap_err().to_string();
            assert!(error.contains(told), "{answer}: {error}");
        }
    }

    #[test]
    fn one_that_is_silent_or_not_there_is_told_with_its_directory() {
        let silent = asked(|listener| {
            let connection = listener.accept();
            std::thread::sleep(2 * SHORTLY);
            drop(connection);
        });
        let error = silent.unwrap_err().to_string();
        assert!(error.ends_with("has not answered within 200ms"), "{error}");
        let dir = tempfile::tempdir().unwrap();
        let nobody = get::<u32>(dir.path(), "/", SHORTLY).unwrap_err().to_string();
        assert!(nobody.starts_with(&format!("no node is running on {}: ", dir.path().display())), "{nobody}");
        let (_socket, listener) = AdminSocket::bind(dir.path()).unwrap();
        drop(listener); // as a killed one leaves it
        let dead = get::<u32>(dir.path(), "/", SHORTLY).unwrap_err().to_string();
        assert!(dead.starts_with("no node is running on "), "{dead}");
    }
}
