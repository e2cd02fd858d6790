//! Words of a text, as the index stores and looks them up. One definition for both sides: no text can mean something to a query parser.

/// Most words of one event, and of one query.
pub const MAX_WORDS: usize = 64;
/// Longer words are cut to this many characters.
const MAX_LETTERS: usize = 64;

/// The words: runs of letters and digits, in lower case, each once, in the order of the text.
pub fn words(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for run in text.split(|letter: char| !letter.is_alphanumeric()) {
        let word: String = run
            .chars()
            .flat_map(char::to_lowercase)
            .filter(|letter| letter.is_alphanumeric())
            .take(MAX_LETTERS)
            .collect();
        if !word.is_empty() && !found.contains(&word) {
            found.push(word);
        }
        if found.len() == MAX_WORDS {
            break;
        }
    }
    found
}
