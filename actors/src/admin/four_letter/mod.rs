//! Four-letter words: what an operator's `echo stat | nc` and every monitoring agent asks.
//!
//! [`Word::from_bytes`] recognizes one, [`Word::needs`] tells what must be collected, [`answer`] makes
//! the text. Source: FourLetterCommands.java and the classes of its package; texts compared with those
//! of a running 3.9.5.

#[cfg(test)]
mod agents_tests;
mod calendar;
mod facts;
mod render;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use self::facts::*;

/// A command word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Word {
    /// Is the process alive?
    Ruok,
    /// Does it take writes?
    Isro,
    /// The member in numbers.
    Srvr,
    /// Likewise, with connections.
    Stat,
    /// The configuration in use.
    Conf,
    /// Connections in full.
    Cons,
    /// Forget connections' counts.
    Crst,
    /// Forget the member's counts.
    Srst,
    /// Sessions and ephemerals.
    Dump,
    /// The process's surroundings.
    Envi,
    /// All metrics.
    Mntr,
    /// How many watches.
    Wchs,
    /// Watches by connection.
    Wchc,
    /// Watches by path.
    Wchp,
    /// Bytes on disk.
    Dirs,
    /// Digests of the tree.
    Hash,
    /// Tell the trace mask.
    Gtmk,
    /// Set the trace mask: 8 more bytes follow.
    Stmk,
    /// What the telnet program sends when it is interrupted: nothing to answer.
    TelnetClose,
}

/// Something an answer is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// [`Facts::connections`].
    Connections,
    /// [`Facts::watches`].
    Watches,
    /// [`Facts::sessions`].
    Sessions,
    /// [`Facts::conf`].
    Conf,
    /// [`Facts::dirs`].
    Dirs,
    /// [`Facts::digests`].
    Digests,
    /// [`Facts::environment`].
    Environment,
    /// [`Facts::metrics`].
    Metrics,
    /// That connections' counts are forgotten, before the answer.
    ResetConnections,
    /// That the member's counts are forgotten, before the answer.
    ResetServer,
    /// That [`Facts::trace_mask`] is what came behind the word.
    SetTraceMask,
}

/// Each word with its bytes.
const WORDS: [(Word, [u8; 4]); 19] = [
    (Word::Ruok, *b"ruok"),
    (Word::Isro, *b"isro"),
    (Word::Srvr, *b"srvr"),
    (Word::Stat, *b"stat"),
    (Word::Conf, *b"conf"),
    (Word::Cons, *b"cons"),
    (Word::Crst, *b"crst"),
    (Word::Srst, *b"srst"),
    (Word::Dump, *b"dump"),
    (Word::Envi, *b"envi"),
    (Word::Mntr, *b"mntr"),
    (Word::Wchs, *b"wchs"),
    (Word::Wchc, *b"wchc"),
    (Word::Wchp, *b"wchp"),
    (Word::Dirs, *b"dirs"),
    (Word::Hash, *b"hash"),
    (Word::Gtmk, *b"gtmk"),
    (Word::Stmk, *b"stmk"),
    (Word::TelnetClose, [0xff, 0xf4, 0xff, 0xfd]),
];

impl Word {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        WORDS.iter().map(|(word, _)| *word)
    }

    /// The word a connection's first four bytes are, if they are one; as a frame's length each of them
    /// would be far over the limit, so nothing is mistaken.
    pub fn from_bytes(bytes: [u8; 4]) -> Option<Self> {
        WORDS.iter().find(|(_, its)| *its == bytes).map(|(word, _)| *word)
    }

    /// As the whitelist and the refusal write it.
    pub fn name(self) -> &'static str {
        let (_, bytes) = WORDS.iter().find(|(word, _)| *word == self).expect("every word is in the list");
        std::str::from_utf8(bytes).unwrap_or("telnet close")
    }

    /// How many bytes after the first four belong to it; all others are ignored.
    pub const fn argument_bytes(self) -> usize {
        if matches!(self, Self::Stmk) { 8 } else { 0 }
    }

    /// Whether `whitelist`, from the configuration, lets it be answered. `srvr` always may: zkServer.sh
    /// asks for it. Source: FourLetterCommands.isEnabled.
    pub fn is_allowed(self, whitelist: &BTreeSet<String>) -> bool {
        self == Self::Srvr || whitelist.contains(self.name())
    }

    /// The answer to a word that is not in the whitelist.
    pub fn refusal(self) -> String {
        format!("{} is not executed because it is not in the whitelist.\n", self.name())
    }

    /// Whether it has an answer only while the member serves.
    pub const fn needs_serving(self) -> bool {
        !matches!(self, Self::Ruok | Self::Isro | Self::Envi | Self::Gtmk | Self::Stmk | Self::TelnetClose)
    }

    /// What must be collected or done for its answer, besides [`Facts::server`] and the trace mask.
    pub const fn needs(self) -> &'static [Need] {
        match self {
            Self::Ruok | Self::Isro | Self::Srvr | Self::Gtmk | Self::TelnetClose => &[],
            Self::Stat | Self::Cons => &[Need::Connections],
            Self::Conf => &[Need::Conf, Need::Dirs],
            Self::Crst => &[Need::ResetConnections],
            Self::Srst => &[Need::ResetServer],
            Self::Dump => &[Need::Sessions, Need::Connections],
            Self::Envi => &[Need::Environment],
            Self::Mntr => &[Need::Metrics],
            Self::Wchs | Self::Wchc | Self::Wchp => &[Need::Watches],
            Self::Dirs => &[Need::Dirs],
            Self::Hash => &[Need::Digests],
            Self::Stmk => &[Need::SetTraceMask],
        }
    }
}

/// What a member that does not serve says to most words.
pub const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests\n";

/// The whole answer to `word`, after which the connection is closed.
pub fn answer(word: Word, facts: &Facts) -> String {
    if word.needs_serving() && !facts.server.serving {
        return render::not_serving(word, &facts.server);
    }
    match word {
        Word::Ruok => "imok".into(),
        Word::Isro => render::is_read_only(&facts.server).into(),
        Word::Srvr => render::server(&facts.server, None),
        Word::Stat => render::server(&facts.server, Some(&facts.connections)),
        Word::Conf => render::conf(&facts.conf, facts.dirs),
        Word::Cons => render::connections(&facts.connections),
        Word::Crst => "Connection stats reset.\n".into(),
        Word::Srst => "Server stats reset.\n".into(),
        Word::Dump => render::dump(&facts.sessions, &facts.connections),
        Word::Envi => render::environment(&facts.environment),
        Word::Mntr => render::monitor(&facts.server, &facts.metrics),
        Word::Wchs => render::watch_summary(&facts.watches),
        Word::Wchc => render::watches_by_session(&facts.watches),
        Word::Wchp => render::watches_by_path(&facts.watches),
        Word::Dirs => render::dirs(facts.dirs),
        Word::Hash => render::digests(&facts.digests),
        Word::Gtmk | Word::Stmk => facts.trace_mask.to_string(),
        Word::TelnetClose => String::new(),
    }
}
