//! The key table, row by row: what a row declares is what happens.

use paddock_config::keys::{self, Asked, Key, Outcome};
use paddock_config::settings::{self, SETTINGS};
use paddock_config::{ConfigError, Kind, NoteKind};

use crate::{Case, told};

/// An ensemble of three in which every key may stand.
const BASE: [(&str, &str); 9] = [
    ("dataDir", "DIR"),
    ("clientPort", "2181"),
    ("initLimit", "10"),
    ("syncLimit", "5"),
    ("server.1", "a:2888:3888"),
    ("server.2", "b:2888:3888"),
    ("server.3", "c:2888:3888"),
    ("group.1", "1:2:3"),
    ("enforce.auth.schemes", "digest"), // without effect by itself
];

/// A key that the row is for.
fn key_of(row: &Key) -> String {
    let number = ["server.*", "group.*", "weight.*", "authProvider.*"].contains(&row.name);
    row.name.replace('*', if number { "1" } else { "some.thing" })
}

fn sample_of(row: &Key) -> &str {
    match row.name {
        "group.*" => "1:2:3", // whoever is in no group is an error
        "dataDir" => "DIR/.", // it holds myid
        _ => row.sample,
    }
}

/// The base with this one line last, and its number.
fn case(row: &Key, value: &str) -> (Case, usize) {
    let key = key_of(row);
    let is_list = |key: &str| ["server", "group", "weight"].iter().any(|list| key.starts_with(list));
    let dynamic = row.outcome == Outcome::DynamicFile;
    let lines = BASE.iter().filter(|(other, _)| *other != key && !(dynamic && is_list(other)));
    let mut lines: Vec<String> = lines.map(|(key, value)| format!("{key}={value}")).collect();
    lines.push(format!("{key}={value}"));
    let case = Case::file("zoo.cfg", &lines.join("\n"));
    case.write("myid", "1\n");
    (case, lines.len())
}

/// What happened: the kinds of remark about the key, or the kind of error.
fn outcome(case: &Case, key: &str) -> Result<Vec<NoteKind>, String> {
    let error = match case.load() {
        Ok(loaded) => {
            return Ok(loaded.notes.iter().filter(|note| note.key == key).map(|note| note.kind).collect());
        }
        Err(error) => error,
    };
    for error in error.all() {
        match error {
            ConfigError::Refused { key: of, .. } if of == key => return Err("refused".to_owned()),
            ConfigError::BadValue { key: of, at, .. } if of == key => {
                assert!(case.relative(&at.to_string()).starts_with("zoo.cfg:"), "{at}");
                return Err("bad value".to_owned());
            }
            _ => {}
        }
    }
    Err(error.to_string())
}

/// CK1.
#[test]
fn ck1_ck2_every_row_does_what_it_declares() {
    for row in keys::all() {
        let key = key_of(row);
        assert_eq!(keys::find(&key).map(|found| found.name), Some(row.name), "{key} is found by another row");
        let (case, line) = case(row, sample_of(row));
        let happened = outcome(&case, &key);
        match row.outcome {
            Outcome::Honoured(setting, _) => {
                assert_eq!(happened, Ok(vec![]), "{key}");
                let (value, origin) = told(&case, &case.ok(), setting);
                assert_eq!(origin, format!("zoo.cfg:{line}"), "{key}");
                let setting = settings::find(setting).expect("CK2");
                assert!(value != setting.with_file, "{key}: the sample must not be the default");
                assert_ne!(value, "none", "{key}");
            }
            Outcome::Member => {
                assert_eq!(happened, Ok(vec![]), "{key}");
                assert_eq!(told(&case, &case.ok(), &key).1, format!("zoo.cfg:{line}"));
            }
            Outcome::DynamicFile => {
                case.write("zoo.cfg.dynamic.100000000", "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n");
                let (case, line) = (case, format!("{key}=DIR/{}", row.sample));
                case.write("zoo.cfg", &format!("dataDir=DIR\ninitLimit=1\nsyncLimit=1\n{line}\n"));
                let loaded = case.ok();
                assert_eq!(
                    (loaded.config.members.servers.len(), loaded.config.members.version),
                    (3, 0x1_0000_0000)
                );
            }
            Outcome::NotNeeded(why) => {
                assert_eq!(happened, Ok(vec![NoteKind::NotNeeded]), "{key}");
                assert!(case.notes().iter().any(|note| note.ends_with(why)), "{key}");
            }
            Outcome::NotYet(_, effect) => {
                assert_eq!(happened, Ok(vec![NoteKind::NotYet]), "{key}");
                assert!(case.notes().iter().any(|note| note.ends_with(effect)), "{key}");
            }
            Outcome::TlsPort => assert_eq!(happened, Ok(vec![NoteKind::NotYet]), "{key}"),
            Outcome::Refused(_, why) => {
                assert_eq!(happened, Err("refused".to_owned()), "{key}");
                assert!(case.error().ends_with(why), "{key}");
            }
            Outcome::AuthProvider => assert_eq!(happened, Err("refused".to_owned()), "{key}"),
        }
    }
}

#[test]
fn a_value_that_asks_for_nothing_changes_nothing() {
    for row in keys::all() {
        let (Outcome::NotYet(asked, _) | Outcome::Refused(asked, _)) = row.outcome else { continue };
        let (idle, malformed) = match asked {
            Asked::Always => continue,
            Asked::WhenTrue => ("False", Some("yes")),
            Asked::WhenNot(value) => (value, None),
        };
        let key = key_of(row);
        assert_eq!(outcome(&case(row, idle).0, &key), Ok(vec![]), "{key}={idle}");
        if let Some(malformed) = malformed {
            assert_eq!(
                outcome(&case(row, malformed).0, &key),
                Err("bad value".to_owned()),
                "{key}={malformed}"
            );
        }
    }
}

#[test]
fn an_honoured_key_refuses_what_its_setting_does_not_take() {
    for row in keys::all() {
        let Outcome::Honoured(setting, _) = row.outcome else { continue };
        let kind = settings::find(setting).expect("CK2").kind;
        if matches!(kind, Kind::Words) {
            continue; // takes whatever stands there, and warns of what is no command
        }
        let malformed = if matches!(kind, Kind::Text | Kind::Secret) { "" } else { "~bad~" };
        let key = key_of(row);
        assert_eq!(outcome(&case(row, malformed).0, &key), Err("bad value".to_owned()), "{key}={malformed}");
    }
}

/// A row that may stand among system properties does the same there; one that may not, nothing.
#[test]
fn system_properties_do_what_the_file_does() {
    for row in keys::all() {
        let Outcome::Honoured(setting, _) = row.outcome else { continue };
        let token = format!("-Xmx1g -Dzookeeper.{}={}", row.name, row.sample.replace(' ', ""));
        let needs = if row.name == "enforce.auth.enabled" { "enforce.auth.schemes=ip\n" } else { "" };
        let case = Case::zoo(&format!("clientPort=1\n{needs}")).env(&[("SERVER_JVMFLAGS", &token)]);
        let loaded = case.ok();
        let from_flags = told(&case, &loaded, setting).1 == "environment variable SERVER_JVMFLAGS";
        assert_eq!(from_flags, !row.file_only, "{}", row.name);
        let warned = loaded.notes.iter().any(|note| note.effect.contains("from the configuration file only"));
        assert_eq!(warned, row.file_only, "{}", row.name);
    }
}

/// CF1.
#[test]
fn cs1_cs2_settings_and_fields_are_the_same() {
    let config = serde_json::to_value(Case::bare().ok().config).expect("it serializes");
    let mut fields = Vec::new();
    for (name, value) in config.as_object().expect("a struct") {
        match value.as_object().filter(|_| name != "members") {
            Some(group) => fields.extend(group.keys().map(|field| format!("{name}.{field}"))),
            None => fields.push(name.clone()),
        }
    }
    fields.retain(|field| field != "client_addr" && field != "members"); // from the two, and from lines
    let mut names: Vec<String> = SETTINGS.iter().map(|setting| setting.name.to_owned()).collect();
    names.retain(|name| name != "client_host" && name != "client_port");
    fields.sort();
    names.sort();
    assert_eq!(fields, names);
}
