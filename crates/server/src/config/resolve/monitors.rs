//! `[monitors]`: which of them do less than they could.

use std::collections::BTreeSet;

use bailiwick_control::monitors::{NAMES, Restraint};

use super::{Key, Reader};

pub(super) fn restraint(reader: &mut Reader<'_>) -> Option<Restraint> {
    let observe = named(reader, Key::MonitorsObserve);
    let off = named(reader, Key::MonitorsOff);
    let (observe, off) = (observe?, off?);
    if let Some(name) = observe.intersection(&off).next() {
        let message = format!("`{name}` is off, too");
        let help = "name it in one of the two";
        reader.flaw(Key::MonitorsObserve, message, help);
        return None;
    }
    Some(Restraint { observe, off })
}

fn named(reader: &mut Reader<'_>, key: Key) -> Option<BTreeSet<String>> {
    let names = reader.texts(key)?;
    if let Some(unknown) = names.iter().find(|name| !NAMES.contains(&name.as_str())) {
        let message = format!("`{unknown}` is no monitor");
        reader.flaw(key, message, format!("there are {}", NAMES.join(", ")));
        return None;
    }
    Some(names.into_iter().collect())
}
