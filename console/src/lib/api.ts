// The one way to the node: both halves of the session, JSON, and refusals as problems.

/** A refusal as the node writes it, or that it cannot be reached. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly help = '',
    readonly request = '',
    readonly details: Record<string, unknown> = {},
  ) {
    super(message);
  }
}

/** A page of a list. */
export interface Page<T> {
  items: T[];
  next: string | null;
}

const HALF = 'bailiwick.session';
let lost: (problem: Problem) => void = () => {};

/** What happens when the node says that nobody is signed in. */
export function onLost(then: (problem: Problem) => void): void {
  lost = then;
}

export function half(): string | null {
  return localStorage.getItem(HALF);
}

export function keepHalf(value: string | null): void {
  if (value === null) localStorage.removeItem(HALF);
  else localStorage.setItem(HALF, value);
}

export function headers(background: boolean): Record<string, string> {
  const all: Record<string, string> = { 'content-type': 'application/json' };
  const own = half();
  if (own !== null) all['x-bailiwick-session'] = own;
  if (background) all['x-bailiwick-background'] = 'true';
  return all;
}

/** Sends a request that nobody has looked at yet: the answer, or a problem if there is none. */
export async function reach(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, { credentials: 'same-origin', redirect: 'error', ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Problem(0, 'node_unreachable', 'The node does not answer.', 'Look whether it runs: `bailiwick serve`. This page tries again by itself.');
  }
}

/** The problem that a refusal carries. */
export async function problemOf(response: Response): Promise<Problem> {
  const body = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  const text = (key: string) => (typeof body[key] === 'string' ? (body[key] as string) : '');
  const { code: _c, message: _m, help: _h, request_id: _r, ...details } = body;
  return new Problem(response.status, text('code') || 'internal', text('message') || `The node answered ${response.status}.`, text('help'), text('request_id'), details);
}

async function call<T>(method: string, path: string, body: unknown, background: boolean): Promise<T> {
  const init: RequestInit = { method, headers: headers(background) };
  if (body !== undefined) init.body = JSON.stringify(body);
  const response = await reach(path, init);
  if (!response.ok) {
    const problem = await problemOf(response);
    if (response.status === 401) lost(problem);
    throw problem;
  }
  if (response.status === 204) return undefined as T;
  const kind = response.headers.get('content-type') ?? '';
  return (kind.includes('json') ? await response.json() : await response.text()) as T;
}

/** Asks because a person does something. */
export const get = <T>(path: string): Promise<T> => call('GET', path, undefined, false);
/** Asks because something happened; nobody may be there. */
export const peek = <T>(path: string): Promise<T> => call('GET', path, undefined, true);
export const post = <T>(path: string, body: unknown = {}): Promise<T> => call('POST', path, body, false);
export const put = <T>(path: string, body: unknown = {}): Promise<T> => call('PUT', path, body, false);
export const remove = <T>(path: string): Promise<T> => call('DELETE', path, undefined, false);

/** Bytes of a file of the log. */
export async function bytes(path: string): Promise<Uint8Array<ArrayBuffer> | null> {
  const response = await reach(path, { headers: headers(true), cache: 'no-store' });
  if (response.status === 404) return null;
  if (!response.ok) throw await problemOf(response);
  return new Uint8Array(await response.arrayBuffer());
}

/** A part of a path. */
export const part = (text: string): string => encodeURIComponent(text);
