// What a change of a tool's definition means: its words, its parameters narrower or wider, what it says of itself.

export interface Difference {
  /** What kind of thing changed. */
  kind: 'text' | 'wider' | 'narrower' | 'other' | 'annotation';
  where: string;
  before: string | null;
  after: string | null;
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Dict = Record<string, Json>;

const isDict = (value: Json | undefined): value is Dict => typeof value === 'object' && value !== null && !Array.isArray(value);
const text = (value: Json | undefined): string | null => (value === undefined ? null : typeof value === 'string' ? value : JSON.stringify(value));

/** Words that a model reads. A change of them changes what it does. */
const WORDS = new Set(['description', 'title', 'name']);
/** Keywords by which less fits when they are there. */
const BOUNDS = new Set(['maximum', 'minimum', 'maxLength', 'minLength', 'pattern', 'enum', 'const', 'format', 'maxItems', 'minItems', 'exclusiveMaximum', 'exclusiveMinimum', 'multipleOf', 'uniqueItems']);

export function differences(before: string, after: string): Difference[] {
  const [old, now] = [JSON.parse(before) as Dict, JSON.parse(after) as Dict];
  const found: Difference[] = [];
  const walk = (a: Json | undefined, b: Json | undefined, path: string[]): void => {
    if (JSON.stringify(a) === JSON.stringify(b)) return;
    if (isDict(a) && isDict(b)) {
      for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) walk(a[key], b[key], [...path, key]);
      return;
    }
    found.push({ kind: kindOf(path, a, b), where: path.join('.') || '$', before: text(a), after: text(b) });
  };
  walk(old, now, []);
  return found.sort((x, y) => RANK.indexOf(x.kind) - RANK.indexOf(y.kind));
}

const RANK: Difference['kind'][] = ['text', 'wider', 'annotation', 'other', 'narrower'];

function kindOf(path: string[], before: Json | undefined, after: Json | undefined): Difference['kind'] {
  const last = path.at(-1) ?? '';
  if (path[0] === 'annotations') return 'annotation';
  // A parameter may be called `description`; the word of a schema is not below `properties` itself.
  if (WORDS.has(last) && path.at(-2) !== 'properties') return 'text';
  if (path.at(-2) === 'properties') return before === undefined ? 'wider' : after === undefined ? 'narrower' : 'other';
  if (last === 'required' && Array.isArray(before) && Array.isArray(after)) {
    if (before.every((one) => after.includes(one))) return 'narrower';
    if (after.every((one) => before.includes(one))) return 'wider';
    return 'other';
  }
  if (last === 'additionalProperties') return after === false ? 'narrower' : before === false ? 'wider' : 'other';
  if (last === 'enum' && Array.isArray(before) && Array.isArray(after)) {
    if (after.every((one) => before.includes(one))) return 'narrower';
    if (before.every((one) => after.includes(one))) return 'wider';
    return 'other';
  }
  if (BOUNDS.has(last)) {
    if (before === undefined) return 'narrower';
    if (after === undefined) return 'wider';
    if (typeof before === 'number' && typeof after === 'number') return after > before === /^(max|exclusiveMax)/u.test(last) ? 'wider' : 'narrower';
  }
  return 'other';
}
