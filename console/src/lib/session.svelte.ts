// Who is signed in. The other half of the session is a cookie that no script can read.
import { get, half, keepHalf, onLost, post, Problem, remove } from './api';

export type Role = 'viewer' | 'approver' | 'operator' | 'admin';

export interface Who {
  account: string;
  roles: Role[];
  idle_until: string | null;
  ends_at: string | null;
  node: string;
  trust_domain: string;
  version: string;
  build: string;
  now: string;
}

class Session {
  phase: 'asking' | 'out' | 'in' = $state('asking');
  who: Who | null = $state(null);
  /** Why there is none, where a person should know. */
  problem: Problem | null = $state(null);
  /** The node's clock less ours, in milliseconds. */
  skew = 0;

  constructor() {
    onLost((problem) => {
      if (this.phase === 'in') this.out(problem);
    });
    addEventListener('storage', (event) => {
      // Another tab signed in or out.
      if (event.key === 'bailiwick.session') location.reload();
    });
  }

  async begin(): Promise<void> {
    if (half() === null) {
      this.phase = 'out';
      return;
    }
    try {
      this.become(await get<Who>('/v1/session'));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 401) keepHalf(null);
      this.out(error.status === 401 ? null : error);
    }
  }

  async signIn(code: string): Promise<void> {
    const begun = await post<Who & { session: string }>('/v1/session', { code });
    keepHalf(begun.session);
    this.become(begun);
  }

  async signOut(): Promise<void> {
    try {
      await remove('/v1/session');
    } finally {
      keepHalf(null);
      this.out(null);
    }
  }

  may(...roles: Role[]): boolean {
    return this.who?.roles.some((role) => roles.includes(role)) ?? false;
  }

  now(): number {
    return Date.now() + this.skew;
  }

  private become(who: Who): void {
    this.who = who;
    this.skew = Date.parse(who.now) - Date.now();
    this.problem = null;
    this.phase = 'in';
  }

  private out(problem: Problem | null): void {
    if (problem?.status === 401) keepHalf(null);
    this.who = null;
    this.problem = problem;
    this.phase = 'out';
  }
}

export const session = new Session();
