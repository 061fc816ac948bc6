use super::*;

const BOB: &str = "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="; // bob:pw, as a ZooKeeper 3.9 server has it
const ADMIN: &str = "super:xQJmxLMiHGwaqBvst5y6rkB6HQs="; // super:admin, likewise

/// `perms scheme id`, with more colons in the id.
fn acl(text: &str) -> Vec<Acl> {
    let entry = |text: &str| {
        let mut parts = text.splitn(3, ':');
        let mut next = || parts.next().unwrap();
        Acl { perms: Perms(next().parse().unwrap()), id: Id::new(next(), next()) }
    };
    text.split_whitespace().map(entry).collect()
}

fn ids(text: &str) -> Vec<Id> {
    text.split_whitespace().map(|id| id.split_once(':').unwrap()).map(|(s, id)| Id::new(s, id)).collect()
}

#[test]
fn a1_only_a_grant_permits() {
    let normal = AuthRules::default();
    let skip = AuthRules { skip_acl: true, ..AuthRules::default() };
    let no_digest = AuthRules { digest_enabled: false, ..AuthRules::default() };
    for (list, needed, who, rules, expected) in [
        ("31:world:anyone", Perms::WRITE, "", &normal, true),
        ("1:world:anyone", Perms::WRITE, "ip:1.2.3.4", &normal, false),
        ("1:world:anyone 2:world:anyone", Perms::WRITE, "", &normal, true),
        ("31:world:bob", Perms::WRITE, "world:bob", &normal, false),
        ("", Perms::ADMIN, "", &normal, true), // no list is an open list
        ("0:world:anyone", Perms::READ, "ip:1.2.3.4", &normal, false), // locks everyone out
        ("0:world:anyone", Perms::READ, "super:", &normal, true),
        ("0:world:anyone", Perms::READ, "", &skip, true),
        ("255:digest:a:b", Perms::READ, "digest:a:b", &normal, true),
        ("224:digest:a:b", Perms::ALL, "digest:a:b", &normal, false), // unknown bits grant nothing
        ("31:digest:a:b", Perms::READ, "digest:a:c digest:A:b", &normal, false),
        ("31:digest:a:b", Perms::READ, "digest:a:b", &no_digest, false),
        ("16:digest:a:b", Perms::READ_OR_ADMIN, "digest:a:b", &normal, true), // either bit will do
        ("1:digest:a:b 2:digest:c:d", Perms::WRITE, "digest:a:b", &normal, false),
        ("31:sasl:bob", Perms::READ, "sasl:bob", &normal, false), // no such provider
        ("31:super:", Perms::READ, "digest:a:b", &normal, false),
        ("31:auth:", Perms::READ, "auth: digest:a:b", &normal, false),
        ("31:digest:1.2.3.4", Perms::READ, "ip:1.2.3.4", &normal, false), // scheme and id both
    ] {
        assert_eq!(permits(&acl(list), needed, &ids(who), rules), expected, "{list} {who}");
    }
}

#[test]
fn addresses_match_by_their_first_bits() {
    for (entry, address, expected) in [
        ("10.1.2.3", "10.1.2.3", true),
        ("10.1.2.3", "10.1.2.4", false),
        ("10.1.2.3/24", "10.1.2.200", true),
        ("10.1.2.3/24", "10.1.3.3", false),
        ("10.1.2.0/31", "10.1.2.1", true),
        ("10.1.2.0/31", "10.1.2.2", false),
        ("010.001.2.3", "10.1.2.3", true),
        ("1.2.3.4/0", "200.1.1.1", true),
        ("1.2.3.4/0", "0:0:0:0:0:0:0:1", false), // families must agree
        ("0.0.0.1", "::1", false),
        ("::1", "0:0:0:0:0:0:0:1", true),
        ("fe80::/10", "febf::7", true),
        ("fe80::/10", "fec0::7", false),
        ("2001:db8::/128", "2001:db8::1", false),
        ("::/0", "2001:db8::1", true),
    ] {
        let list = [Acl { perms: Perms::READ, id: Id::new("ip", entry) }];
        let who = [Id::new("ip", address)];
        assert_eq!(permits(&list, Perms::READ, &who, &AuthRules::default()), expected, "{entry} {address}");
    }
}

#[test]
fn a2_a_list_is_fixed_up_or_refused() {
    let rules = AuthRules::default();
    let fixed = |list: &str, who: &str| {
        let entries: Vec<_> = acl(list).iter().map(AclEntry::from).collect();
        fix_up(Some(&entries), &ids(who), &rules)
    };
    for (list, who, expected) in [
        ("31:world:anyone", "", "31:world:anyone"),
        ("1:world:anyone 1:world:anyone 2:world:anyone", "", "1:world:anyone 2:world:anyone"),
        ("255:world:anyone", "", "255:world:anyone"), // unknown bits are kept
        ("0:ip:10.0.0.0/8", "", "0:ip:10.0.0.0/8"),
        ("1:ip:::1/128", "", "1:ip:::1/128"),
        (
            "1:world:anyone 31:auth:ignored 2:ip:1.2.3.4",
            "ip:9.9.9.9 super: digest:a:b digest:c:d",
            "1:world:anyone 31:digest:a:b 31:digest:c:d 2:ip:1.2.3.4",
        ),
        ("1:digest:a:b:", "", "1:digest:a:b:"), // Java's split drops the empty end
    ] {
        assert_eq!(fixed(list, who), Ok(acl(expected)), "{list}");
    }
    for (list, who) in [
        ("", ""),
        ("31:world:bob", ""),
        ("31:auth:", "ip:1.2.3.4 super:"), // neither proves who someone is
        ("31:super:", "super:"),
        ("31:x509:CN=a", ""),
        ("31:nonsense:a", ""),
        ("31:digest:a", ""),
        ("31:digest:a:", ""),
        ("31:digest:a:b:c", ""),
        ("31:digest:", ""),
        ("1:ip:1.2.3", ""),
        ("1:ip:1.2.3.4.5", ""),
        ("1:ip:1.2.3.256", ""),
        ("1:ip:1.2.3.4/33", ""),
        ("1:ip:1.2.3.4/-1", ""),
        ("1:ip:1.2.3.4/", ""),
        ("1:ip:::1/129", ""),
        ("1:ip:", ""),
        ("31:world:anyone 31:world:bob", ""), // one bad entry spoils the list
    ] {
        assert_eq!(fixed(list, who), Err(ErrorCode::InvalidAcl), "{list}");
    }
    assert_eq!(fix_up(None, &[], &rules), Err(ErrorCode::InvalidAcl));
    for (scheme, id) in [(None, Some("anyone")), (Some("world"), None), (None, None)] {
        let entry = AclEntry { perms: 31, scheme: scheme.map(Into::into), id: id.map(Into::into) };
        assert_eq!(fix_up(Some(&[entry]), &ids("digest:a:b"), &rules), Err(ErrorCode::InvalidAcl));
    }
    let entry = AclEntry { perms: 31, scheme: Some("auth".into()), id: None }; // its id is ignored
    assert_eq!(fix_up(Some(&[entry]), &ids("digest:a:b"), &rules), Ok(acl("31:digest:a:b")));
    let digest_off = AuthRules { digest_enabled: false, ..AuthRules::default() };
    let entry = AclEntry::from(&acl("31:digest:a:b")[0]);
    assert_eq!(fix_up(Some(&[entry]), &[], &digest_off), Err(ErrorCode::InvalidAcl));
}

#[test]
fn a3_hashes_are_shown_with_admin_only() {
    let rules = AuthRules::default();
    let shown = |list: &str, who: &str| visible_acl(&acl(list), &ids(who), &rules);
    let entries = |list: &str| acl(list).iter().map(AclEntry::from).collect::<Vec<_>>();
    let list = "1:world:anyone 16:digest:bob:hash 2:ip:1.2.3.4";
    assert_eq!(shown(list, "digest:bob:hash"), Ok(entries(list)));
    assert_eq!(shown(list, "super:"), Ok(entries(list)));
    let masked = entries("1:world:anyone 16:digest:bob:x 2:ip:1.2.3.4");
    assert_eq!(shown(list, "ip:1.2.3.4"), Ok(masked));
    assert_eq!(shown("14:world:anyone", ""), Err(ErrorCode::NoAuth));
}

#[test]
fn auth_packets_add_identities() {
    let remote = IpAddr::from([127, 0, 0, 1]);
    let rules = AuthRules { super_digest: Some(ADMIN.into()), ..AuthRules::default() };
    let added = |scheme, data: &str| add_auth(Some(scheme), Some(data.as_bytes()), remote, &rules);
    for (scheme, data, expected) in [
        ("digest", "bob:pw", format!("digest:{BOB}")),
        ("digest", "super:admin", format!("super: digest:{ADMIN}")),
        ("ip", "whatever", "ip:127.0.0.1".into()),
    ] {
        assert_eq!(added(scheme, data), Ok(ids(&expected)), "{scheme} {data}");
    }
    assert_eq!(added("digest", "super:other").unwrap().len(), 1); // the user alone is not enough
    // Without a colon all is user; only the first colon separates.
    assert!(added("digest", "bob").unwrap()[0].id.starts_with("bob:"));
    assert_eq!(added("digest", "a:b:c").unwrap()[0].id.matches(':').count(), 1);
    assert_eq!(added("digest", "").unwrap()[0].id, ":2jmj7l5rSw0yVb/vlWAYkK/YBwk="); // SHA-1 of nothing
    for scheme in ["world", "auth", "super", "sasl", "x509", "", "Digest"] {
        assert_eq!(added(scheme, "a:b"), Err(ErrorCode::AuthFailed), "{scheme}");
    }
    assert_eq!(add_auth(None, Some(b"a:b"), remote, &rules), Err(ErrorCode::AuthFailed));
    assert_eq!(add_auth(Some("digest"), None, remote, &rules), Err(ErrorCode::AuthFailed));
    let off = AuthRules { digest_enabled: false, ..AuthRules::default() };
    assert_eq!(add_auth(Some("digest"), Some(b"a:b"), remote, &off), Err(ErrorCode::AuthFailed));
}

#[test]
fn addresses_are_written_as_java_does() {
    for (address, expected) in [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "0:0:0:0:0:0:0:1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:DB8::a0", "2001:db8:0:0:0:0:0:a0"),
    ] {
        assert_eq!(ip_id(address.parse().unwrap()), Id::new("ip", expected));
    }
}

#[test]
fn names_are_what_who_am_i_shows() {
    for (id, expected) in [("digest:bob:hash", "bob"), ("ip:1.2.3.4", "1.2.3.4"), ("super:", "")] {
        assert_eq!(display_name(&ids(id)[0]), expected);
    }
}

#[test]
fn enforced_schemes_are_asked_for() {
    let rules = AuthRules { enforced_schemes: vec!["digest".into(), "sasl".into()], ..AuthRules::default() };
    assert_eq!(enforce(&ids("ip:1.2.3.4 digest:a:b"), &rules), Ok(()));
    assert_eq!(enforce(&ids("ip:1.2.3.4"), &rules), Err(ErrorCode::SessionClosedRequireSaslAuth));
    assert_eq!(enforce(&[], &AuthRules::default()), Ok(()));
}

/// As Java's MessageDigest has them; what comes first of each was shown by ZooKeeper itself for SHA-1, by
/// Java for the others.
#[test]
fn ids_are_hashed_as_the_setting_says() {
    use DigestAlg::*;
    for (alg, hash) in [
        (Sha1, "ikIaKsbtGweaHnb/jKn7OHqbunM="),
        (Sha224, "V2mvd2ffOcs02HpVY83ycSg9kqz4jTlMn1ET9Q=="),
        (Sha256, "lXdkgIa9O1CDDWAryQ0pe9wUYi2LkG6M7Uocn/Vyn2g="),
        (Sha384, "Pd/l06QeLk9MqD36VccOX0Fw1tgKhSdAl0mKINCHnwpI9R17BoWbdxukNC3K47Q1"),
        (Sha512, "jQFpfQMlS0Fkelz3cdxBlcfmOOApGvKAjybCSpc/oHQD7ouOUKaAFXPlHr/2XpjmwJ0yssqB0Mh7gRRVqmyALQ=="),
        (Sha512_224, "cqvSV2UbZ2q5COXLGv28T5tsr77x6AK7tzbGZg=="),
        (Sha512_256, "A9N1joy8pAxXpZyuKoYHmry5YD7X6ES6VJn8WVyn8xY="),
        (Sha3_224, "fqMLUfmRZ/TdX0+Lt0clG29f8TwR0BK3i2sI4Q=="),
        (Sha3_256, "W/mjsw4pvF0wVTGZI9EiUQDRnUt7BAezTWEy2LgNGUU="),
        (Sha3_384, "neI1l8NU58TsHuf2cowDs76KxkaB8h1w2ynsbAWtkX74bewzshqLfF6LxMupPWoT"),
        (
            Sha3_512,
            "9JiU1QoRHYjkQxinb/Pky+SyJQD3SLv3LWNYy7TX/W5j+QuI+VpFa9SjJxvJcHoP9V3Nqf0j+v3SigN2Lchj6Q==",
        ),
    ] {
        let rules = AuthRules { digest_alg: alg, ..AuthRules::default() };
        let proved = add_auth(Some("digest"), Some(b"bob:pw"), "1.2.3.4".parse().unwrap(), &rules);
        assert_eq!(proved.unwrap()[0].id, format!("bob:{hash}"), "{alg:?}");
    }
}

#[test]
fn secrets_compare_whole() {
    for (a, b, same) in [("abc", "abc", true), ("abc", "abd", false), ("abc", "ab", false), ("", "", true)] {
        assert_eq!(schemes::same_secret(a, b), same, "{a} {b}");
    }
}

#[test]
fn ad10_no_auth_packet_makes_an_operator() {
    let of_operator = digest_of(b"operator:x", DigestAlg::Sha1);
    let rules = AuthRules { super_digest: Some(of_operator.into()), ..AuthRules::default() };
    let home = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    for scheme in [None, Some("super"), Some("world"), Some("auth"), Some("operator"), Some("sasl"), Some("")]
    {
        for data in [None, Some(&b"operator"[..]), Some(b"operator:x"), Some(b"")] {
            assert_eq!(add_auth(scheme, data, home, &rules), Err(ErrorCode::AuthFailed), "{scheme:?}");
        }
    }
    for (scheme, data) in [
        ("digest", &b"operator:x"[..]),
        ("digest", b"super:operator"),
        ("digest", b"super:force"),
        ("ip", b"operator"),
    ] {
        let ids = add_auth(Some(scheme), Some(data), home, &rules).unwrap();
        assert!(!is_operator(&ids) && !forces(&ids), "{ids:?}");
    }
    assert!(forces(&operator(true)) && !forces(&operator(false)));
    assert!(is_operator(&operator(false)) && is_operator(&operator(true)));
    assert!(permits(&[], Perms::ADMIN, &operator(false), &rules));
    let list = [Acl { perms: Perms::WRITE, id: Id::new("digest", "a:b") }];
    assert!(permits(&list, Perms::WRITE, &operator(false), &rules));
    // It has proven who it is otherwise.
    let enforced = AuthRules { enforced_schemes: vec!["sasl".into()], ..rules };
    assert_eq!(enforce(&operator(false), &enforced), Ok(()));
    let all = Id::new("super", "");
    assert_eq!(enforce(&[all], &enforced), Err(ErrorCode::SessionClosedRequireSaslAuth));
}

#[test]
fn a_client_may_name_the_ensemble_it_means_where_the_file_says_how_it_is_called() {
    let home = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let called =
        AuthRules { ensemble_names: Some(vec!["prod".into(), "europe".into()]), ..AuthRules::default() };
    for (rules, scheme, name, taken, another) in [
        (&called, "ensemble", Some("prod"), true, false),
        (&called, "ensemble", Some("europe"), true, false),
        (&called, "ensemble", Some(""), true, false),
        (&called, "ensemble", None, true, false),
        (&called, "ensemble", Some("prod,europe"), true, true),
        (&called, "digest", Some("test"), true, false),
        (&AuthRules::default(), "ensemble", Some("prod"), false, false),
    ] {
        let name = name.map(str::as_bytes);
        assert_eq!(means_another_ensemble(Some(scheme), name, rules), another, "{scheme} {name:?}");
        assert_eq!(add_auth(Some(scheme), name, home, rules).is_ok(), taken, "{scheme} {name:?}");
    }
    assert_eq!(add_auth(Some("ensemble"), Some(b"prod"), home, &called), Ok(vec![]), "it is no identity");
}
