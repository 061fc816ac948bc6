use super::*;

#[test]
fn an_order_is_what_a_client_would_ask_for() {
    let order = |text: &str| serde_json::from_str::<ChangeOrder>(text).map_err(|error| error.to_string());
    let told = |text: &str| match order(text).map(|order| asked(&order)) {
        Ok(Ok(it)) => {
            let Reconfig { joining_servers, leaving_servers, new_members, current_config_id } = it;
            format!("{joining_servers:?} {leaving_servers:?} {new_members:?} {current_config_id:x}")
        }
        Ok(Err(why)) => format!("{}: {why}", why.status()),
        Err(why) => why,
    };
    for (text, expected) in [
        (
            r#"{"join":"server.4=a:1:2;3","leave":"3","version":"100000003"}"#,
            r#"Some("server.4=a:1:2;3") Some("3") None 100000003"#,
        ),
        (r#"{"leave":"3","version":"0x1f"}"#, r#"None Some("3") None 1f"#),
        (r#"{"members":"server.1=a:1:2"}"#, r#"None None Some("server.1=a:1:2") ffffffffffffffff"#),
        ("{}", "400: this is no change: say who"),
        (r#"{"join":"a","members":"b"}"#, "400: this is no change: either"),
        (r#"{"join":"a","version":"x"}"#, "400: this is no change: a version"),
        (r#"{"joins":"a"}"#, "unknown field `joins`"),
    ] {
        let told = told(text);
        assert!(told.starts_with(expected), "{text}: {told}");
    }
    assert_eq!(serde_json::to_string(&ChangeOrder::default()).unwrap(), "{}");
}

#[test]
fn each_refusal_says_what_to_do_and_who_knows_why() {
    let refused = |code| Unchanged::Refused { code, leader: "server 2, which leads,".to_owned() };
    for (code, says) in [
        (ErrorCode::NewConfigNoQuorum, "wait until they serve"),
        (ErrorCode::ReconfigInProgress, "once it is over"),
        (ErrorCode::ReconfigDisabled, "reconfigEnabled=false is written"),
        (ErrorCode::BadArguments, "correct the request"),
        (ErrorCode::BadVersion, "look at paddock member list"),
        (ErrorCode::Marshalling, "ids are whole numbers"),
        (ErrorCode::NotReadOnly, "make room on its disk"),
        (ErrorCode::ThrottledOp, "repeat this"),
        (ErrorCode::SessionExpired, "repeat this"),
        (ErrorCode::NoAuth, "the leader refuses it"), // never of super
    ] {
        let why = refused(code);
        assert_eq!((why.status(), why.code()), (409, Some(code.code())));
        let end = format!("({}); the log of server 2, which leads, has the reason", code.code());
        let text = why.to_string();
        assert!(text.contains(says) && text.ends_with(&end), "{text}");
    }
    for why in [Unchanged::NotAsked("a".into()), Unchanged::Unknown("b".into())] {
        assert_eq!((why.status(), why.code()), (503, None));
    }
}

#[test]
fn a_configuration_reads_as_it_was_told() {
    let text = "server.1=a:1:2:participant;0.0.0.0:3\nserver.2=b:1:2:observer\n";
    let members = Members { version: 0x1_0000_0003, ..Members::read(text).unwrap() };
    let told = Configuration::of(&members);
    assert_eq!(
        serde_json::to_string(&told).unwrap(),
        r#"{"version":"100000003","members":["server.1=a:1:2:participant;0.0.0.0:3","server.2=b:1:2:observer"]}"#
    );
    assert_eq!(told.read(), Some(members));
    assert_eq!(Configuration { version: "g".into(), ..told }.read(), None);
}
