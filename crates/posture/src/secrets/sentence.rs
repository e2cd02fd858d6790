//! What stands where a secret would: placeholders, references to where it is kept, and expressions of a language.

/// Texts that say themselves that they are none.
const TELLING: [&[u8]; 29] = [
    b"example",
    b"changeme",
    b"change-me",
    b"change_me",
    b"placeholder",
    b"your_",
    b"your-",
    b"yourpass",
    b"yoursecret",
    b"yourtoken",
    b"yourkey",
    b"yourapi",
    b"dummy",
    b"redacted",
    b"replace",
    b"insert",
    b"xxxx",
    b"****",
    b"....",
    b"0000000000",
    b"1234567890",
    b"abcdefgh",
    b"deadbeef",
    b"not-a-real",
    b"notreal",
    b"fakefake",
    b"todo",
    b"fixme",
    b"sample",
];

/// Whole values that are words for "a secret", or for none.
const WORDS: [&str; 44] = [
    "password",
    "passwd",
    "passw0rd",
    "p@ssword",
    "p@ssw0rd",
    "password1",
    "password123",
    "secret",
    "mysecret",
    "mypassword",
    "token",
    "mytoken",
    "changeit",
    "default",
    "required",
    "optional",
    "disabled",
    "enabled",
    "undefined",
    "unknown",
    "username",
    "postgres",
    "root",
    "admin",
    "guest",
    "user",
    "test",
    "testing",
    "testtest",
    "test1234",
    "foobar",
    "foobarbaz",
    "hunter",
    "string",
    "boolean",
    "integer",
    "null",
    "none",
    "true",
    "false",
    "empty",
    "secretsecret",
    "supersecret",
    "topsecret",
];

/// How references begin that name a place where the secret is kept.
const KEPT_ELSEWHERE: [&[u8]; 27] = [
    b"vault:",
    b"op://",
    b"arn:",
    b"ssm:",
    b"ssm/",
    b"sm://",
    b"awssm:",
    b"gcpsm:",
    b"gcp:",
    b"azure:",
    b"keyring:",
    b"keychain:",
    b"file:",
    b"file://",
    b"env:",
    b"env.",
    b"!ref",
    b"!sub",
    b"!getatt",
    b"!vault",
    b"enc[",
    b"enc(",
    b"secret://",
    b"secretref:",
    b"@microsoft.keyvault",
    b"ref+",
    b"secretsmanager",
];

/// Whether the text only stands for a secret.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    if tells(value) || few_characters(value) {
        return true;
    }
    let trimmed = value.trim_ascii();
    if trimmed.len() <= 16
        && let Ok(text) = std::str::from_utf8(trimmed)
    {
        let lower = text.to_ascii_lowercase();
        let stem = lower.trim_end_matches(|c: char| c.is_ascii_digit() || c == '!');
        if WORDS.contains(&lower.as_str()) || WORDS.contains(&stem) {
            return true;
        }
    }
    // <your token>, [REDACTED], {{ x }}, %X%, __X__
    let ends = (trimmed.first(), trimmed.last());
    matches!(
        ends,
        (Some(b'<'), Some(b'>'))
            | (Some(b'['), Some(b']'))
            | (Some(b'{'), Some(b'}'))
            | (Some(b'%'), Some(b'%'))
            | (Some(b'('), Some(b')'))
    ) || (trimmed.starts_with(b"__") && trimmed.ends_with(b"__"))
}

/// Whether a part of a token that a format matched shows that it was made up. Few texts tell that for sure: a drawn token
/// holds four letters of a word now and then.
pub(super) fn is_made_up(token: &[u8]) -> bool {
    const SURE: [&[u8]; 7] = [
        b"example",
        b"xxxxxx",
        b"123456789",
        b"abcdefgh",
        b"placeholder",
        b"your_",
        b"redacted",
    ];
    SURE.iter().any(|text| holds(token, text)) || few_characters(token)
}

/// Whether the value says where the secret is, or how to compute it.
pub(super) fn is_reference(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    if KEPT_ELSEWHERE
        .iter()
        .any(|beginning| starts_with(value, beginning))
    {
        return true;
    }
    let first_two = (value.first(), value.get(1));
    let variable = matches!(first_two, (Some(b'$'), Some(next)) if next.is_ascii_uppercase() || next.is_ascii_lowercase() || matches!(next, b'{' | b'(' | b'_'));
    variable
        || [
            b"${".as_slice(),
            b"$(",
            b"{{",
            b"#{",
            b"<%",
            b"%(",
            b"@{",
            b"$[",
            b"process.env",
            b"os.environ",
            b"getenv",
            b"import.meta",
            b"secrets.",
            b"var.",
            b"data.",
            b"local.",
            b"params.",
            b"config.",
            b"this.",
            b"self.",
            b"settings.",
        ]
        .iter()
        .any(|mark| {
            holds(value, mark)
                && (mark.len() == 2 || starts_with(value, mark) || holds(value, b"env"))
        })
}

fn tells(value: &[u8]) -> bool {
    // A long random value holds four given letters now and then; only short ones are judged by those.
    TELLING
        .iter()
        .filter(|text| value.len() <= 64 || text.len() >= 6)
        .any(|text| holds(value, text))
}

/// Fewer different characters than anything drawn would have.
fn few_characters(value: &[u8]) -> bool {
    let mut seen = [false; 256];
    let mut different = 0_usize;
    for byte in value.iter().take(256) {
        if let Some(known) = seen.get_mut(usize::from(*byte))
            && !*known
        {
            *known = true;
            different += 1;
        }
    }
    match value.len() {
        0..8 => different < 3,
        8..16 => different < 5,
        16..32 => different < 6,
        _ => different < 7,
    }
}

/// Whether `text` (in lower case) is in `value`, in any case.
fn holds(value: &[u8], text: &[u8]) -> bool {
    value
        .windows(text.len())
        .any(|window| window.eq_ignore_ascii_case(text))
}

fn starts_with(value: &[u8], beginning: &[u8]) -> bool {
    value
        .get(..beginning.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(beginning))
}

#[cfg(test)]
mod tests;
