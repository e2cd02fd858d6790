//! Text in columns: how wide it is, where it breaks, what is cut.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Characters of one particular that are shown where columns are bounded.
const MOST_DETAIL: usize = 240;

/// A particular, bounded where columns are.
pub(super) fn clipped(text: &str, width: Option<usize>) -> String {
    let count = text.chars().count();
    if width.is_none() || count <= MOST_DETAIL {
        return text.to_owned();
    }
    let kept: String = text.chars().take(MOST_DETAIL).collect();
    format!("{kept}… (+{} characters)", count - MOST_DETAIL)
}

/// Text in at most so many columns, `…` for what is left out; as it is where columns are not bounded.
pub(super) fn cut(text: &str, columns: usize, width: Option<usize>) -> String {
    if width.is_none() || text.width() <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

/// Text filled up with spaces.
pub(super) fn padded(text: &str, columns: usize) -> String {
    let fill = columns.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(fill))
}

/// Text in lines of at most so many columns, broken at spaces, and inside a word only where it alone is wider.
pub(super) fn wrapped(text: &str, columns: Option<usize>) -> Vec<String> {
    let Some(columns) = columns.filter(|_| !text.is_empty()) else {
        return vec![text.to_owned()];
    };
    let columns = columns.max(1);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let wide = word.width();
        let gap = usize::from(used > 0);
        if used > 0 && used + gap + wide > columns {
            lines.push(String::new());
            used = 0;
        }
        let gap = usize::from(used > 0);
        if gap + wide <= columns.saturating_sub(used) {
            push(&mut lines, &" ".repeat(gap));
            push(&mut lines, word);
            used += gap + wide;
            continue;
        }
        for c in word.chars() {
            let wide = c.width().unwrap_or(0);
            if used + wide > columns {
                lines.push(String::new());
                used = 0;
            }
            push(&mut lines, c.encode_utf8(&mut [0; 4]));
            used += wide;
        }
    }
    lines
}

/// Whether no word would have to be broken.
pub(super) fn whole_words(text: &str, columns: usize) -> bool {
    text.split(' ').all(|word| word.width() <= columns)
}

fn push(lines: &mut [String], text: &str) {
    if let Some(line) = lines.last_mut() {
        line.push_str(text);
    }
}
