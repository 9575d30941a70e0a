// What a rehearsal is given, as plain JSON: rules and releases as they are, a fleet in groups, and how long things take.

import type { Brake, Veto } from '../directives.ts';
import type { Limits } from '../limits.ts';
import type { Release } from '../release.ts';
import type { Baseline, Calendar, ProductRules } from '../snapshot.ts';
import type { Freeze } from '../window.ts';

/** Agents that are alike: for a rehearsal it does not matter which of them is which. */
export interface FleetGroup {
  region: string;
  platform: string;
  version: string;
  labels: Record<string, string>;
  agents: number;
  /** Those of them that check in; the others are away all the time. */
  present: number;
}

/** Agents that the release passes over: they keep a step that is theirs by their labels from being skipped. */
export type PassedOver = Pick<FleetGroup, 'region' | 'labels' | 'agents'>;

/** How long the parts of an attempt take when all goes well, milliseconds. */
export interface Pace {
  /** Between two check-ins: who is asked comes within this time. */
  pollMs: number;
  stageMs: number;
  /** From the grant to the outcome. */
  activateMs: number;
}

/** A release that can be had everywhere from an instant on, milliseconds since the epoch. */
export interface ModelRelease {
  release: Release;
  visibleAt: number;
}

export interface ModelInput {
  product: ProductRules;
  regions: string[];
  calendars: Calendar[];
  freezes: Freeze[];
  limits: Limits;
  brakes: Brake[];
  vetoes: Veto[];
  baselines: Baseline[];
  releases: ModelRelease[];
  /** Releases that agents below them must stop at, ascending; can be had everywhere, and are nobody's choice. */
  floors: Release[];
  fleet: FleetGroup[];
  passedOver: PassedOver[];
  startMs: number;
  /** Nothing is played beyond this instant. */
  endMs: number;
  seed: number;
  /** Share of the agents (0–1) on which every release fails. */
  failureRate: number;
  /** After so long a person promotes what waits for that; null: nobody ever does. */
  approveAfterMs: number | null;
  pace: Pace;
  /** Ends the run when a lane has halted, or when the last rollout has ended; else it goes on to `endMs`. */
  until: 'halted' | 'ended' | 'end';
}

/** Something that an event or a step of the clock is; more than this many end a run. */
export const MAX_EVENTS = 20_000_000;
