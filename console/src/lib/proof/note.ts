// Signed notes and checkpoints (C2SP signed-note, tlog-checkpoint), Ed25519 by WebCrypto.
import { sha256, type Hash } from './tree';

export interface Checkpoint {
  origin: string;
  size: number;
  root: Hash;
}

interface Key {
  name: string;
  id: string;
  key: CryptoKey;
}

export const fromBase64 = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
export const toBase64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));
export const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
export const fromHex = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(text.match(/../gu) ?? [], (pair) => Number.parseInt(pair, 16));

const ED25519 = 1;

/** Reads a vkey, `name+id+base64(type ‖ key)`, and checks that its id is that of its name and key. */
async function keyOf(vkey: string): Promise<Key> {
  const [name = '', id = '', ...rest] = vkey.split('+');
  const bytes = fromBase64(rest.join('+'));
  if (bytes[0] !== ED25519 || bytes.length !== 33) throw new Error('the key of the log is not an Ed25519 key');
  const wanted = hex((await sha256(new TextEncoder().encode(`${name}\n`), bytes)).slice(0, 4));
  if (wanted !== id) throw new Error('the id of the log’s key is not that of its name and key');
  const key = await crypto.subtle.importKey('raw', bytes.slice(1), 'Ed25519', false, ['verify']);
  return { name, id, key };
}

/** The checkpoint in a note, if one of these keys signed it; null if none did. */
export async function verifiedCheckpoint(note: string, vkeys: string[]): Promise<Checkpoint | null> {
  const cut = note.lastIndexOf('\n\n');
  if (cut < 0) return null;
  const text = note.slice(0, cut + 1);
  const lines = note.slice(cut + 2).split('\n').filter(Boolean);
  for (const vkey of vkeys) {
    const { name, id, key } = await keyOf(vkey);
    for (const line of lines) {
      const [dash, signer, encoded] = line.split(' ');
      if (dash !== '—' || signer !== name || !encoded) continue;
      const bytes = fromBase64(encoded);
      if (hex(bytes.slice(0, 4)) !== id) continue;
      if (await crypto.subtle.verify('Ed25519', key, bytes.slice(4), new TextEncoder().encode(text))) return checkpointOf(text);
    }
  }
  return null;
}

function checkpointOf(text: string): Checkpoint | null {
  const [origin, size, root] = text.split('\n');
  if (!origin || !size || !root || !/^(0|[1-9]\d*)$/u.test(size)) return null;
  return { origin, size: Number(size), root: fromBase64(root) };
}

export interface Proof {
  index: number;
  leaf: Uint8Array<ArrayBuffer>;
  path: Hash[];
  checkpoint: string;
}

/** Reads a proof (C2SP tlog-proof) that carries its leaf. */
export function proofOf(text: string): Proof | null {
  const cut = text.indexOf('\n\n');
  const [first, extra, index, ...path] = text.slice(0, cut).split('\n');
  if (cut < 0 || first !== 'c2sp.org/tlog-proof@v1' || !extra?.startsWith('extra ') || !index?.startsWith('index ')) return null;
  return {
    index: Number(index.slice(6)),
    leaf: fromBase64(extra.slice(6)),
    path: path.map(fromBase64),
    checkpoint: text.slice(cut + 2),
  };
}
