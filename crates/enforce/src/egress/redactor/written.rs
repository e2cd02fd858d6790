//! How one letter is written by those who escape it. Each letter of a secret may come back written in a way of its own: most writers escape
//! only some of them.

/// Most digits of a number, with zeros before it.
const DIGITS: usize = 8;

/// What stands at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// A letter of this number, and how many bytes it takes.
    Letter(u32, usize),
    /// Perhaps, if more comes.
    Open,
    /// Nothing that is escaped.
    Plain,
}

/// ASCII letters that have names in HTML (§13.5), without their mark and in lower case.
const NAMES: [(&str, u8); 41] = [
    ("excl;", b'!'),
    ("quot;", b'"'),
    ("num;", b'#'),
    ("dollar;", b'$'),
    ("percnt;", b'%'),
    ("amp;", b'&'),
    ("apos;", b'\''),
    ("lpar;", b'('),
    ("rpar;", b')'),
    ("ast;", b'*'),
    ("midast;", b'*'),
    ("plus;", b'+'),
    ("comma;", b','),
    ("period;", b'.'),
    ("sol;", b'/'),
    ("colon;", b':'),
    ("semi;", b';'),
    ("lt;", b'<'),
    ("equals;", b'='),
    ("gt;", b'>'),
    ("quest;", b'?'),
    ("commat;", b'@'),
    ("lsqb;", b'['),
    ("lbrack;", b'['),
    ("bsol;", b'\\'),
    ("rsqb;", b']'),
    ("rbrack;", b']'),
    ("hat;", b'^'),
    ("lowbar;", b'_'),
    ("underbar;", b'_'),
    ("grave;", b'`'),
    ("diacriticalgrave;", b'`'),
    ("lcub;", b'{'),
    ("lbrace;", b'{'),
    ("verbar;", b'|'),
    ("vert;", b'|'),
    ("verticalline;", b'|'),
    ("rcub;", b'}'),
    ("rbrace;", b'}'),
    ("tab;", b'\t'),
    ("newline;", b'\n'),
];

/// What is escaped at the beginning of some bytes.
pub(super) fn at(text: &[u8]) -> Written {
    let Some((mark, rest)) = text.split_first() else {
        return Written::Open;
    };
    let (found, before) = match (mark, rest.first()) {
        (b'+', _) => return Written::Letter(u32::from(b' '), 1),
        (b'%' | b'\\' | b'&', None) => return Written::Open,
        (b'%' | b'\\', Some(b'u' | b'U')) => {
            return unicode(rest.get(1..).unwrap_or_default(), *mark == b'\\');
        }
        (b'%', _) => (fixed(rest, 2, 16), 1),
        (b'\\', Some(b'x' | b'X')) => (fixed(rest.get(1..).unwrap_or_default(), 2, 16), 2),
        (b'\\', Some(b'0'..=b'3')) => (fixed(rest, 3, 8), 1),
        (b'\\', Some(letter)) => return short(*letter),
        (b'&', Some(b'#')) => match rest.get(1) {
            None => return Written::Open,
            Some(b'x' | b'X') => (number(rest.get(2..).unwrap_or_default(), 16, b';'), 3),
            Some(_) => (number(rest.get(1..).unwrap_or_default(), 10, b';'), 2),
        },
        (b'&', _) => (named(rest), 1),
        _ => return Written::Plain,
    };
    match found {
        Written::Letter(letter, used) => Written::Letter(letter, used + before),
        other => other,
    }
}

/// Behind a backslash: a letter that means a control character, or one that means itself.
fn short(letter: u8) -> Written {
    let means = match letter {
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'f' => 12,
        b'r' => b'\r',
        other if other.is_ascii_punctuation() => other,
        _ => return Written::Plain,
    };
    Written::Letter(u32::from(means), 2)
}

/// Behind `\u` or `%u`: four digits, two times four (UTF-16), or any number in braces.
fn unicode(text: &[u8], braces: bool) -> Written {
    if braces && text.first() == Some(&b'{') {
        return match number(text.get(1..).unwrap_or_default(), 16, b'}') {
            Written::Letter(letter, used) => Written::Letter(letter, used + 3),
            other => other,
        };
    }
    let high = match fixed(text, 4, 16) {
        Written::Letter(high @ 0xd800..0xdc00, _) => high,
        Written::Letter(letter, used) => return Written::Letter(letter, used + 2),
        other => return other,
    };
    let rest = text.get(4..).unwrap_or_default();
    for (at, wanted) in [(0, &b"\\%"[..]), (1, b"uU")] {
        match rest.get(at) {
            None => return Written::Open,
            Some(byte) if wanted.contains(byte) => {}
            Some(_) => return Written::Plain,
        }
    }
    match fixed(rest.get(2..).unwrap_or_default(), 4, 16) {
        Written::Letter(low @ 0xdc00..0xe000, _) => {
            Written::Letter(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00), 12)
        }
        Written::Letter(..) => Written::Plain,
        other => other,
    }
}

/// So many digits.
fn fixed(text: &[u8], digits: usize, radix: u32) -> Written {
    let mut value = 0;
    for at in 0..digits {
        let Some(byte) = text.get(at) else {
            return Written::Open;
        };
        let Some(digit) = char::from(*byte).to_digit(radix) else {
            return Written::Plain;
        };
        value = value * radix + digit;
    }
    Written::Letter(value, digits)
}

/// Any number of digits up to an end.
fn number(text: &[u8], radix: u32, end: u8) -> Written {
    let mut value: u32 = 0;
    for (at, byte) in text.iter().enumerate().take(DIGITS + 1) {
        if *byte == end && at > 0 {
            return Written::Letter(value, at + 1);
        }
        let Some(digit) = char::from(*byte).to_digit(radix) else {
            return Written::Plain;
        };
        value = value.saturating_mul(radix).saturating_add(digit);
    }
    if text.len() > DIGITS {
        Written::Plain
    } else {
        Written::Open
    }
}

/// A name of HTML.
fn named(text: &[u8]) -> Written {
    let begins = |long: &[u8], short: &[u8]| {
        let head = long.get(..short.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(short))
    };
    let known = NAMES.iter();
    let mut known = known.filter(|(name, _)| begins(text, name.as_bytes()));
    if let Some((name, letter)) = known.next() {
        return Written::Letter(u32::from(*letter), name.len());
    }
    let mut known = NAMES.iter();
    if known.any(|(name, _)| begins(name.as_bytes(), text)) {
        Written::Open
    } else {
        Written::Plain
    }
}
