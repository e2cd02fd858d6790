// How an event reads in one line: what it is, its verdict, and where it leads.
import { people } from '../lib/people.svelte';
import type { Leaf } from '../lib/types';

/** The mark of an event, if it has one. */
export function markOf(leaf: Leaf): string | null {
  if (leaf.type === 'tool.result') return leaf.outcome?.status ?? null;
  if (leaf.decision) return leaf.decision.effect;
  if (leaf.type === 'tool.refused' || leaf.type.endsWith('.refused')) return 'refused';
  if (leaf.type === 'approval.requested') return 'pending';
  if (leaf.type.startsWith('approval.')) return leaf.change?.after ?? null;
  if (leaf.type === 'fence.set' || leaf.type === 'fence.reached') return 'revoked';
  if (leaf.type === 'fence.lifted') return 'lifted';
  if (leaf.type === 'task.opened') return 'open';
  if (leaf.type === 'task.ended') return leaf.change?.after ?? null;
  if (leaf.type === 'tool.drifted') return 'changed';
  return null;
}

/** What was acted on: a tool, or what changed. */
export function targetOf(leaf: Leaf): string {
  const { server, tool, op } = leaf.action ?? {};
  if (server && tool) return `${server}/${tool}`;
  if (leaf.lease?.credential) return leaf.lease.credential;
  if (server) return server;
  if (leaf.type.startsWith('instance.')) return leaf.agent?.instance ?? '';
  if (leaf.type === 'login.accepted') return 'signed in';
  if (leaf.type.startsWith('admin.')) return [op, leaf.change?.after].filter(Boolean).join(' ');
  if (leaf.type.startsWith('fence.')) return leaf.change?.after ?? leaf.change?.id ?? '';
  if (leaf.type.startsWith('task.')) return leaf.task?.id ?? leaf.change?.id ?? '';
  if (leaf.change) return [leaf.change.kind, leaf.change.id].filter(Boolean).join(' ');
  return op ?? '';
}

/** Who acted: a person by their name, where they are known here, else the agent. */
export function actorOf(leaf: Leaf): string {
  if (leaf.actor && leaf.actor !== 'system') return people.nameOf(leaf.actor);
  return leaf.agent?.id ?? leaf.actor ?? '';
}

/** Where more about it is to be seen. */
export function placeOf(leaf: Leaf): string {
  if (leaf.approval && leaf.type.startsWith('approval.')) return `/approvals/${leaf.approval.id}`;
  return `/audit/${leaf.id}`;
}

/** Why, in short. */
export function whyOf(leaf: Leaf): string {
  return leaf.decision?.reasons?.join(', ') ?? leaf.outcome?.code ?? '';
}
