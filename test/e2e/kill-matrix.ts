// `npm run test:kill`: the server is killed with SIGKILL at every named instant around its commits, in the phases of a
// rollout that come by there. Of these kills `npm test` has every instant and every phase once or twice.
import { suite, test } from 'node:test';
import { type Kills, type Phase, tellKilled } from './killed-story.ts';

/** Where the ledger commits something of an agent, and where planning moves lanes. */
const LEDGER_PHASES: Phase[] = ['enrol', 'offer', 'grant', 'success', 'promote', 'mirror catches up', 'halt'];
const PLAN_PHASES: Phase[] = ['publish', 'success', 'promote', 'next wave', 'mirror catches up', 'halt'];

// A start of the server is what costs here: what is committed has to survive in every phase, the rest in some.
const RUNS: { title: string; kills: Kills }[] = [
  { title: 'the undisturbed run', kills: {} },
  killedAt('ledger.begin', ['enrol', 'offer', 'success', 'halt']),
  killedAt('ledger.written', ['enrol', 'grant', 'success', 'halt']),
  killedAt('ledger.committed', LEDGER_PHASES),
  killedAt('ledger.replying', ['enrol', 'offer', 'grant', 'success', 'halt']),
  killedAt('reconcile.begin', ['publish', 'success', 'promote', 'halt']),
  killedAt('reconcile.committed', PLAN_PHASES),
  killedAt('reconcile.told', ['publish', 'promote', 'next wave', 'halt']),
  {
    title: 'killed where a promotion, or what a mirror has, is in the database',
    kills: {
      publish: 'probes.committed',
      promote: 'verb.committed',
      'mirror catches up': 'probes.committed',
      'promote the fix': 'verb.replying',
    },
  },
];

// Most of a run is waiting for the next second of the server.
suite('the server killed', { concurrency: 2 }, () => {
  for (const { title, kills } of RUNS) test(title, () => tellKilled(kills));
});

function killedAt(mark: string, phases: readonly Phase[]): { title: string; kills: Kills } {
  return { title: `killed at ${mark}`, kills: Object.fromEntries(phases.map((phase) => [phase, mark])) };
}
