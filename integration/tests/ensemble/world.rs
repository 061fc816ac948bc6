//! Ensembles as the tests start them, and their clients.

use std::net::SocketAddr;

use paddock_integration::ensemble::{Ensemble, Id, Mode, Shape};
use paddock_integration::raw_client::{ClientError, Handshake, RawClient};
use paddock_messages::error_code::ErrorCode;
use tempfile::TempDir;

/// One that serves, with these lines in every `zoo.cfg`. The folder must live as long.
pub(crate) fn serving(voters: usize, observers: usize, lines: &str) -> (TempDir, Ensemble) {
    let (dir, mut ensemble) = waiting(voters, observers, lines);
    ensemble.start_all();
    ensemble.await_all_serving();
    (dir, ensemble)
}

/// The same, with no member started.
pub(crate) fn waiting(voters: usize, observers: usize, lines: &str) -> (TempDir, Ensemble) {
    let dir = tempfile::tempdir().unwrap();
    let shape = Shape { voters, observers, lines: lines.to_owned(), ..Shape::default() };
    let ensemble = Ensemble::shaped(dir.path(), shape);
    (dir, ensemble)
}

/// A client of one member, which must serve.
pub(crate) fn client(ensemble: &Ensemble, id: Id) -> RawClient {
    connect(ensemble.client_address(id), &Handshake::default())
}

/// The same, with this session timeout, which must be granted.
pub(crate) fn client_for(ensemble: &Ensemble, id: Id, timeout_ms: i32) -> RawClient {
    let client = connect(ensemble.client_address(id), &Handshake { timeout_ms, ..Handshake::default() });
    assert_eq!(client.session().timeout_ms, timeout_ms, "as asked for");
    client
}

fn connect(to: SocketAddr, handshake: &Handshake) -> RawClient {
    RawClient::connect_with(to, handshake).unwrap_or_else(|error| panic!("{to}: {error}"))
}

/// The members that are this, by id.
pub(crate) fn those(ensemble: &Ensemble, mode: Mode) -> Vec<Id> {
    ensemble.ids().into_iter().filter(|id| ensemble.mode(*id) == Some(mode)).collect()
}

/// Whether an error says that the session is served elsewhere, or that this connection is closed.
pub(crate) fn is_turned_away(error: &ClientError) -> bool {
    let closed = error.is_disconnect() && !error.is_silence();
    closed || matches!(error, ClientError::Refused(ErrorCode::SessionMoved))
}
