// What happens at the node, as it happens: the record, followed by fetch (EventSource cannot send the page's half of the session). The place
// of the last event that was seen is all that there is to remember, so that nothing is missed or shown twice.
import { headers, peek, Problem, problemOf, reach } from './api';
import { session } from './session.svelte';
import type { Leaf, Recorded } from './types';

/** What a view is about; it is asked anew when something of it happened. */
export type Topic = 'approvals' | 'tasks' | 'agents' | 'servers' | 'policy' | 'leases' | 'fences' | 'calls' | 'log';

/** Events that are kept to be looked at. */
const KEPT = 300;
/** Events of before that a page starts with. */
const BEFORE = 120;
/** The node says something at least every five seconds. */
const SILENCE = 12_000;
const WAITS = [500, 1_000, 2_000, 4_000, 8_000, 10_000];

const TOPICS: [string, Topic[]][] = [
  ['approval.', ['approvals']],
  ['tool.held', ['approvals', 'calls']],
  ['tool.drifted', ['servers', 'calls']],
  ['tool.pinned', ['servers']],
  ['tool.', ['calls']],
  ['task.', ['tasks', 'approvals', 'leases', 'agents']],
  ['delegation.', ['tasks']],
  ['consent.', ['tasks']],
  ['fence.', ['fences', 'tasks', 'agents', 'leases', 'approvals']],
  ['agent.', ['agents']],
  ['instance.', ['agents', 'tasks']],
  ['server.', ['servers']],
  ['policy.', ['policy', 'approvals']],
  ['lease.', ['leases']],
];

export function topicsOf(leaf: Leaf): Topic[] {
  return TOPICS.find(([prefix]) => leaf.type.startsWith(prefix))?.[1] ?? [];
}

class Live {
  state: 'connecting' | 'live' | 'lost' = $state('connecting');
  /** Since when there is no connection, by our clock. */
  since = $state(0);
  /** The newest events, newest first. */
  events: Recorded[] = $state.raw([]);
  /** Events on record, as far as is known here. */
  size = $state(0);
  /** A page of another build than the node's. */
  outdated = $state(false);

  private next: number | null = null;
  private followers = new Map<Topic, Set<() => void>>();
  private all = new Set<() => void>();
  private stop: AbortController | null = null;
  private tries = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private wanted = false;

  constructor() {
    document.addEventListener('visibilitychange', () => {
      // A page that nobody sees holds no connection: browsers have six to a host.
      if (document.hidden) this.pause();
      else this.resume();
    });
  }

  start(): void {
    this.wanted = true;
    this.resume();
  }

  end(): void {
    this.wanted = false;
    this.pause();
    this.next = null;
    this.events = [];
  }

  /** Calls `then` when something of these topics happened, and when all may have changed; gives what ends that. */
  on(topics: Topic[], then: () => void): () => void {
    this.all.add(then);
    for (const topic of topics) {
      const set = this.followers.get(topic) ?? new Set();
      set.add(then);
      this.followers.set(topic, set);
    }
    return () => {
      this.all.delete(then);
      for (const topic of topics) this.followers.get(topic)?.delete(then);
    };
  }

  private pause(): void {
    clearTimeout(this.timer);
    this.stop?.abort();
    this.stop = null;
  }

  private resume(): void {
    if (!this.wanted || this.stop || document.hidden) return;
    clearTimeout(this.timer);
    const stop = new AbortController();
    this.stop = stop;
    this.follow(stop)
      .catch((error: unknown) => {
        if (stop.signal.aborted) return;
        // A session that is over is asked about by a call that says so.
        if (error instanceof Problem && error.status === 401) void peek('/v1/session').catch(() => {});
      })
      .finally(() => {
        if (this.stop !== stop) return;
        this.stop = null;
        this.fail();
      });
  }

  private fail(): void {
    if (!this.wanted) return;
    if (this.state !== 'lost') this.since = Date.now();
    this.state = 'lost';
    const wait = WAITS[Math.min(this.tries, WAITS.length - 1)] ?? 10_000;
    this.tries += 1;
    this.timer = setTimeout(() => this.resume(), wait * (0.75 + Math.random() / 2));
  }

  private async follow(stop: AbortController): Promise<void> {
    if (this.next === null) {
      const log = await peek<{ size: number }>('/v1/audit/log');
      this.next = Math.max(0, log.size - BEFORE);
    }
    const response = await reach(`/v1/live?from=${this.next}`, { headers: headers(true), signal: stop.signal, cache: 'no-store' });
    if (!response.ok || !response.body) throw await problemOf(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (;;) {
      const silence = setTimeout(() => {
        void reader.cancel().catch(() => {});
      }, SILENCE);
      const { done, value } = await reader.read().finally(() => clearTimeout(silence));
      if (done) return;
      text += value;
      for (;;) {
        const end = text.indexOf('\n\n');
        if (end < 0) break;
        this.take(text.slice(0, end));
        text = text.slice(end + 2);
      }
    }
  }

  private take(message: string): void {
    let kind = '';
    let data = '';
    for (const line of message.split('\n')) {
      if (line.startsWith('event:')) kind = line.slice(6).trim();
      else if (line.startsWith('data:')) data += line.slice(5).trimStart();
    }
    if (!data) return;
    const body: unknown = JSON.parse(data);
    if (kind === 'hello') this.hello(body as { size: number; build: string; now: string });
    else if (kind === 'reset') this.reset(body as { size: number });
    else if (kind === 'events') this.add(body as Recorded[]);
  }

  private hello({ size, build, now }: { size: number; build: string; now: string }): void {
    const again = this.state === 'lost';
    this.state = 'live';
    this.tries = 0;
    this.size = size;
    session.skew = Date.parse(now) - Date.now();
    if (session.who && session.who.build !== build) this.outdated = true;
    // What is not on record, such as clocks and health, may have changed as well.
    if (again) for (const then of this.all) then();
  }

  private reset({ size }: { size: number }): void {
    this.next = size;
    this.size = size;
    this.events = [];
    for (const then of this.all) then();
  }

  private add(events: Recorded[]): void {
    const fresh = events.filter((event) => event.index >= (this.next ?? 0));
    const last = fresh.at(-1);
    if (!last) return;
    this.next = last.index + 1;
    this.size = Math.max(this.size, this.next);
    this.events = [...fresh.slice(-KEPT).reverse(), ...this.events].slice(0, KEPT);
    const called = new Set<() => void>();
    for (const topic of new Set<Topic>([...fresh.flatMap((event) => topicsOf(event.leaf)), 'log'])) {
      for (const then of this.followers.get(topic) ?? []) called.add(then);
    }
    for (const then of called) then();
  }
}

export const live = new Live();
