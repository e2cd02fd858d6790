//! How unlike words a text is: the mean cost of its pairs of characters, in bits, by a table of pairs in English prose and
//! identifiers. Words and identifiers cost 3 to 4 bits a pair, what a machine drew 5 to 8.

/// Mean bits per pair of characters; 0 for fewer than two.
pub(super) fn bits_per_pair(text: &[u8]) -> f32 {
    let mut pairs = 0_u16;
    let mut quarters = 0_u32;
    // What is longer tells no more.
    for (first, second) in text.iter().zip(text.iter().skip(1)).take(512) {
        quarters += cost(*first, *second);
        pairs += 1;
    }
    if pairs == 0 {
        return 0.0;
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "at most 512 pairs of at most 60"
    )]
    let total = quarters as f32;
    total / 4.0 / f32::from(pairs)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Lower,
    Upper,
    Digit,
    /// Between words of an identifier or a path.
    Joint,
    Other,
}

/// Quarters of a bit.
fn cost(first: u8, second: u8) -> u32 {
    use Class::{Digit, Joint, Lower, Other, Upper};
    match (class(first), class(second)) {
        // A hump of camelCase is the end of a word and the beginning of another.
        (Lower, Upper) => {
            pair(first, b' ')
                .saturating_add(pair(b' ', second))
                .min(pair(first, second) + 8)
                + 2
        }
        (Upper, Lower) => pair(first, second) + 4,
        (Lower | Upper, Lower | Upper) => pair(first, second),
        (Digit, Digit) => 10,
        (Joint, Lower | Upper) => pair(b' ', second),
        (Joint, Digit) => 8,
        (_, Joint) => 6,
        (Lower | Upper, Digit) | (Digit, Lower | Upper) | (Other, _) | (_, Other) => 20,
    }
}

fn class(byte: u8) -> Class {
    match byte {
        b'a'..=b'z' => Class::Lower,
        b'A'..=b'Z' => Class::Upper,
        b'0'..=b'9' => Class::Digit,
        b'-' | b'_' | b'.' | b'/' | b' ' => Class::Joint,
        _ => Class::Other,
    }
}

fn pair(first: u8, second: u8) -> u32 {
    let row = |byte: u8| match byte.to_ascii_lowercase() {
        letter @ b'a'..=b'z' => usize::from(letter - b'a'),
        _ => 26,
    };
    QUARTERS
        .get(row(first))
        .and_then(|costs| costs.get(row(second)))
        .map_or(60, |cost| u32::from(*cost))
}

/// −4·log2 of how often the column follows the row; the 27th of each stands for the edge of a word. Counted over 1.4 million words of
/// English documentation and of source code.
#[rustfmt::skip]
const QUARTERS: [[u8; 27]; 27] = [
    [43, 22, 17, 18, 43, 28, 21, 42, 17, 48, 27, 13, 17, 13, 52, 18, 47, 13, 13, 10, 23, 27, 25, 29, 24, 42, 23],
    [12, 35, 27, 33, 10, 40, 39, 42, 18, 17, 45, 13, 32, 38, 14, 31, 53, 20, 23, 28, 13, 43, 35, 53, 14, 38, 12],
    [14, 44, 27, 37, 12, 35, 45, 13, 21, 57, 16, 16, 32, 40, 9, 32, 44, 16, 24, 12, 22, 40, 45, 52, 26, 52, 15],
    [19, 33, 38, 23, 8, 37, 28, 43, 14, 47, 50, 24, 33, 36, 17, 34, 46, 25, 20, 29, 22, 41, 45, 44, 24, 57, 5],
    [19, 33, 19, 17, 27, 22, 30, 41, 33, 49, 38, 16, 23, 14, 36, 25, 27, 12, 14, 16, 40, 25, 27, 20, 26, 53, 7],
    [17, 46, 32, 32, 18, 20, 34, 48, 12, 59, 56, 21, 31, 19, 12, 35, 47, 17, 26, 24, 19, 54, 51, 49, 29, 60, 5],
    [21, 41, 38, 41, 8, 43, 30, 22, 15, 60, 56, 23, 27, 18, 20, 40, 59, 19, 17, 29, 19, 36, 44, 54, 41, 38, 6],
    [11, 44, 44, 40, 6, 43, 51, 44, 14, 60, 44, 34, 29, 36, 15, 44, 60, 26, 32, 16, 22, 51, 48, 60, 30, 51, 10],
    [24, 26, 16, 18, 21, 17, 21, 56, 39, 52, 34, 16, 18, 8, 14, 24, 46, 21, 13, 12, 45, 23, 28, 29, 60, 23, 26],
    [23, 42, 32, 42, 6, 46, 38, 33, 25, 54, 27, 41, 50, 32, 10, 31, 40, 35, 9, 29, 17, 43, 15, 41, 41, 44, 13],
    [26, 43, 32, 32, 6, 25, 32, 45, 14, 53, 50, 24, 41, 20, 33, 23, 43, 37, 17, 32, 27, 46, 25, 51, 43, 49, 5],
    [16, 35, 33, 20, 8, 13, 36, 46, 12, 47, 40, 16, 43, 33, 14, 29, 52, 36, 18, 19, 19, 39, 40, 60, 22, 46, 12],
    [10, 21, 32, 27, 7, 41, 28, 46, 16, 50, 43, 24, 23, 34, 15, 13, 53, 41, 21, 28, 18, 42, 48, 55, 32, 50, 11],
    [17, 41, 17, 13, 13, 27, 15, 44, 22, 45, 28, 29, 39, 26, 15, 30, 55, 39, 16, 12, 25, 28, 27, 54, 28, 53, 8],
    [30, 23, 20, 17, 32, 19, 25, 45, 25, 38, 21, 19, 16, 10, 22, 18, 60, 10, 21, 17, 17, 24, 19, 34, 46, 44, 14],
    [11, 40, 32, 30, 11, 36, 44, 30, 19, 59, 34, 15, 39, 39, 14, 18, 48, 13, 18, 15, 16, 34, 37, 47, 25, 60, 12],
    [42, 40, 42, 30, 39, 42, 44, 50, 36, 38, 53, 16, 43, 33, 35, 39, 38, 30, 29, 37, 3, 46, 28, 40, 46, 43, 6],
    [14, 36, 24, 23, 9, 32, 21, 48, 15, 56, 27, 29, 23, 20, 14, 34, 45, 18, 18, 18, 20, 26, 35, 51, 21, 60, 9],
    [23, 45, 25, 41, 9, 40, 36, 22, 17, 54, 23, 31, 34, 37, 19, 24, 37, 34, 18, 11, 20, 31, 31, 53, 25, 53, 6],
    [16, 40, 26, 29, 12, 33, 43, 11, 15, 57, 51, 28, 33, 36, 15, 24, 57, 16, 20, 21, 20, 47, 33, 37, 23, 44, 7],
    [26, 15, 22, 25, 14, 26, 25, 53, 21, 60, 51, 15, 17, 12, 33, 18, 60, 12, 11, 12, 38, 54, 56, 38, 56, 43, 24],
    [9, 39, 34, 52, 3, 42, 23, 42, 14, 52, 32, 46, 34, 37, 21, 40, 47, 44, 35, 39, 44, 46, 41, 36, 44, 47, 18],
    [12, 41, 45, 32, 14, 40, 44, 12, 10, 54, 30, 32, 47, 17, 15, 45, 44, 13, 19, 29, 49, 46, 27, 41, 47, 52, 11],
    [16, 34, 14, 36, 17, 30, 44, 33, 17, 52, 51, 28, 32, 56, 34, 13, 56, 35, 32, 8, 27, 45, 45, 27, 32, 38, 7],
    [36, 33, 33, 38, 24, 36, 39, 38, 26, 60, 50, 26, 26, 18, 18, 13, 58, 33, 15, 15, 39, 38, 30, 53, 37, 42, 3],
    [18, 34, 38, 40, 2, 34, 37, 31, 12, 43, 36, 26, 26, 35, 21, 41, 44, 36, 33, 38, 24, 46, 43, 44, 25, 25, 16],
    [15, 19, 16, 18, 18, 17, 25, 22, 15, 30, 26, 18, 19, 19, 17, 18, 37, 17, 13, 14, 21, 24, 20, 41, 32, 37, 60],
];

#[cfg(test)]
mod tests;
