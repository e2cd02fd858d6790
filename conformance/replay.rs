//! Replays a corpus: each file of `conformance/corpora/<target>` as it is, then thousands of mutations of it, the same ones in every run.
//! Whatever input was ever found to break a parser becomes a file there.

use std::path::Path;

/// Mutations of each file.
const MUTATIONS: usize = 2_000;

/// Hands `look` the name and bytes of every file of a corpus, and then its mutations under no name.
pub(crate) fn replay(target: &str, mut look: impl FnMut(Option<&str>, &[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../conformance/corpora")
        .join(target);
    let entries = std::fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 4, "{} is no corpus", directory.display());
    let all: Vec<Vec<u8>> = files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect();
    for (file, bytes) in files.iter().zip(&all) {
        let name = file.file_name().unwrap().to_str().unwrap();
        look(Some(name), bytes);
        let mut dice = Dice(name.bytes().fold(0x9e37_79b9_7f4a_7c15, |seed, byte| {
            (seed ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        }));
        for _ in 0..MUTATIONS {
            let other = &all[dice.below(all.len())];
            look(None, &mutated(bytes, other, &mut dice));
        }
    }
}

/// One to four changes: a bit, a byte, a piece taken out, doubled, or put in from another file.
fn mutated(bytes: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    const TELLING: &[u8] = b"\0\x01\x7f\x80\xff.,:;/*\\\"'{}[]()-+_=% \n\t09azAZ";
    let mut bytes = bytes.to_vec();
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len() + 1);
        let length = dice.below(bytes.len() - at + 1).min(dice.below(64));
        match dice.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 if at < bytes.len() => bytes[at] = TELLING[dice.below(TELLING.len())],
            2 => drop(bytes.drain(at..at + length)),
            3 => {
                let piece = bytes[at..at + length].to_vec();
                bytes.splice(at..at, piece);
            }
            4 => {
                let from = dice.below(other.len() + 1);
                let to = from + dice.below(other.len() - from + 1).min(64);
                bytes.splice(at..at + length, other[from..to].iter().copied());
            }
            _ => bytes.insert(at, TELLING[dice.below(TELLING.len())]),
        }
    }
    bytes
}

/// xorshift64*: chance enough for this, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap() % bound
    }
}
