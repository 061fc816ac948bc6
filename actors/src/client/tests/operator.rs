use bytestring::ByteString;
use paddock_messages::ids::SessionId;
use paddock_messages::wire::Wire;

use super::super::throttle::{Rate, Throttle};
use super::*;
use crate::client::Gates;

/// Clients have used up every limit there is: connections, of this host too, and handshakes.
#[test]
fn ad10_an_operator_s_connection_begins_with_its_rights_and_no_limit_of_clients_turns_it_away() {
    let settings = Settings { max_connections: 1, max_connections_per_host: 1, ..Settings::default() };
    let rules = AuthRules { enforced_schemes: vec!["digest".into()], ..AuthRules::default() };
    let mut member = Member::with(1, settings, rules);
    let rate = Rate { tokens: 1, fill_count: 0, fill_time_ms: 1_000_000 };
    let gates = Gates { throttle: Throttle::weighted(rate, Default::default(), 0), ..Gates::default() };
    member.arbiters[0].entrance = Arc::new(Entrance::behind(gates));
    let client = member.connect(0);
    let anybody = "127.0.0.1:9".parse().unwrap();
    assert!(member.arbiters[0].on_accept(anybody, 0).is_err(), "there is one already");

    let conn = member.arbiters[0].on_operator(false, 0);
    let operator = Client { arbiter: 0, conn };
    member.send(operator, &hello(SessionId::NONE, 0, None));
    member.settle();
    assert!(member.handshake(operator).timeout_ms > 0);
    let who = member.ask(operator, &request(1, OpCode::WhoAmI as i32, |_| {}));
    let mut body = who[0].body.clone();
    assert_eq!(i32::read(&mut body).unwrap(), 1, "one identity");
    assert_eq!(
        [ByteString::read(&mut body), ByteString::read(&mut body)],
        [Ok("super".into()), Ok("".into())]
    );
    assert_eq!(
        member.ask(client, &request(1, OpCode::WhoAmI as i32, |_| {}))[0].err,
        -124,
        "a client has none"
    );

    assert_eq!(member.arbiters[0].entrance.connections(), 2);
    member.arbiters[0].on_closed(conn);
    member.arbiters[0].on_closed(client.conn);
    assert_eq!(member.arbiters[0].entrance.connections(), 0);
    assert!(member.arbiters[0].on_accept(anybody, 0).is_ok(), "each is counted out again");
}
