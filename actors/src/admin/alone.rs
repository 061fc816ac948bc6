//! A server alone, to which others are to be added: first it becomes an ensemble of one itself (MB6).

use paddock_config::Members;
use paddock_config::members::Server;
use paddock_messages::ids::ServerId;

use super::members::{ChangeOrder, Configuration, Unchanged};

/// Whether it could listen to other members there, or why not, in words; it may block.
pub type MayListen = Box<dyn Fn(&Server) -> Result<(), String> + Send + Sync>;

/// What a server alone knows of itself, beside its tree.
pub struct Alone {
    /// Who it is.
    pub me: ServerId,
    /// Its line in the file, if there is one.
    pub filed: Option<Server>,
    /// Asked before it becomes a member.
    pub may_listen: MayListen,
}

impl Alone {
    /// What it tells as long as it is alone.
    pub(super) fn configuration(&self) -> Configuration {
        let lines = self.filed.iter().map(|server| format!("server.{}={server}", self.me));
        Configuration { version: "0".into(), members: lines.collect(), alone: Some(self.me.0) }
    }

    /// Whether this order may be given: it names this server at a place where it could listen. Once the order is carried
    /// out it has to.
    pub(super) fn judge(&self, order: &ChangeOrder) -> Result<(), Unchanged> {
        let named = order.members.as_deref().and_then(|lines| Members::read(&lines.replace(',', "\n")).ok());
        let Some(server) = named.as_ref().and_then(|members| members.servers.get(&self.me)) else {
            return Err(Unchanged::Alone(self.me));
        };
        (self.may_listen)(server)
            .map_err(|why| Unchanged::NoPlace { line: format!("server.{}={server}", self.me), why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(filed: Option<&str>) -> Alone {
        let filed = filed.map(|line| Server::read(line).unwrap());
        let may_listen = |server: &Server| {
            if server.to_string().starts_with("here") { Ok(()) } else { Err("no such address".to_owned()) }
        };
        Alone { me: ServerId(1), filed, may_listen: Box::new(may_listen) }
    }

    #[test]
    fn its_own_line_is_told_if_a_file_has_it() {
        for (filed, expected) in [(None, &[][..]), (Some("here:1:2"), &["server.1=here:1:2:participant"])] {
            let told = alone(filed).configuration();
            assert_eq!(
                (told.members, told.alone),
                (expected.iter().map(ToString::to_string).collect(), Some(1))
            );
        }
    }

    #[test]
    fn it_becomes_a_member_only_where_it_can_listen_and_nobody_is_added_before() {
        let ordered = |order: &str| alone(None).judge(&serde_json::from_str(order).unwrap());
        assert!(ordered(r#"{"members":"server.1=here:1:2;3"}"#).is_ok());
        for (order, status, says) in [
            (r#"{"members":"server.1=there:1:2;3"}"#, 409, "server.1=there:1:2:participant;0.0.0.0:3"),
            (r#"{"members":"server.2=here:1:2;3"}"#, 409, "paddock member add 1 'HOST:2888:3888"),
            (r#"{"join":"server.1=here:1:2;3"}"#, 409, "this server is alone"),
            (r#"{"leave":"1"}"#, 409, "this server is alone"),
        ] {
            let refused = ordered(order).unwrap_err();
            assert_eq!((refused.status(), refused.code()), (status, None));
            assert!(refused.to_string().contains(says), "{refused}");
        }
    }
}
