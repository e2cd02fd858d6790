// Tasks as a tree in one column: each below the one that it was delegated from, siblings as they came.
import type { Task } from '../lib/types';

export interface Branch {
  task: Task;
  depth: number;
}

/** Roots newest first, what is below each oldest first. */
export function branches(tasks: Task[]): Branch[] {
  const known = new Set(tasks.map((task) => task.id));
  const below = new Map<string, Task[]>();
  const roots: Task[] = [];
  for (const task of tasks) {
    if (task.parent !== null && known.has(task.parent)) below.set(task.parent, [task, ...(below.get(task.parent) ?? [])]);
    else roots.push(task);
  }
  const found: Branch[] = [];
  const walk = (task: Task, depth: number): void => {
    found.push({ task, depth });
    for (const child of below.get(task.id) ?? []) walk(child, depth + 1);
  };
  for (const root of roots) walk(root, 0);
  return found;
}
