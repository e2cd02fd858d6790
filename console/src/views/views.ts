// The views there are: their addresses, names, keys and icons.
import type { Component } from 'svelte';
import type { View } from '../lib/router.svelte';
import type { IconName } from '../parts/Icon.svelte';
import Agents from './Agents.svelte';
import Approvals from './Approvals.svelte';
import Audit from './Audit.svelte';
import Leases from './Leases.svelte';
import Now from './Now.svelte';
import Policy from './Policy.svelte';
import Servers from './Servers.svelte';
import Tasks from './Tasks.svelte';

export interface Shown {
  view: View;
  path: string;
  name: string;
  key: string;
  icon: IconName;
  body: Component;
}

export const VIEWS: Shown[] = [
  { view: 'now', path: '/', name: 'Now', key: 'n', icon: 'now', body: Now },
  { view: 'approvals', path: '/approvals', name: 'Approvals', key: 'a', icon: 'approvals', body: Approvals },
  { view: 'tasks', path: '/tasks', name: 'Tasks', key: 't', icon: 'tasks', body: Tasks },
  { view: 'agents', path: '/agents', name: 'Agents', key: 'e', icon: 'agents', body: Agents },
  { view: 'policy', path: '/policy', name: 'Policy', key: 'p', icon: 'policy', body: Policy },
  { view: 'servers', path: '/servers', name: 'Tools', key: 's', icon: 'servers', body: Servers },
  { view: 'leases', path: '/leases', name: 'Leases', key: 'l', icon: 'leases', body: Leases },
  { view: 'audit', path: '/audit', name: 'Audit', key: 'i', icon: 'audit', body: Audit },
];
