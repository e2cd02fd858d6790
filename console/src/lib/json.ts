// JSON as it was written: laid out for reading without going through numbers, which would lose digits, or strings, which would lose escapes.

export type Kind = 'key' | 'string' | 'number' | 'word' | 'mark' | 'space';

export interface Token {
  kind: Kind;
  text: string;
}

/** Deeper than this it is shown as it came. */
const DEEPEST = 64;

function tokens(text: string): Token[] | null {
  const found: Token[] = [];
  const pattern = /\s+|"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}[\],:]/gsu;
  let at = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index !== at) return null;
    const part = match[0];
    at += part.length;
    const first = part.charAt(0);
    if (/\s/u.test(first)) continue;
    const kind: Kind = first === '"' ? 'string' : /[{}[\],:]/u.test(first) ? 'mark' : /[-\d]/u.test(first) ? 'number' : 'word';
    found.push({ kind, text: part });
  }
  return at === text.length ? found : null;
}

/** Laid out for reading; null where it is no JSON. */
export function pretty(text: string): Token[] | null {
  const all = tokens(text);
  if (!all) return null;
  const out: Token[] = [];
  const line = (depth: number) => out.push({ kind: 'space', text: `\n${'  '.repeat(depth)}` });
  let depth = 0;
  for (let at = 0; at < all.length; at += 1) {
    const token = all[at] as Token;
    const next = all[at + 1];
    const before = all[at - 1];
    if (token.text === '{' || token.text === '[') {
      out.push(token);
      const close = next?.text === '}' || next?.text === ']';
      depth += 1;
      if (depth > DEEPEST) return null;
      if (!close) line(depth);
    } else if (token.text === '}' || token.text === ']') {
      depth -= 1;
      if (before && before.text !== '{' && before.text !== '[') line(depth);
      out.push(token);
    } else if (token.text === ',') {
      out.push(token);
      line(depth);
    } else if (token.text === ':') {
      out.push(token, { kind: 'space', text: ' ' });
    } else {
      out.push(token.kind === 'string' && next?.text === ':' ? { kind: 'key', text: token.text } : token);
    }
  }
  return out;
}

export interface Leafs {
  path: string;
  text: string;
}

/** Every value that is no object and no list, with its path. */
export function leaves(text: string): Leafs[] | null {
  const all = tokens(text);
  if (!all) return null;
  const found: Leafs[] = [];
  const path: (string | number)[] = [];
  const stack: ('object' | 'list')[] = [];
  let key = true;
  for (let at = 0; at < all.length; at += 1) {
    const token = all[at] as Token;
    const within = stack.at(-1);
    if (token.text === '{' || token.text === '[') {
      stack.push(token.text === '{' ? 'object' : 'list');
      path.push(token.text === '{' ? '' : 0);
      key = token.text === '{';
      const next = all[at + 1]?.text;
      if (next === '}' || next === ']') found.push({ path: path.slice(0, -1).join('.') || '$', text: token.text + next });
    } else if (token.text === '}' || token.text === ']') {
      stack.pop();
      path.pop();
    } else if (token.text === ',') {
      if (within === 'list') path.push((path.pop() as number) + 1);
      else key = true;
    } else if (token.text === ':') {
      key = false;
    } else if (within === 'object' && key) {
      path[path.length - 1] = token.text.slice(1, -1);
    } else {
      found.push({ path: path.join('.') || '$', text: token.text });
    }
  }
  return found;
}

export interface Change {
  path: string;
  before: string | null;
  after: string | null;
}

/** What differs from one text to the other, value by value; null where one of them is no JSON. */
export function changes(before: string, after: string): Change[] | null {
  const [old, now] = [leaves(before), leaves(after)];
  if (!old || !now) return null;
  const was = new Map(old.map((leaf) => [leaf.path, leaf.text]));
  const is = new Map(now.map((leaf) => [leaf.path, leaf.text]));
  const found: Change[] = [];
  for (const [path, text] of is) if (was.get(path) !== text) found.push({ path, before: was.get(path) ?? null, after: text });
  for (const [path, text] of was) if (!is.has(path)) found.push({ path, before: text, after: null });
  return found;
}

/** The names of the outermost members; none where it is no object. */
export function names(text: string): string[] {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? Object.keys(value) : [];
  } catch {
    return [];
  }
}
