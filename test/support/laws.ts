// Laws over random snapshots: the cases are drawn once for all laws of a file, which takes longer than to hold a law against them.
import { test } from 'node:test';
import { applyActions } from '../../src/domain/apply.ts';
import { plan } from '../../src/domain/plan.ts';
import type { Plan, Snapshot } from '../../src/domain/snapshot.ts';
import fc from './fast-check.ts';
import { NOW } from './plans.ts';
import { anySnapshot, deepFreeze } from './snapshots.ts';

const MAX_SHRINK_MS = 3_000;

export interface Case {
  snapshot: Snapshot;
  planned: Plan;
  after: Snapshot;
}

export interface Laws {
  cases: () => readonly Case[];
  /** Declares a test that holds the law against every case. */
  law: (title: string, holds: (one: Case) => void) => void;
}

/** `among`: which snapshots; any that keep every promise when it is left out. */
export function lawsOver(numRuns: number, among: fc.Arbitrary<Snapshot> = anySnapshot()): Laws {
  let drawn: Case[] | undefined;
  function cases(): Case[] {
    drawn ??= fc.sample(among, numRuns).map((one) => caseOf(one));
    return drawn;
  }
  function law(title: string, holds: (one: Case) => void): void {
    test(title, () => {
      try {
        for (const one of cases()) holds(one);
      } catch (error) {
        // The same case again, and then a smaller one.
        fc.assert(
          fc.property(among, (snapshot) => holds(caseOf(snapshot))),
          { numRuns, interruptAfterTimeLimit: MAX_SHRINK_MS },
        );
        throw error;
      }
    });
  }
  return { cases, law };
}

export function applyPlan(snapshot: Snapshot, { actions }: Pick<Plan, 'actions'>): Snapshot {
  let made = 0;
  return applyActions(snapshot, actions, { now: NOW, newId: () => `new:${(made += 1)}` });
}

function caseOf(one: Snapshot): Case {
  const snapshot = deepFreeze(one);
  const planned = plan(snapshot, NOW);
  return { snapshot, planned, after: applyPlan(snapshot, planned) };
}
