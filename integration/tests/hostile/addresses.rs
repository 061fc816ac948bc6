//! Clients of both families on one port.

use std::net::{SocketAddr, TcpListener, TcpStream};

use paddock_integration::raw_client::RawClient;
use paddock_messages::client::OpCode;

use crate::field::{Field, PATIENCE, is_closed, wait_until};

#[test]
fn clients_of_either_family_are_told_apart_by_their_own_address() {
    let field = Field::new("clientPortAddress=0.0.0.0\nmaxClientCnxns=2");
    let mut kept = Vec::new();
    for (host, id) in [("127.0.0.1", "127.0.0.1"), ("::1", "0:0:0:0:0:0:0:1")] {
        if TcpListener::bind((host, 0)).is_err() {
            println!("\nskipped: no {host} here: clients of one family only");
            continue;
        }
        let to = SocketAddr::new(host.parse().unwrap(), field.to().port());
        for _ in 0..2 {
            let mut connected = None; // whoever asked whether it serves may still count
            wait_until(
                "a place",
                || field.server.log(),
                || {
                    connected = RawClient::connect(to).ok();
                    connected.is_some()
                },
            );
            let mut client = connected.expect("it was waited for");
            client.queue_raw(7, OpCode::WhoAmI as i32, |_| {});
            client.flush().unwrap();
            let body = client.reply().unwrap().ok().unwrap();
            assert!(body.ends_with(id.as_bytes()), "{host} is {}", body.escape_ascii());
            kept.push(client);
        }
        let third = TcpStream::connect(to).unwrap();
        third.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(is_closed(&third), "{host}");
        field.wait_for_line(&[&format!("client {} ", third.local_addr().unwrap()), "(maxClientCnxns)"]);
    }
}
