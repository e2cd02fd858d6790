//! Known answers of RFC 6962 implementations, and the compact range against the definition.

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, prop_assert_ne};
use proptest::proptest;

use super::*;

/// The eight leaves and roots of the Certificate Transparency reference tests.
const LEAVES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/// MTH as RFC 6962 §2.1 defines it, recursion and all.
fn naive_root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => hash::sha256(&[]),
        [one] => *one,
        many => {
            let mut split = 1;
            while split * 2 < many.len() {
                split *= 2;
            }
            node_hash(&naive_root(&many[..split]), &naive_root(&many[split..]))
        }
    }
}

fn path_from_leaves(index: usize, leaves: &[Digest]) -> Vec<Digest> {
    inclusion_path::<()>(index as u64, leaves.len() as u64, &mut |level, position| {
        let start = usize::try_from(position << level).unwrap();
        Ok(naive_root(&leaves[start..start + (1 << level)]))
    })
    .unwrap()
}

/// PROOF as RFC 6962 §2.1.2 defines it.
fn naive_consistency(old: usize, leaves: &[Digest], whole: bool) -> Vec<Digest> {
    if old == leaves.len() {
        return if whole {
            Vec::new()
        } else {
            vec![naive_root(leaves)]
        };
    }
    let mut split = 1;
    while split * 2 < leaves.len() {
        split *= 2;
    }
    let (mut path, last) = if old <= split {
        (
            naive_consistency(old, &leaves[..split], whole),
            &leaves[split..],
        )
    } else {
        (
            naive_consistency(old - split, &leaves[split..], false),
            &leaves[..split],
        )
    };
    path.push(naive_root(last));
    path
}

fn consistency_from_leaves(old: usize, leaves: &[Digest]) -> Vec<Digest> {
    consistency_path::<()>(old as u64, leaves.len() as u64, &mut |level, position| {
        let start = usize::try_from(position << level).unwrap();
        Ok(naive_root(&leaves[start..start + (1 << level)]))
    })
    .unwrap()
}

#[test]
fn every_pair_of_small_trees_is_consistent_and_by_no_other_path() {
    let leaves: Vec<Digest> = (0..40_usize).map(|i| leaf_hash(&i.to_be_bytes())).collect();
    for size in 1..leaves.len() {
        let (new, root) = (&leaves[..size], naive_root(&leaves[..size]));
        for old in 1..=size {
            let old_root = naive_root(&leaves[..old]);
            let path = consistency_from_leaves(old, new);
            assert_eq!(path, naive_consistency(old, new, true), "{old} of {size}");
            let shown =
                |path: &[Digest]| is_consistent(old as u64, &old_root, size as u64, &root, path);
            assert!(shown(&path), "{old} of {size}");
            for at in 0..path.len() {
                let mut other = path.clone();
                other[at].0[7] ^= 1;
                assert!(!shown(&other), "{old} of {size}, hash {at}");
                other.remove(at);
                assert!(!shown(&other), "{old} of {size}, without {at}");
            }
            let longer: Vec<Digest> = path.iter().copied().chain([root]).collect();
            assert!(!shown(&longer), "{old} of {size}, longer");
        }
    }
    let nothing = CompactRange::default().root();
    assert!(is_consistent(
        0,
        &nothing,
        3,
        &naive_root(&leaves[..3]),
        &[]
    ));
    assert!(!is_consistent(0, &leaves[0], 3, &leaves[1], &[]));
    assert!(!is_consistent(5, &leaves[0], 3, &leaves[0], &[]));
}

#[test]
fn known_answers_of_rfc_6962() {
    assert_eq!(
        CompactRange::default().root().to_hex(),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    let mut range = CompactRange::default();
    for (leaf, root) in LEAVES.iter().zip(ROOTS) {
        range.push(leaf_hash(leaf));
        assert_eq!(range.root().to_hex(), root);
    }
}

#[test]
fn every_inclusion_path_of_small_trees_leads_to_the_root() {
    for size in 1..40_usize {
        let leaves: Vec<Digest> = (0..size).map(|i| leaf_hash(&i.to_be_bytes())).collect();
        let root = naive_root(&leaves);
        for index in 0..size {
            let path = path_from_leaves(index, &leaves);
            assert_eq!(
                root_from_path(leaves[index], index as u64, size as u64, &path),
                Some(root)
            );
            if !path.is_empty() {
                assert_eq!(
                    root_from_path(leaves[index], index as u64, size as u64, &path[1..]),
                    None
                );
            }
            let mut longer = path.clone();
            longer.push(root);
            assert_eq!(
                root_from_path(leaves[index], index as u64, size as u64, &longer),
                None
            );
        }
    }
}

proptest! {
    #[test]
    fn compact_range_equals_the_definition(seeds in prop::collection::vec(any::<u32>(), 0..300)) {
        let leaves: Vec<Digest> = seeds.iter().map(|seed| leaf_hash(&seed.to_be_bytes())).collect();
        let range: CompactRange = leaves.iter().copied().collect();
        prop_assert_eq!(range.root(), naive_root(&leaves));
        prop_assert_eq!(range.size(), leaves.len() as u64);
    }

    #[test]
    fn a_path_proves_only_its_own_leaf_and_place(size in 2_usize..200, pick in any::<prop::sample::Index>(), other in any::<prop::sample::Index>()) {
        let leaves: Vec<Digest> = (0..size).map(|i| leaf_hash(&i.to_be_bytes())).collect();
        let root = naive_root(&leaves);
        let (index, elsewhere) = (pick.index(size), other.index(size));
        let path = path_from_leaves(index, &leaves);
        prop_assert_eq!(root_from_path(leaves[index], index as u64, size as u64, &path), Some(root));
        if index != elsewhere {
            prop_assert_ne!(root_from_path(leaves[elsewhere], index as u64, size as u64, &path), Some(root));
            prop_assert_ne!(root_from_path(leaves[index], elsewhere as u64, size as u64, &path), Some(root));
        }
    }

    #[test]
    fn a_forked_tree_is_not_consistent(size in 2_usize..300, old in any::<prop::sample::Index>(), changed in any::<prop::sample::Index>()) {
        let leaves: Vec<Digest> = (0..size).map(|i| leaf_hash(&i.to_be_bytes())).collect();
        let old = 1 + old.index(size - 1);
        let path = consistency_from_leaves(old, &leaves);
        prop_assert_eq!(&path, &naive_consistency(old, &leaves, true));
        let (old_root, root) = (naive_root(&leaves[..old]), naive_root(&leaves));
        prop_assert!(is_consistent(old as u64, &old_root, size as u64, &root, &path));
        // The other history differs in a leaf that the old tree covers.
        let mut other = leaves;
        other[changed.index(old)].0[0] ^= 1;
        let (forked, honest) = (naive_root(&other), consistency_from_leaves(old, &other));
        prop_assert!(!is_consistent(old as u64, &old_root, size as u64, &forked, &honest));
        prop_assert!(!is_consistent(old as u64, &old_root, size as u64, &forked, &path));
    }

    #[test]
    fn hostile_paths_never_panic(old in any::<u64>(), size in any::<u64>(), index in any::<u64>(), count in 0_usize..70, fill in any::<u8>()) {
        let path = vec![Digest([fill; 32]); count];
        is_consistent(old, &Digest([1; 32]), size, &Digest([2; 32]), &path);
        root_from_path(Digest([1; 32]), index, size, &path);
    }
}
