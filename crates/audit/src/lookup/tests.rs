//! Places come in order and once; what the index does not know is read, the newest first, and counted beyond the bound.

use super::*;

fn places(named: &[u64], read: &[Range<u64>]) -> Places {
    Places {
        named: named.iter().copied().collect(),
        read: read.to_vec(),
        unread: 0,
        cut: false,
    }
}

#[test]
fn places_come_in_order_and_once() {
    let mut some = places(&[1, 4, 5, 9, 30], &[3..6, 9..10, 20..22]);
    let all: Vec<u64> = some.iter().collect();
    assert_eq!(all, [1, 3, 4, 5, 9, 20, 21, 30]);
    assert_eq!(some.unknown(), 6);
    some.end_at(5);
    assert_eq!(some.iter().collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!(places(&[], &[]).iter().count(), 0);
}

#[test]
fn without_an_index_everything_is_read_as_far_as_the_bound_goes() {
    let mut lookup = Lookup::new(None, "example.org/node-1", 100..1_000);
    lookup.ask(&Conditions::default(), 10);
    assert!(!lookup.is_indexed());
    let all = lookup.places(900);
    assert_eq!(
        (all.read.as_slice(), all.unread),
        (std::slice::from_ref(&(100..1_000)), 0)
    );
    let some = lookup.places(300);
    assert_eq!(
        (some.read.as_slice(), some.unread),
        (std::slice::from_ref(&(700..1_000)), 600)
    );
    assert_eq!((some.unknown(), some.cut), (900, false));
}

#[test]
fn what_is_unknown_at_any_question_is_unknown() {
    let mut lookup = Lookup::new(None, "example.org/node-1", 10..100);
    lookup.unknown.clear();
    lookup.does_not_know([90..u64::MAX, 0..12].into_iter());
    lookup.does_not_know([11..20, 40..50].into_iter());
    lookup.does_not_know([50..60, 45..48].into_iter());
    assert_eq!(lookup.unknown, [10..20, 40..60, 90..100]);
}
