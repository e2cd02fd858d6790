// What a view asks of the node: loading, there, refused, or there but old. What was there stays while it is asked again.
import { onDestroy } from 'svelte';
import { Problem } from './api';
import { live, type Topic } from './live.svelte';

/** Several events in a row are one question. */
const PAUSE = 120;

export class Query<T> {
  data: T | undefined = $state.raw();
  problem: Problem | null = $state(null);
  /** When `data` came, by our clock. */
  at = $state(0);
  private turn = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly ask: () => Promise<T>) {}

  get loading(): boolean {
    return this.data === undefined && this.problem === null;
  }

  load = async (): Promise<void> => {
    this.turn += 1;
    const turn = this.turn;
    try {
      const data = await this.ask();
      if (turn !== this.turn) return;
      this.data = data;
      this.problem = null;
      this.at = Date.now();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (turn === this.turn) this.problem = error;
    }
  };

  /** Asks again soon. */
  again = (): void => {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.load(), PAUSE);
  };

  end = (): void => {
    this.turn += 1;
    clearTimeout(this.timer);
  };
}

/** A question of a component that is asked again whenever something of its topics happens. */
export function query<T>(topics: Topic[], ask: () => Promise<T>): Query<T> {
  const asked = new Query(ask);
  void asked.load();
  const off = live.on(topics, asked.again);
  onDestroy(() => {
    off();
    asked.end();
  });
  return asked;
}
