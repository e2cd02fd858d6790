// Words that somebody else wrote, as people may be shown them: what cannot be seen, or moves what is seen, becomes its code point. The same
// set as `crates/core/src/visible.rs`.

export interface Piece {
  text: string;
  /** It stands for a character that would not have been seen. */
  hidden: boolean;
}

const HIDES =
  /[\p{Cc}\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]/gu;

/** The pieces of a text. Line feeds and tabs are kept where `lines` says that they are layout. */
export function pieces(text: string, lines = false): Piece[] {
  const found: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(HIDES)) {
    const char = match[0];
    if (lines && (char === '\n' || char === '\t')) continue;
    if (match.index > at) found.push({ text: text.slice(at, match.index), hidden: false });
    const point = (char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
    found.push({ text: `⟦U+${point}⟧`, hidden: true });
    at = match.index + char.length;
  }
  if (at < text.length) found.push({ text: text.slice(at), hidden: false });
  return found;
}

/** The text with code points instead, for titles and labels. */
export const visible = (text: string): string =>
  pieces(text)
    .map((piece) => piece.text)
    .join('');
