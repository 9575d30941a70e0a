// Where everything lies under an agent's root. Used by the agent and by the launcher, so it needs nothing but node:path.
import { join } from 'node:path';

export interface Paths {
  root: string;
  /** The host owner's config. */
  config: string;
  launcher: string;
  versions: string;
  /** Links to `versions/<version>`, flipped by rename. */
  current: string;
  previous: string;
  /** The way back, made before `current` is flipped: rolling back is one rename, which needs no space. */
  rollback: string;
  /** Download and unpacked files of one attempt, before they are sealed. */
  staging: string;
  state: string;
  journal: string;
  identity: string;
  countersA: string;
  countersB: string;
  skip: string;
  knownGood: string;
  lastCrash: string;
  launcherChild: string;
}

export function pathsOf(root: string): Paths {
  const state = join(root, 'state');
  return {
    root,
    config: join(root, 'agent.json'),
    launcher: join(root, 'launcher.mjs'),
    versions: join(root, 'versions'),
    current: join(root, 'current'),
    previous: join(root, 'previous'),
    rollback: join(root, 'rollback'),
    staging: join(root, 'staging'),
    state,
    journal: join(state, 'journal.json'),
    identity: join(state, 'identity.json'),
    countersA: join(state, 'counters.a'),
    countersB: join(state, 'counters.b'),
    skip: join(state, 'skip.json'),
    knownGood: join(state, 'known-good.json'),
    lastCrash: join(state, 'last-crash.txt'),
    launcherChild: join(state, 'child.json'),
  };
}

/** What every version must bring, and what the launcher starts. */
export const ENTRY = 'agent.mjs';
export const LAUNCHER_FILE = 'launcher.mjs';
export const SEAL_FILE = '.sealed';
/** Files, exit codes and environment between launcher and agent; a version that speaks another contract is not started. */
export const LAUNCHER_CONTRACT = 1;
/** An agent that ends with this code wants to be looked at and started again at once. */
export const EXIT_RESTART = 86;
