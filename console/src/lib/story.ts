// What happened in a task and everything below it, told in lines: each result beside its intent, each line with a tick that this browser made.
// The leaves are hashed here and followed to the root of the checkpoint; what does not fit says so.
import { headers, problemOf, reach } from './api';
import { fromHex, verifiedCheckpoint } from './proof/note';
import { canVerify, leafHash, rootFromPath, same } from './proof/tree';
import { memberTexts } from './raw';
import type { Leaf } from './types';

/** What became of a leaf: found in the signed tree, not covered yet, not as it was, or not to be told here. */
export type Tick = 'proven' | 'unpublished' | 'altered' | 'unknown';

export interface Event {
  origin: string;
  index: number;
  leaf: Leaf;
  tick: Tick;
  problem?: string;
}

export interface SentLog {
  origin: string;
  size: number;
  looked: number;
  lookup: string;
  vkey?: string;
  checkpoint?: string;
}

interface Sent {
  root: string;
  events: { origin: string; index: number; leaf: Leaf; path?: string[]; problem?: string }[];
  logs: SentLog[];
  cut: boolean;
}

export interface Line {
  event: Event;
  /** Results, questions and ends that belong to it. */
  below: Event[];
}

export interface Story {
  root: string;
  events: Event[];
  lines: Line[];
  logs: SentLog[];
  /** What keeps it from being all there is; empty: it is. */
  missing: string[];
  proven: number;
  altered: number;
  unpublished: number;
}

/** Asks for a task's events and checks each. */
export async function storyOf(task: string): Promise<Story> {
  const response = await reach(`/v1/tasks/${encodeURIComponent(task)}/timeline`, { headers: headers(true) });
  if (!response.ok) throw await problemOf(response);
  const text = await response.text();
  const sent = JSON.parse(text) as Sent;
  const leaves = memberTexts(text, 'events', 'leaf');
  const roots = new Map<string, Awaited<ReturnType<typeof verifiedCheckpoint>>>();
  if (canVerify()) {
    for (const log of sent.logs) {
      roots.set(log.origin, log.checkpoint && log.vkey ? await verifiedCheckpoint(log.checkpoint, [log.vkey]) : null);
    }
  }
  const bytes = new TextEncoder();
  const events = await Promise.all(
    sent.events.map(async (one, at): Promise<Event> => {
      const { origin, index, leaf } = one;
      const event = (tick: Tick, problem?: string): Event => ({ origin, index, leaf, tick, ...(problem ? { problem } : {}) });
      if (!canVerify()) return event('unknown', 'This page cannot compute hashes here.');
      if (one.problem) return event('altered', one.problem);
      if (!one.path) return event('unpublished');
      const root = roots.get(origin);
      if (!root) return event('altered', 'The checkpoint is not signed by the key that the node names.');
      const raw = leaves[at];
      const hash = raw === undefined ? null : await leafHash(bytes.encode(raw));
      const path = one.path.map((step) => fromHex(step.replace(/^sha256:/u, '')));
      const end = hash && (await rootFromPath(hash, index, root.size, path));
      return end && same(end, root.root) ? event('proven') : event('altered', 'The leaf does not lead to the signed root.');
    }),
  );
  return told(sent, events);
}

function told(sent: Sent, all: Event[]): Story {
  const events = all.filter((event) => event.leaf.type !== 'log.revealed').sort((a, b) => hlc(a).localeCompare(hlc(b)) || a.index - b.index);
  const byId = new Map(events.map((event) => [event.leaf.id, event]));
  const lines = new Map<string, Line>();
  const order: Line[] = [];
  for (const event of events) {
    const above = aboveOf(event, byId);
    const line = above && lines.get(above);
    if (line) {
      line.below.push(event);
      lines.set(event.leaf.id, line);
    } else {
      const fresh: Line = { event, below: [] };
      lines.set(event.leaf.id, fresh);
      order.push(fresh);
    }
  }
  const count = (tick: Tick) => events.filter((event) => event.tick === tick).length;
  const missing: string[] = [];
  const [proven, altered, unpublished] = [count('proven'), count('altered'), count('unpublished')];
  if (altered) missing.push(`${altered} ${altered === 1 ? 'record does' : 'records do'} not fit the signed tree`);
  const unread = sent.logs.reduce((sum, log) => sum + Math.max(0, log.size - log.looked), 0);
  if (unread) missing.push(`${unread} events were not looked at`);
  if (sent.cut) missing.push('there are more events than are told');
  const ended = new Set(events.filter(({ leaf }) => leaf.type === 'task.ended').map(({ leaf }) => leaf.task?.id));
  const answered = new Set(events.filter(({ leaf }) => leaf.type === 'tool.result').flatMap(({ leaf }) => leaf.parents?.map((parent) => parent.id) ?? []));
  const open = events.filter(({ leaf }) => leaf.type === 'tool.intent' && !answered.has(leaf.id) && ended.has(leaf.task?.id));
  const unknown = open.length + events.filter(({ leaf }) => leaf.type === 'tool.result' && leaf.outcome?.status === 'unknown').length;
  if (unknown) missing.push(`${unknown} ${unknown === 1 ? 'call has' : 'calls have'} no known outcome`);
  return { root: sent.root, events, lines: order, logs: sent.logs, missing, proven, altered, unpublished };
}

const hlc = (event: Event): string => (event.leaf as Leaf & { hlc: string }).hlc;

/** The event that this one belongs below, if there is one. */
function aboveOf({ leaf }: Event, byId: Map<string, Event>): string | null {
  const parent = (role: string) => leaf.parents?.find((one) => one.role === role)?.id;
  const known = (id: string | undefined) => (id !== undefined && byId.has(id) ? id : null);
  if (leaf.type === 'tool.result') return known(parent('intent'));
  if (leaf.type === 'approval.requested') return known(parent('trigger'));
  if (leaf.type === 'approval.consumed') {
    const id = leaf.approval?.id;
    for (const [event, one] of byId) if (one.leaf.type === 'approval.answered' && one.leaf.approval?.id === id) return event;
    return null;
  }
  if (leaf.type === 'lease.active') {
    for (const [event, one] of byId) if (one.leaf.type === 'lease.intent' && one.leaf.lease?.id === leaf.lease?.id) return event;
    return null;
  }
  if (leaf.type === 'lease.dead') {
    for (const [event, one] of byId) if (one.leaf.type === 'lease.revoking' && one.leaf.lease?.id === leaf.lease?.id) return event;
    return null;
  }
  if (leaf.type === 'fence.reached') return known(leaf.cause);
  return null;
}

const took = (us: number): string => (us < 1_000 ? `${us} µs` : us < 1e6 ? `${(us / 1_000).toFixed(us < 1e4 ? 1 : 0)} ms` : `${(us / 1e6).toFixed(1)} s`);

/** What somebody did, in words. */
export function deed({ leaf }: Event): string {
  const tool = leaf.action?.server && leaf.action.tool ? `${leaf.action.server}/${leaf.action.tool}` : (leaf.action?.server ?? leaf.action?.op ?? '');
  switch (leaf.type) {
    case 'task.opened':
      return leaf.task?.parent ? 'delegated a task' : 'opened the task';
    case 'task.changed':
      return `changed the task: ${leaf.task?.stage ?? ''}, risk ${leaf.task?.risk ?? ''}`;
    case 'task.ended':
      return `task ${leaf.change?.after ?? 'ended'}`;
    case 'tool.intent':
    case 'tool.held':
    case 'tool.refused':
      return tool;
    case 'tool.result': {
      const { status = '', us = 0, bytes = 0, code } = leaf.outcome ?? {};
      return [status === 'ok' ? 'ok' : (code ?? status), us ? `after ${took(us)}` : '', bytes ? `${bytes.toLocaleString('en')} B` : ''].filter(Boolean).join(' · ');
    }
    case 'approval.requested':
      return 'waits for a person';
    case 'approval.answered':
      return leaf.change?.after === 'denied' ? 'refused the call' : leaf.change?.after === 'approved' ? 'approved exactly this call' : 'approved; others must, too';
    case 'approval.consumed':
      return 'used up by the call';
    case 'approval.closed':
      return `approval ${leaf.change?.after ?? 'closed'}`;
    case 'lease.intent':
      return 'leased a credential';
    case 'lease.active':
      return 'it was made';
    case 'lease.revoking':
      return `took the credential back${leaf.outcome?.code ? `: ${leaf.outcome.code}` : ''}`;
    case 'lease.dead':
      return 'verified dead';
    case 'token.issued':
      return `got a token${leaf.action?.server ? ` for ${leaf.action.server}` : ''}`;
    case 'instance.attested':
      return 'was attested';
    case 'instance.exited':
      return 'process ended';
    case 'fence.set':
      return `revoked ${leaf.change?.after ?? leaf.change?.id ?? ''}`;
    case 'fence.reached':
      return `cut: ${leaf.change?.after ?? ''}`;
    case 'fence.lifted':
      return `lifted the fence on ${leaf.change?.after ?? ''}`;
    case 'delegation.granted':
      return 'handed on a part of its task';
    default:
      return leaf.type;
  }
}

/** Milliseconds since the first event, as a clock of the story. */
export function offset(ms: number): string {
  const s = ms / 1_000;
  if (s < 100) return `+${s.toFixed(3)}`;
  if (s < 3_600) return `+${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, '0')}`;
  return `+${Math.floor(s / 3_600)}:${String(Math.floor((s / 60) % 60)).padStart(2, '0')}:${String(Math.floor(s % 60)).padStart(2, '0')}`;
}
