// The very text of members of a JSON answer: what is hashed is what was written, and `JSON.parse` does not keep that.

/** Where the value that begins at `at` ends. */
function skip(text: string, at: number): number {
  let depth = 0;
  for (let i = at; i < text.length; i += 1) {
    const char = text[i];
    if (char === '"') {
      i += 1;
      while (i < text.length && text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
    } else if (char === '{' || char === '[') depth += 1;
    else if (char === '}' || char === ']') {
      if (depth === 0) return i;
      depth -= 1;
    } else if (depth === 0 && char === ',') return i;
    if (depth === 0 && (char === '"' || char === '}' || char === ']')) return i + 1;
  }
  return text.length;
}

/** The texts of the members of this name in the objects of a list that is a member of the whole, in order. */
export function memberTexts(text: string, list: string, member: string): string[] {
  const found: string[] = [];
  const spot = text.indexOf(`"${list}":[`);
  if (spot < 0) return found;
  const name = JSON.stringify(member);
  let at = spot + list.length + 4;
  while (at < text.length && text[at] !== ']') {
    if (text[at] !== '{') {
      at += 1;
      continue;
    }
    const end = skip(text, at);
    let inner = at + 1;
    while (inner < end - 1) {
      const colon = skip(text, inner);
      const key = text.slice(inner, colon);
      const value = colon + 1;
      const after = skip(text, value);
      if (key === name) found.push(text.slice(value, after));
      inner = text[after] === ',' ? after + 1 : after;
      if (after >= end - 1) break;
    }
    at = end;
  }
  return found;
}
