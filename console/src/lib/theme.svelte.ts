// Light, dark, or as the system has it.

export type Theme = 'system' | 'light' | 'dark';

const KEY = 'bailiwick.theme';

function kept(): Theme {
  const text = localStorage.getItem(KEY);
  return text === 'light' || text === 'dark' ? text : 'system';
}

class Look {
  theme: Theme = $state(kept());

  constructor() {
    this.paint();
  }

  next(): void {
    const order: Theme[] = ['system', 'light', 'dark'];
    this.theme = order[(order.indexOf(this.theme) + 1) % order.length] ?? 'system';
    if (this.theme === 'system') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, this.theme);
    this.paint();
  }

  private paint(): void {
    if (this.theme === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = this.theme;
  }
}

export const look = new Look();
