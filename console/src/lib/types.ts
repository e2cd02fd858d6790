// What the node answers with, as far as views use it. `docs/reference/openapi.json` and `docs/reference/events.md` say the rest.

export type Effect = 'read' | 'write' | 'escalate';
export type Verdict = 'allow' | 'deny' | 'step_up';
export type Risk = 'low' | 'medium' | 'high' | 'critical';

export interface Leaf {
  id: string;
  type: string;
  ts: string;
  node: string;
  agent?: { id: string; instance?: string; code_digest?: string };
  owner?: string;
  user?: string;
  actor?: string;
  task?: { id: string; root: string; parent?: string; version: number; stage: string; risk: Risk; labels?: string[] };
  chain?: { agent: string; instance?: string; task: string; jti?: string }[];
  cause?: string;
  parents?: { role: string; id: string }[];
  action?: { op: string; effect?: Effect; server?: string; tool?: string; definition?: string; request_id?: string };
  decision?: { effect: Verdict; policies?: string[]; reasons?: string[]; obligations?: unknown[]; us: number; versions?: Record<string, unknown>; mode?: string };
  approval?: { id: string };
  lease?: { id: string; credential?: string };
  outcome?: { status: string; code?: string; us: number; bytes: number; evidence: string };
  change?: { kind: string; id: string; before?: string; after?: string };
  sealed?: { path: string; class: string; bytes: number; commit: string; kept: boolean }[];
}

export interface Recorded {
  index: number;
  leaf_hash: string;
  leaf: Leaf;
}

export interface Reason {
  source: string;
  reason: string;
  fix?: string;
}

export interface Vote {
  account: string;
  approve: boolean;
  reason: string;
  shown_digest: string;
  at: string;
}

export type ApprovalState = 'pending' | 'approved' | 'consumed' | 'denied' | 'expired' | 'void';

export interface Approval {
  id: string;
  call_digest: string;
  task: string;
  agent: string;
  user: string;
  opened_by: string | null;
  tool: string;
  effect: Effect;
  definition: string;
  arguments: string;
  reasons: Reason[];
  discharges: string[];
  risk: Risk;
  quorum: number;
  votes: Vote[];
  state: ApprovalState;
  requested_at: string;
  expires_at: string;
  valid_s: number;
  /** How many more calls alike policy lets a yes be for; not there if none. */
  standing_at_most?: number;
  standing?: { left: number; vary: string[] };
  /** The approval whose yes was for this call too. */
  under?: string;
  version: number;
}

export interface ApprovalView {
  approval: Approval;
  shown: Record<string, unknown>;
  shown_digest: string;
}

export interface Log {
  origin: string;
  vkey: string;
  former?: { vkey: string; until: string };
  evidence_vkey: string;
  size: number;
  checkpoint: string | null;
  witness: {
    state: 'none' | 'unwitnessed' | 'witnessed' | 'stale';
    quorum: number;
    size: number | null;
    at: string | null;
    witnesses: { name: string; size: number | null; at: string | null; error: string | null }[];
  };
}

export interface LogStanding extends Log {
  indexed: number;
}

export interface Health {
  status: 'ok' | 'degraded';
  node: string;
  trust_domain: string;
  version: string;
  head: number;
  applied: number;
  log: { size: number; published: number; scrub_failed: boolean; clock_off: boolean };
}

export type TaskState = 'open' | 'completed' | 'cancelled' | 'expired' | 'revoked';

export interface Grant {
  server: string[];
  tool: string[];
  effects: Effect[];
  [more: string]: unknown;
}

export interface Task {
  id: string;
  parent: string | null;
  ancestors: string[];
  agent: string;
  instance: string | null;
  user: string;
  request: { text: string; source: string };
  workflow: string;
  stage: string;
  scope: { grants: Grant[]; [more: string]: unknown };
  risk: Risk;
  labels: string[];
  created_at: string;
  expires_at: string;
  state: TaskState;
  version: number;
}

export interface Fence {
  id: string;
  seq: number;
  subject: string;
  lifted_seq: number | null;
  revocation: string;
  reason: string;
  actor: string;
  set_at: string;
}

export interface Agent {
  name: string;
  owner: string;
  selectors: string[];
  ceiling: { grants: Grant[] };
  base_risk: Risk;
  launch_uids: number[];
  enabled: boolean;
  created_at: string;
  version: number;
}

export interface Tool {
  tool: string;
  state: 'new' | 'approved' | 'changed' | 'rejected' | 'retired';
  seen: string;
  approved: string | null;
  definition: string;
  candidate: string | null;
  effect: Effect;
  decided_by: string | null;
  seen_at: string;
  version: number;
}

export interface Lease {
  id: string;
  credential: string;
  server: string;
  task: string;
  instance: string | null;
  agent: string;
  state: 'INTENT' | 'ACTIVE' | 'REVOKING' | 'TOMBSTONE';
  created_at: string;
  not_after: string;
  cause: string | null;
  verified_at: string | null;
}
