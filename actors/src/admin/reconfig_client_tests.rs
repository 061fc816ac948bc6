use std::collections::VecDeque;

use paddock_messages::ids::SessionId;
use tokio::io::{DuplexStream, duplex};

use super::*;

const TEXT: &[u8] = b"server.1=a:1:2:participant\nversion=100000003";

fn request() -> Reconfig {
    let leaving_servers = Some("3".into());
    Reconfig { joining_servers: None, leaving_servers, new_members: None, current_config_id: 7 }
}

fn framed(body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame(&mut bytes, body);
    bytes
}

fn granted(timeout_ms: i32) -> Vec<u8> {
    framed(|to| ConnectResponse::granted(SessionId(7), timeout_ms).write_with(Some(false), to))
}

fn reply(xid: i32, err: i32, text: Option<&[u8]>) -> Vec<u8> {
    framed(|to| {
        ReplyHeader { xid, zxid: 9, err }.write(to);
        text.map(Bytes::copy_from_slice).write(to);
    })
}

/// Takes one frame for each of these and answers it so, a byte at a time; closes behind the last. What it was asked.
async fn server(mut stream: DuplexStream, mut answers: VecDeque<Vec<u8>>) -> Vec<Bytes> {
    let mut asked = Vec::new();
    while let Some(answer) = answers.pop_front() {
        let Ok(length) = stream.read_i32().await else { break };
        let mut body = vec![0; length as usize];
        stream.read_exact(&mut body).await.unwrap();
        asked.push(body.into());
        for byte in answer {
            if stream.write_all(&[byte]).await.is_err() {
                break;
            }
        }
    }
    asked
}

/// What comes of a server that answers so, and what it was asked.
async fn told(answers: &[Vec<u8>]) -> (String, Vec<Bytes>) {
    let (ours, theirs) = duplex(64);
    let server = actix_rt::spawn(server(theirs, answers.to_vec().into()));
    let told = match reconfig(ours, &request(), ANSWERED_WITHIN).await {
        Ok(text) => String::from_utf8(text.to_vec()).unwrap(),
        Err(failed) => failed.to_string(),
    };
    (told, server.await.unwrap())
}

#[actix_rt::test]
async fn a_session_one_reconfig_and_its_end_are_asked_for() {
    let answers = [granted(10_000), reply(RECONFIG, 0, Some(TEXT)), reply(CLOSE, 0, None)];
    let (text, asked) = told(&answers).await;
    assert_eq!(text.as_bytes(), TEXT);
    let connect = ConnectRequest::read(asked[0].clone()).unwrap();
    assert_eq!((connect.fields.session_id, connect.read_only), (0, Some(false)));
    let mut body = asked[1].clone();
    let header = RequestHeader::read(&mut body).unwrap();
    assert_eq!((header.xid, header.opcode), (RECONFIG, OpCode::Reconfig as i32));
    assert_eq!(Reconfig::read(&mut body).unwrap(), request());
    let close = RequestHeader::read(&mut asked[2].clone()).unwrap();
    assert_eq!(close.opcode, OpCode::CloseSession as i32);
}

#[actix_rt::test]
async fn what_else_may_come_is_told_apart() {
    let closed = "the connection was closed";
    let unexpected = "what came is no answer to it";
    for (answers, expected) in [
        (vec![], format!("no session: {closed}")),
        (vec![vec![]], format!("no session: {closed}")), // a member without a leader
        (vec![granted(0)], format!("no session: {unexpected}")),
        (vec![vec![0xff; 4]], format!("no session: {unexpected}")),
        (vec![vec![0x7f, 0xff, 0xff, 0xff]], format!("no session: {unexpected}")),
        (vec![framed(|to| to.push(0))], "no session: what came cannot be read: protocol_version".into()),
        (vec![granted(10_000)], format!("no answer: {closed}")),
        (vec![granted(10_000), vec![]], format!("no answer: {closed}")), // the leader is lost
        (vec![granted(10_000), reply(5, 0, Some(TEXT))], format!("no answer: {unexpected}")),
        (vec![granted(10_000), reply(RECONFIG, -999, None)], format!("no answer: {unexpected}")),
        (vec![granted(10_000), reply(RECONFIG, 0, None)], format!("no answer: {unexpected}")),
        (vec![granted(10_000), framed(|to| 1.write(to))], "no answer: what came cannot be read: zxid".into()),
        (vec![granted(10_000), reply(RECONFIG, -13, None)], ErrorCode::NewConfigNoQuorum.to_string()),
        (vec![granted(10_000), reply(RECONFIG, -13, None), vec![]], ErrorCode::NewConfigNoQuorum.to_string()),
    ] {
        let (told, _) = told(&answers).await;
        assert!(told.starts_with(&expected), "{expected}: {told}");
    }
}

/// The member has not answered yet: the session is kept alive, and no longer than there is patience.
#[actix_rt::test]
async fn a_long_wait_is_pinged_through_and_ends() {
    const PING_EVERY_MS: i32 = 50;
    let (ping, answer) = (reply(xid::PING, 0, None), reply(RECONFIG, 0, Some(TEXT)));
    let last = [ping.clone(), answer].concat();
    let (text, asked) = told(&[granted(3 * PING_EVERY_MS), vec![], ping, last, reply(CLOSE, 0, None)]).await;
    assert_eq!(text.as_bytes(), TEXT);
    let xids: Vec<_> =
        asked[1..].iter().map(|it| RequestHeader::read(&mut it.clone()).unwrap().xid).collect();
    assert_eq!(xids, [RECONFIG, xid::PING, xid::PING, CLOSE]);

    let answers = [vec![granted(3 * PING_EVERY_MS)], vec![vec![]; 100]].concat();
    let (ours, theirs) = duplex(64);
    let server = actix_rt::spawn(server(theirs, answers.into()));
    let failed = reconfig(ours, &request(), Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(failed.to_string(), "no answer: nothing came within 300ms");
    assert!(server.await.unwrap().len() >= 3, "a session, a reconfig, pings");
}
