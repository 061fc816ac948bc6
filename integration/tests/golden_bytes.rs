//! Apache's recorded bytes: read, written again, and played to Paddock.
//! `GOLDEN=record` starts Apache's server and records anew (needs java); replaying needs
//! `cargo build -p paddock`.
#![allow(missing_docs, reason = "a test binary")]

#[path = "golden_bytes/reconfig.rs"]
mod reconfig;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use paddock_integration::differential::observe::Frame;
use paddock_integration::differential::op::Action;
use paddock_integration::differential::servers;
use paddock_integration::golden::file::{self, Case};
use paddock_integration::golden::limits::{self, Answer, LIMITS, Limit};
use paddock_integration::golden::records::{reply_again, request_again};
use paddock_integration::golden::{UNREACHABLE, record, replay};
use paddock_integration::java_server::JavaServer;
use paddock_messages::client::OpCode;
use paddock_messages::client::session::password;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::SessionId;

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/java-3.9.txt")
}

/// The recording; made anew first if asked for, once however many tests ask.
fn cases() -> Vec<Case> {
    static RECORDED: std::sync::Once = std::sync::Once::new();
    RECORDED.call_once(|| {
        if std::env::var("GOLDEN").as_deref() == Ok("record") {
            let java = servers::java().expect("Apache's server starts");
            let cases = record(java.address());
            let text = file::write(&cases);
            assert_eq!(file::read(&text), cases, "the file holds all that was seen");
            std::fs::write(path(), text).expect("the recording can be written");
        }
    });
    file::read(&std::fs::read_to_string(path()).expect("the recording is there"))
}

fn limits_path() -> PathBuf {
    path().with_file_name("java-3.9-limits.txt")
}

/// The same of the errors that take settings of their own.
fn limits() -> Vec<(ErrorCode, Answer)> {
    static RECORDED: std::sync::Once = std::sync::Once::new();
    RECORDED.call_once(|| {
        if std::env::var("GOLDEN").as_deref() == Ok("record") {
            let record = |limit: &Limit| {
                let java = JavaServer::start(limit.keys, &[]).expect("Apache's server starts");
                (limit.code, (limit.ask)(java.address()).expect("it answers"))
            };
            let answers: Vec<_> = LIMITS.iter().map(record).collect();
            let text = limits::write(&answers);
            assert_eq!(limits::read(&text), answers, "the file holds all that was seen");
            std::fs::write(limits_path(), text).expect("the recording can be written");
        }
    });
    limits::read(&std::fs::read_to_string(limits_path()).expect("the recording is there"))
}

/// The first session's frames with the opcode they answer.
fn answers(cases: &[Case]) -> Vec<(&Case, i32, &Frame)> {
    let opcode = |case: &Case| case.op.opcode().unwrap_or(0);
    cases.iter().flat_map(|case| case.seen[0].iter().map(move |frame| (case, opcode(case), frame))).collect()
}

#[test]
fn u1_requests_and_replies_read_and_write_byte_for_byte() {
    let cases = cases();
    for case in &cases {
        let Action::Request { opcode, body, .. } = &case.op.action else { continue };
        if case.op.text.starts_with("-5") {
            assert!(request_again(*opcode, body).is_err(), "{}", case.op);
        } else {
            assert_eq!(request_again(*opcode, body).as_deref(), Ok(&body[..]), "{}", case.op);
        }
    }
    let mut met = 0;
    for (case, opcode, frame) in answers(&cases) {
        if let Frame::Reply { err: 0, body, .. } = frame {
            assert_eq!(reply_again(opcode, body).map(Bytes::from), Ok(body.clone()), "{}", case.op);
            met += 1;
        }
        if let Frame::Handshake(timeout, id, secret) = frame {
            let expected = if *timeout > 0 { password(SessionId(*id)) } else { [0; 16] };
            assert_eq!(secret[..], expected, "{}", case.op);
        }
    }
    assert!(met > 40, "only {met} replies");
}

#[test]
fn u2_paddock_answers_with_the_recorded_bytes() {
    let paddock = servers::paddock(0).unwrap();
    let faults = replay(&cases(), paddock.server.address());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn u2_paddock_answers_the_errors_that_take_settings_with_the_recorded_bytes() {
    let recorded = limits();
    assert_eq!(recorded.iter().map(|(code, _)| *code).collect::<Vec<_>>(), LIMITS.map(|limit| limit.code));
    for (limit, (code, java)) in LIMITS.iter().zip(recorded) {
        assert_eq!(java.header.err, code.code());
        let paddock = servers::paddock_with(limit.keys).unwrap();
        let answer = (limit.ask)(paddock.server.address()).unwrap();
        assert_eq!(answer.masked(), java.masked(), "{code:?}");
    }
}

#[test]
fn u3_every_opcode_and_error_is_recorded_or_cannot_be() {
    let cases = cases();
    let opcodes: BTreeSet<i32> = cases.iter().filter_map(|case| case.op.opcode()).collect();
    let missing: Vec<_> = OpCode::ALL.iter().filter(|code| !opcodes.contains(&(**code as i32))).collect();
    assert!(missing.is_empty(), "opcodes without a recording: {missing:?}");

    let mut errors: BTreeSet<i32> = limits().iter().map(|(_, answer)| answer.header.err).collect();
    errors.extend(reconfig::recording().cases.iter().filter_map(|(_, told)| told.code()));
    for (_, opcode, frame) in answers(&cases) {
        let Frame::Reply { err, body, .. } = frame else { continue };
        errors.insert(*err);
        if opcode == OpCode::Multi as i32 {
            // An error result is a header {-1, false, code} and the code again.
            let is_error = |at: &&[u8]| at[..5] == [255, 255, 255, 255, 0] && at[5..9] == at[9..13];
            let code = |at: &[u8]| i32::from_be_bytes([at[5], at[6], at[7], at[8]]);
            errors.extend(body.windows(13).filter(is_error).map(code));
        }
    }
    for code in ErrorCode::ALL {
        let excused = UNREACHABLE.iter().any(|(unreachable, _)| unreachable == code);
        assert_ne!(errors.contains(&code.code()), excused, "{code:?}: recorded, or excused, and not both");
    }
}
