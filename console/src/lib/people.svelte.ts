// Names of accounts: the record names people by ids alone.
import { peek, Problem, type Page } from './api';

class People {
  private names: Record<string, string> = $state.raw({});
  private asked = false;

  /** The name of an account, or what was given. */
  nameOf(actor: string): string {
    const name = this.names[actor];
    if (name === undefined && actor.startsWith('acct_') && !this.asked) void this.load();
    return name ?? actor;
  }

  /** Asks anew when an account is met that is not known. */
  private async load(): Promise<void> {
    this.asked = true;
    try {
      const page = await peek<Page<{ id: string; name: string }>>('/v1/accounts?limit=1000');
      this.names = Object.fromEntries(page.items.map(({ id, name }) => [id, name]));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    } finally {
      setTimeout(() => (this.asked = false), 10_000);
    }
  }
}

export const people = new People();
