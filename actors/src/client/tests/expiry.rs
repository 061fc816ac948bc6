//! The last word on an expiry.

use paddock_messages::ids::{AttachNumber, SessionId};

use super::*;

const TIMEOUT_MS: u64 = 10_000;

/// What the arbiter lets pass of an expiry of all its sessions.
fn expire(member: &mut Member, session: SessionId) -> bool {
    let now_ms = member.now_ms;
    !member.arbiters[0].on_expire(vec![(session, AttachNumber::default())], now_ms).is_empty()
}

fn session_of(member: &mut Member, client: Client) -> SessionId {
    member.core(client).session_in_slot(client.conn.slot).unwrap()
}

#[test]
fn e1_a_ping_answered_since_the_last_report_saves_the_session() {
    let mut member = Member::new(1);
    let client = member.connect(0);
    let session = session_of(&mut member, client);
    member.now_ms = 9_999;
    assert_eq!(member.ask(client, &ping()).len(), 1);
    member.now_ms += TIMEOUT_MS - 1;
    assert!(!expire(&mut member, session), "it was promised a millisecond more");
    assert!(!member.is_over(client));
    member.now_ms += 1;
    assert!(expire(&mut member, session));
    assert!(member.is_over(client), "nothing is answered any more");
    member.send(client, &ping());
    assert!(member.receive(client).is_empty());
}

/// It waited for the member's word, or behind a write: the client is promised a timeout from the answer on.
#[test]
fn e1_a_ping_answered_late_is_a_promise_from_then_on() {
    let check = |member: &mut Member, client: Client| {
        let session = session_of(member, client);
        member.now_ms = 3_000 + TIMEOUT_MS - 1;
        assert!(!expire(member, session), "it was promised a millisecond more");
        member.now_ms += 1;
        assert!(expire(member, session));
    };
    let mut member = Member::new(1);
    let client = member.connect(0);
    member.arbiters[0].vouch(9, 10);
    member.now_ms = 10;
    assert!(member.ask(client, &ping()).is_empty(), "nobody vouches");
    member.now_ms = 3_000;
    member.arbiters[0].vouch(3_000, 3_000);
    assert_eq!(member.receive(client).len(), 1);
    check(&mut member, client);

    let mut member = Member::new(1);
    let client = member.connect(0);
    member.now_ms = 10;
    member.send(client, &[create(1, "/a"), ping()].concat());
    assert!(member.receive(client).is_empty(), "a ping's turn comes behind the write's");
    member.now_ms = 3_000;
    member.settle();
    assert_eq!(member.receive(client).len(), 2);
    check(&mut member, client);
}

#[test]
fn e1_what_a_connection_was_promised_outlives_it() {
    let mut member = Member::new(1);
    let client = member.connect(0);
    let session = session_of(&mut member, client);
    member.now_ms = 500;
    assert_eq!(member.ask(client, &ping()).len(), 1);
    member.now_ms = 600;
    member.core(client).on_closed(client.conn);
    member.now_ms = 500 + TIMEOUT_MS - 1;
    member.arbiters[0].on_tick(500 + TIMEOUT_MS - 1);
    assert!(!expire(&mut member, session));
    member.now_ms += 1;
    assert!(expire(&mut member, session));
    assert!(expire(&mut member, SessionId(4711)), "nobody has promised this one anything");
}
