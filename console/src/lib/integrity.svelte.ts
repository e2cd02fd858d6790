// Whether the record is whole, as far as this browser can tell: it checks signatures and consistency itself and remembers the largest
// checkpoint that it has verified, so that a node cannot show it another history later.
import { peek, Problem } from './api';
import { live } from './live.svelte';
import { fromBase64, toBase64, verifiedCheckpoint, type Checkpoint } from './proof/note';
import { Tiles, verifyAll } from './proof/tiles';
import { canVerify, consistencyProof, consistent } from './proof/tree';
import { session } from './session.svelte';
import { span } from './time.svelte';
import type { Health, Log } from './types';

export type Standing = 'asking' | 'whole' | 'behind' | 'broken' | 'unknown';

interface Memory {
  vkey: string;
  size: number;
  root: string;
}

interface Broken {
  index: number | null;
  says: string;
}

/** Checked again when something happened, but not more often. */
const EVERY = 5_000;
/** Events that may wait for their checkpoint. */
const LATE = 1_000;

const key = (what: string, origin: string): string => `bailiwick.${what}.${origin}`;

function kept<T>(name: string): T | null {
  try {
    return JSON.parse(localStorage.getItem(name) ?? 'null') as T | null;
  } catch {
    return null;
  }
}

class Integrity {
  standing: Standing = $state('asking');
  /** In words, why. */
  says = $state('');
  /** The first record that is not what was signed. */
  index: number | null = $state(null);
  /** The newest checkpoint that was verified here. */
  checkpoint: Checkpoint | null = $state.raw(null);
  log: Log | null = $state.raw(null);
  /** Of a verification that runs: how many records were read. */
  progress: { done: number; size: number } | null = $state(null);

  private off: (() => void) | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private last = 0;

  start(): void {
    this.off ??= live.on(['log'], () => this.soon());
    void this.check();
  }

  end(): void {
    this.off?.();
    this.off = null;
    clearTimeout(this.timer);
  }

  private soon(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.check(), Math.max(200, this.last + EVERY - Date.now()));
  }

  async check(): Promise<void> {
    this.last = Date.now();
    try {
      const [log, health] = await Promise.all([peek<Log>('/v1/audit/log'), peek<Health>('/healthz')]);
      this.log = log;
      await this.judge(log, health);
    } catch (error) {
      // Refused or unreachable: nothing is known that was not known before.
      if (!(error instanceof Problem)) this.set('unknown', `It cannot be checked here: ${String(error)}`);
      else if (this.standing === 'asking') this.set('unknown', error.message);
    }
  }

  /** Reads and checks every record. */
  async verify(): Promise<void> {
    const log = await peek<Log>('/v1/audit/log');
    const node = session.who?.node ?? '';
    const checkpoint = await this.signed(log);
    if (!checkpoint) {
      await this.check();
      return;
    }
    this.progress = { done: 0, size: checkpoint.size };
    try {
      const found = await verifyAll(node, checkpoint.size, checkpoint.root, (done) => {
        this.progress = { done, size: checkpoint.size };
      });
      if (found.whole) localStorage.removeItem(key('broken', log.origin));
      else localStorage.setItem(key('broken', log.origin), JSON.stringify({ index: found.index, says: found.says } satisfies Broken));
      await this.check();
      if (found.whole && this.standing === 'whole') this.says = `All ${found.size.toLocaleString('en')} records up to the signed root were read and checked here.`;
    } catch (error) {
      this.set('unknown', error instanceof Error ? `${error.message}.` : String(error));
    } finally {
      this.progress = null;
    }
  }

  private async signed(log: Log): Promise<Checkpoint | null> {
    if (!canVerify() || log.checkpoint === null) return null;
    const memory = kept<Memory>(key('log', log.origin));
    const vkeys = [log.vkey, ...(log.former ? [log.former.vkey] : [])];
    const checkpoint = await verifiedCheckpoint(log.checkpoint, vkeys);
    if (checkpoint?.origin !== log.origin) return null;
    // Another key than the one that is known has to be vouched for by it.
    if (memory && !vkeys.includes(memory.vkey) && !(await verifiedCheckpoint(log.checkpoint, [memory.vkey]))) return null;
    return checkpoint;
  }

  private async judge(log: Log, health: Health): Promise<void> {
    if (!canVerify()) return this.set('unknown', 'Cannot verify here: browsers compute hashes on HTTPS and loopback only.');
    if (log.checkpoint === null) return this.set('behind', 'No checkpoint has been signed yet.');
    const checkpoint = await this.signed(log);
    if (!checkpoint) return this.broken('The newest checkpoint is not signed by the key of this log that this browser knows.');
    const memory = kept<Memory>(key('log', log.origin));
    if (memory && !(await this.continues(memory, checkpoint))) {
      return this.broken(
        checkpoint.size < memory.size
          ? `The log was set back: ${memory.size} records were signed once, and ${checkpoint.size} are now.`
          : `The log has another history: it does not continue the ${memory.size} records that this browser has seen signed.`,
      );
    }
    if (!memory || checkpoint.size >= memory.size) {
      const next: Memory = { vkey: log.vkey, size: checkpoint.size, root: toBase64(checkpoint.root) };
      localStorage.setItem(key('log', log.origin), JSON.stringify(next));
    }
    this.checkpoint = checkpoint;
    const damage = kept<Broken>(key('broken', log.origin));
    if (damage) return this.broken(damage.says, damage.index);
    if (health.log.scrub_failed) return this.broken('The node found a file of the log that does not verify. `bailiwick audit verify` names the record.');
    if (log.size - checkpoint.size > LATE) return this.set('behind', `${log.size - checkpoint.size} records wait for a checkpoint.`);
    const witness = log.witness;
    if (witness.state === 'unwitnessed') return this.set('unknown', 'No witness has vouched for the log yet.');
    if (witness.state === 'stale') {
      return this.set('unknown', `Witnesses have not vouched for ${witness.at ? span(session.now() - Date.parse(witness.at)) : 'long'}.`);
    }
    const by = witness.state === 'witnessed' ? `vouched for by ${witness.quorum} of ${witness.witnesses.length} witnesses` : 'no witness is configured';
    this.set('whole', `Signed up to record ${checkpoint.size - 1}, continues what this browser has seen; ${by}.`);
  }

  private async continues(memory: Memory, now: Checkpoint): Promise<boolean> {
    if (now.size < memory.size) return false;
    const tiles = new Tiles(session.who?.node ?? '', now.size);
    const proof = await consistencyProof(memory.size, now.size, tiles.range);
    return consistent(memory.size, fromBase64(memory.root), now.size, now.root, proof);
  }

  private broken(says: string, index: number | null = null): void {
    this.set('broken', says, index);
  }

  private set(standing: Standing, says: string, index: number | null = null): void {
    this.standing = standing;
    this.says = says;
    this.index = index;
  }
}

export const integrity = new Integrity();
