// Addresses and views. Links are plain anchors; a click on one of ours changes the view without a load.

export type View = 'now' | 'approvals' | 'tasks' | 'agents' | 'policy' | 'servers' | 'leases' | 'audit' | 'login' | 'nowhere';

export interface Place {
  view: View;
  /** What is behind the view's name: an id, a name, or nothing. */
  id: string;
}

const VIEWS: Record<string, View> = {
  '': 'now',
  approvals: 'approvals',
  tasks: 'tasks',
  agents: 'agents',
  policy: 'policy',
  servers: 'servers',
  leases: 'leases',
  audit: 'audit',
  login: 'login',
};

function read(): Place {
  const [first = '', ...rest] = location.pathname.slice(1).split('/');
  return { view: VIEWS[first] ?? 'nowhere', id: rest.map(decodeURIComponent).join('/') };
}

class Router {
  place: Place = $state(read());
  query: string = $state(location.search);

  constructor() {
    addEventListener('popstate', () => this.look());
    document.addEventListener('click', (event) => {
      const link = (event.target as Element | null)?.closest?.('a');
      if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
      if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      if ((VIEWS[link.pathname.slice(1).split('/')[0] ?? ''] ?? 'nowhere') === 'nowhere') return;
      event.preventDefault();
      this.go(link.pathname + link.search);
    });
  }

  go(path: string, replace = false): void {
    if (replace) history.replaceState(null, '', path);
    else history.pushState(null, '', path);
    this.look();
    if (!replace) document.getElementById('main')?.focus({ preventScroll: true });
  }

  private look(): void {
    this.place = read();
    this.query = location.search;
  }
}

export const router = new Router();
