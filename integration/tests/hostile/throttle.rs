//! Limits at the door: connections in all, and how fast they come.

use std::io::Read;

use paddock_integration::raw_client::RawClient;

use crate::field::{Field, wait_until};

#[test]
fn maxcnxns_closes_one_too_many_and_says_so() {
    let field = Field::new("maxCnxns=3");
    let mut kept: Vec<_> = (0..3).map(|_| RawClient::connect(field.to())).collect();
    kept.retain(Result::is_ok);
    let mut stream = field.socket();
    let peer = stream.local_addr().unwrap();
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)), "closed");
    field.wait_for_line(&[&format!("client {peer} "), "3 connections already (maxCnxns)", "raise it"]);
    for _ in 0..100 {
        drop(field.socket()); // a flood of them is a few lines
    }
    kept[0].as_mut().unwrap().ping().unwrap();
    drop(kept);
    let free = || RawClient::connect(field.to()).is_ok();
    wait_until("a free place", || field.server.log(), free);
    assert!(field.refused("max_cnxns") > 50);
    assert!(field.lines_with("(maxCnxns)") < 20, "{}", field.server.log());
}

#[test]
fn connection_throttle_tokens_limit_how_fast_clients_connect() {
    let fast =
        "connection_throttle_tokens=20\nconnection_throttle_fill_time=100\nconnection_throttle_fill_count=1";
    let field = Field::new(&format!("maxClientCnxns=0\n{fast}"));
    let mut inside = field.client();
    let mut refused = 0;
    let mut kept = Vec::new();
    while refused == 0 || kept.len() < 5 {
        match RawClient::connect(field.to()) {
            Ok(client) => kept.push(client),
            Err(error) => {
                assert!(error.is_disconnect(), "{error}");
                refused += 1;
            }
        }
        assert!(kept.len() < 10_000, "nobody is refused");
    }
    inside.ping().unwrap();
    field.wait_for_line(&["client 127.0.0.1:", "connection_throttle_tokens", "raise it"]);
    assert_eq!(field.refused("connection_throttle"), refused);
    assert!(field.told("connection_rejected") >= refused);
    assert!(field.told("max_connection_token_deficit") >= 20);
    wait_until("tokens", || field.server.log(), || RawClient::connect(field.to()).is_ok());
}

#[test]
fn who_comes_while_there_are_no_tokens_is_turned_away_by_chance_until_they_are_back() {
    let slow =
        "connection_throttle_tokens=3\nconnection_throttle_fill_time=500\nconnection_throttle_fill_count=1";
    let chance = "connection_throttle_freeze_time=1\nconnection_throttle_drop_increase=1\n\
                  connection_throttle_drop_decrease=1";
    let field = Field::new(&format!("maxClientCnxns=0\n{slow}\n{chance}"));
    let mut inside = field.client();
    let has_chance = || {
        for _ in 0..8 {
            let late = RawClient::connect(field.to()); // more than there are tokens in half a second
            assert!(late.as_ref().err().is_none_or(|error| error.is_disconnect()), "{late:?}");
        }
        field.told("connection_drop_probability") == 1
    };
    wait_until("a chance", || field.server.log(), has_chance);
    inside.ping().unwrap();
    assert!(field.refused("connection_throttle") > 0);
    wait_until("tokens", || field.server.log(), || RawClient::connect(field.to()).is_ok());
    assert_eq!(field.told("connection_drop_probability"), 0);
}
