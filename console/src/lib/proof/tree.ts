// The Merkle tree of a transparency log: RFC 6962 §2.1, RFC 9162 §2.1. Hashes are from WebCrypto.

export type Hash = Uint8Array<ArrayBuffer>;

/** Whether this page can compute hashes: only on HTTPS or loopback. */
export const canVerify = (): boolean => globalThis.crypto?.subtle !== undefined;

export async function sha256(...parts: Uint8Array[]): Promise<Hash> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await crypto.subtle.digest('SHA-256', all));
}

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

export const leafHash = (leaf: Uint8Array): Promise<Hash> => sha256(LEAF, leaf);
export const nodeHash = (left: Hash, right: Hash): Promise<Hash> => sha256(NODE, left, right);

export const same = (a: Hash, b: Hash): boolean => a.length === b.length && a.every((byte, at) => byte === b[at]);

const bit = (value: number, at: number): boolean => Math.floor(value / 2 ** at) % 2 === 1;

/** The root that a leaf at `index` of `size` and its path lead to; null if the path does not fit (RFC 9162 §2.1.3.2). */
export async function rootFromPath(leaf: Hash, index: number, size: number, path: Hash[]): Promise<Hash | null> {
  if (index >= size) return null;
  let fn = index;
  let sn = size - 1;
  let hash = leaf;
  for (const step of path) {
    if (sn === 0) return null;
    if (bit(fn, 0) || fn === sn) {
      hash = await nodeHash(step, hash);
      while (!bit(fn, 0) && fn !== 0) {
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
      }
    } else {
      hash = await nodeHash(hash, step);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 ? hash : null;
}

/** Whether a tree of `size` with `root` begins with the one of `old` with `oldRoot` (RFC 9162 §2.1.4.2). */
export async function consistent(old: number, oldRoot: Hash, size: number, root: Hash, proof: Hash[]): Promise<boolean> {
  if (old > size) return false;
  if (old === size) return proof.length === 0 && same(oldRoot, root);
  if (old === 0) return proof.length === 0;
  const path = Number.isInteger(Math.log2(old)) ? [oldRoot, ...proof] : proof;
  const first = path[0];
  if (!first) return false;
  let fn = old - 1;
  let sn = size - 1;
  while (bit(fn, 0)) {
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  let was = first;
  let is = first;
  for (const step of path.slice(1)) {
    if (sn === 0) return false;
    if (bit(fn, 0) || fn === sn) {
      was = await nodeHash(step, was);
      is = await nodeHash(step, is);
      while (!bit(fn, 0) && fn !== 0) {
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
      }
    } else {
      is = await nodeHash(is, step);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && same(was, oldRoot) && same(is, root);
}

/** The largest power of two below `size`. */
function split(size: number): number {
  let k = 1;
  while (k * 2 < size) k *= 2;
  return k;
}

/** Gives the hash over the leaves from `start` to `end`. */
export type Range = (start: number, end: number) => Promise<Hash>;

/** The hash over a stretch of leaves, made of perfect subtrees that `node` knows by level and index. */
export function ranges(node: (level: number, index: number) => Promise<Hash>): Range {
  const range: Range = async (start, end) => {
    const width = end - start;
    const level = Math.log2(width);
    if (Number.isInteger(level) && start % width === 0) return node(level, start / width);
    const k = split(width);
    return nodeHash(await range(start, start + k), await range(start + k, end));
  };
  return range;
}

/** The proof that a tree of `size` begins with the one of `old` (RFC 9162 §2.1.4.1). It is only as good as what it is checked with. */
export async function consistencyProof(old: number, size: number, range: Range): Promise<Hash[]> {
  const sub = async (m: number, start: number, end: number, whole: boolean): Promise<Hash[]> => {
    const n = end - start;
    if (m === n) return whole ? [] : [await range(start, end)];
    const k = split(n);
    if (m <= k) return [...(await sub(m, start, start + k, whole)), await range(start + k, end)];
    return [...(await sub(m - k, start + k, end, false)), await range(start, start + k)];
  };
  return old === 0 || old >= size ? [] : sub(old, 0, size, true);
}

/** The root over leaf hashes that come one after the other. */
export class Growing {
  private levels: (Hash | null)[] = [];
  size = 0;

  async add(leaf: Hash): Promise<void> {
    let hash = leaf;
    let level = 0;
    for (; this.levels[level]; level += 1) {
      hash = await nodeHash(this.levels[level] as Hash, hash);
      this.levels[level] = null;
    }
    this.levels[level] = hash;
    this.size += 1;
  }

  async root(): Promise<Hash> {
    let hash: Hash | null = null;
    for (const left of this.levels) if (left) hash = hash ? await nodeHash(left, hash) : left;
    return hash ?? sha256();
  }
}
