// Tiles and entry bundles (C2SP tlog-tiles) as the node serves them. Nothing of them is believed: they only lead to a signed root, or not.
import { bytes } from '../api';
import { Growing, leafHash, nodeHash, ranges, same, type Hash, type Range } from './tree';

const WIDTH = 256;
const HASH = 32;

/** The path of a tile: groups of three digits, all but the last behind an `x`. */
function named(level: number | 'entries', number: number, width: number): string {
  const digits = String(number).padStart(Math.ceil(Math.max(3, String(number).length) / 3) * 3, '0');
  const groups = digits.match(/.../gu) ?? [];
  const path = groups.map((group, at) => (at < groups.length - 1 ? `x${group}` : group)).join('/');
  return `${level}/${path}${width < WIDTH ? `.p/${width}` : ''}`;
}

export class Tiles {
  private kept = new Map<string, Promise<Uint8Array<ArrayBuffer> | null>>();
  readonly range: Range;

  constructor(
    private readonly node: string,
    readonly size: number,
  ) {
    this.range = ranges((level, index) => this.hash(level, index));
  }

  /** The hash of a perfect subtree. */
  async hash(level: number, index: number): Promise<Hash> {
    const height = Math.floor(level / 8);
    const span = 2 ** (level - height * 8);
    const first = index * span;
    const tile = await this.tile(height, Math.floor(first / WIDTH));
    let hashes: Hash[] = [];
    for (let at = first % WIDTH; hashes.length < span; at += 1) hashes.push(tile.slice(at * HASH, (at + 1) * HASH));
    while (hashes.length > 1) {
      const next: Hash[] = [];
      for (let at = 0; at < hashes.length; at += 2) next.push(await nodeHash(hashes[at] as Hash, hashes[at + 1] as Hash));
      hashes = next;
    }
    return hashes[0] as Hash;
  }

  /** The hashes of a tile, as many as this size has. */
  async tile(height: number, number: number): Promise<Uint8Array<ArrayBuffer>> {
    const at = Math.floor(this.size / WIDTH ** height);
    const width = Math.min(WIDTH, at - number * WIDTH);
    const found = await this.file(height, number, width);
    if (!found || found.length < width * HASH) throw new Missing(number * WIDTH ** (height + 1), 'a tile');
    return found.slice(0, width * HASH);
  }

  /** The leaves of a bundle. */
  async bundle(number: number): Promise<Uint8Array<ArrayBuffer>[]> {
    const width = Math.min(WIDTH, this.size - number * WIDTH);
    const found = await this.file('entries', number, width);
    if (!found) throw new Missing(number * WIDTH, 'a bundle of entries');
    const leaves: Uint8Array<ArrayBuffer>[] = [];
    for (let at = 0; at + 2 <= found.length && leaves.length < width; ) {
      const length = ((found[at] ?? 0) << 8) | (found[at + 1] ?? 0);
      leaves.push(found.slice(at + 2, at + 2 + length));
      at += 2 + length;
    }
    return leaves;
  }

  /** A full tile serves where the partial one is gone: the log grew meanwhile. */
  private file(level: number | 'entries', number: number, width: number): Promise<Uint8Array<ArrayBuffer> | null> {
    const path = (wide: number) => `/log/${encodeURIComponent(this.node)}/tile/${named(level, number, wide)}`;
    const key = `${level}/${number}`;
    const known = this.kept.get(key);
    if (known) return known;
    const asked = (async () => {
      const found = await bytes(path(width));
      return found ?? (width < WIDTH ? bytes(path(WIDTH)) : null);
    })();
    if (level !== 'entries') this.kept.set(key, asked);
    return asked;
  }
}

/** Something that is needed for the answer is not there. */
export class Missing extends Error {
  constructor(
    readonly index: number,
    what: string,
  ) {
    super(`${what} of the log is missing, from record ${index} on`);
  }
}

export type Found = { whole: true; size: number } | { whole: false; index: number; says: string };

/** Reads every leaf up to a signed root: whether all are what was signed, or which is the first that is not. */
export async function verifyAll(node: string, size: number, root: Hash, progress: (done: number) => void): Promise<Found> {
  const tiles = new Tiles(node, size);
  const growing = new Growing();
  for (let number = 0; number * WIDTH < size; number += 1) {
    const first = number * WIDTH;
    const width = Math.min(WIDTH, size - first);
    const [leaves, tile] = await Promise.all([tiles.bundle(number), tiles.tile(0, number)]);
    const hashes = await Promise.all(leaves.map(leafHash));
    for (let at = 0; at < width; at += 1) {
      const hash = hashes[at];
      if (!hash || !same(hash, tile.slice(at * HASH, (at + 1) * HASH))) {
        return { whole: false, index: first + at, says: `Record ${first + at} is not what was signed: it does not match its place in the tree.` };
      }
      await growing.add(hash);
    }
    progress(first + width);
  }
  if (same(await growing.root(), root)) return { whole: true, size };
  return { whole: false, index: await firstApart(tiles, size), says: 'The tree over all records does not lead to the signed root.' };
}

/** Where leaves and their tile were changed alike, the tile above tells the first bundle that differs. */
async function firstApart(tiles: Tiles, size: number): Promise<number> {
  const full = Math.floor(size / WIDTH);
  for (let number = 0; number < full; number += 1) {
    const above = await tiles.tile(1, Math.floor(number / WIDTH));
    const at = number % WIDTH;
    const below = await ranges((level, index) => tiles.hash(level, index))(number * WIDTH, number * WIDTH + WIDTH / 2);
    const right = await tiles.range(number * WIDTH + WIDTH / 2, (number + 1) * WIDTH);
    if (!same(await nodeHash(below, right), above.slice(at * HASH, (at + 1) * HASH))) return number * WIDTH;
  }
  return full * WIDTH;
}
