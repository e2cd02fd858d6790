// Times as people read them, and a clock that ticks once a second while something is shown that needs it.
import { session } from './session.svelte';

class Clock {
  /** The node's clock, in milliseconds. */
  now = $state(Date.now());

  constructor() {
    setInterval(() => {
      if (!document.hidden) this.now = session.now();
    }, 1_000);
  }
}

export const clock = new Clock();

const two = (value: number): string => String(value).padStart(2, '0');

/** Hours, minutes and seconds of today; day and minutes before. */
export function moment(text: string, now: number): string {
  const at = new Date(text);
  const hours = `${two(at.getHours())}:${two(at.getMinutes())}`;
  if (new Date(now).toDateString() === at.toDateString()) return `${hours}:${two(at.getSeconds())}`;
  return `${at.toLocaleDateString('en', { month: 'short', day: 'numeric' })} ${hours}`;
}

/** A span in its two largest units. */
export function span(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1_000));
  if (s < 60) return `${s} s`;
  const m = Math.floor(s / 60);
  if (m < 60) return s % 60 && m < 10 ? `${m} min ${s % 60} s` : `${m} min`;
  const h = Math.floor(m / 60);
  if (h < 48) return m % 60 ? `${h} h ${m % 60} min` : `${h} h`;
  return `${Math.floor(h / 24)} d`;
}

/** How long ago. */
export const ago = (text: string, now: number): string => {
  const ms = now - Date.parse(text);
  return ms < 5_000 ? 'just now' : `${span(ms)} ago`;
};
