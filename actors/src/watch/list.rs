//! The watchers of one path: a few bytes each, in order of their slots.

/// The kinds of watch that one connection holds on one path, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds(pub(super) u32);

impl Kinds {
    pub(super) const BITS: u32 = 4;
    pub(super) const DATA: Self = Self(1);
    pub(super) const CHILD: Self = Self(2);
    pub(super) const PERSISTENT: Self = Self(4);
    pub(super) const RECURSIVE: Self = Self(8);
    pub(super) const STANDARD: Self = Self(1 | 2);
    pub(super) const ALL: Self = Self(15);

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// A connection's slot and its kinds, in 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Watcher(u32);

impl Watcher {
    /// `slot` is below 2^28: the arbiter's table of connections sees to that.
    fn new(slot: u32, kinds: Kinds) -> Self {
        Self(slot << Kinds::BITS | kinds.0)
    }

    pub(super) fn slot(self) -> u32 {
        self.0 >> Kinds::BITS
    }

    pub(super) fn kinds(self) -> Kinds {
        Kinds(self.0 & Kinds::ALL.0)
    }
}

/// Watchers in ascending order of slot, each slot once, each with at least one kind. Most paths have
/// one watcher: it needs no memory of its own.
#[derive(Debug, Default)]
pub(super) enum Watchers {
    #[default]
    None,
    One(Watcher),
    #[allow(clippy::box_collection, reason = "16 bytes a path instead of 24")]
    Many(Box<Vec<Watcher>>),
}

impl Watchers {
    pub(super) fn as_slice(&self) -> &[Watcher] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    pub(super) fn kinds_of(&self, slot: u32) -> Kinds {
        let watchers = self.as_slice();
        match watchers.binary_search_by_key(&slot, |w| w.slot()) {
            Ok(at) => watchers[at].kinds(),
            Err(_) => Kinds::default(),
        }
    }

    /// Sets what `slot` holds here; no kinds at all takes it off the list.
    pub(super) fn set(&mut self, slot: u32, kinds: Kinds) {
        let found = self.as_slice().binary_search_by_key(&slot, |w| w.slot());
        let gone = kinds == Kinds::default();
        match (found, &mut *self) {
            (Err(_), _) if gone => {}
            (Err(_), Self::None) => *self = Self::One(Watcher::new(slot, kinds)),
            (Err(at), Self::One(one)) => {
                let mut many = vec![*one];
                many.insert(at, Watcher::new(slot, kinds));
                *self = Self::Many(Box::new(many));
            }
            (Err(at), Self::Many(many)) => many.insert(at, Watcher::new(slot, kinds)),
            (Ok(_), Self::One(_)) if gone => *self = Self::None,
            (Ok(at), Self::Many(many)) if gone => {
                many.remove(at);
                self.shrink();
            }
            (Ok(_), Self::One(one)) => *one = Watcher::new(slot, kinds),
            (Ok(at), Self::Many(many)) => many[at] = Watcher::new(slot, kinds),
            (Ok(_), Self::None) => unreachable!("an empty list holds no slot"),
        }
    }

    /// Takes `fired` off every watcher, and calls `told` for each that held one of `matching`.
    pub(super) fn fire(&mut self, matching: Kinds, fired: Kinds, mut told: impl FnMut(u32, Kinds)) {
        let mut keep = |watcher: &mut Watcher| {
            let kinds = watcher.kinds();
            if kinds.meets(matching) {
                told(watcher.slot(), kinds);
            }
            *watcher = Watcher::new(watcher.slot(), kinds.without(fired));
            watcher.kinds() != Kinds::default()
        };
        match self {
            Self::None => {}
            Self::One(one) => {
                if !keep(one) {
                    *self = Self::None;
                }
            }
            Self::Many(many) => {
                many.retain_mut(keep);
                self.shrink();
            }
        }
    }

    fn shrink(&mut self) {
        let Self::Many(many) = self else { return };
        match many[..] {
            [] => *self = Self::None,
            [one] => *self = Self::One(one),
            _ if many.capacity() > 4 * many.len() => many.shrink_to(2 * many.len()),
            _ => {}
        }
    }
}
