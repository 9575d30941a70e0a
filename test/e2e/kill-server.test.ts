// The server is killed with SIGKILL at named instants around its commits, in every phase of a rollout: each instant and each
// phase once or twice. `npm run test:kill` has them all, in every phase where they come by.
import { suite, test } from 'node:test';
import { type Kills, tellKilled } from './killed-story.ts';

const RUNS: Record<string, Kills> = {
  'at another instant in every phase': {
    enrol: 'ledger.begin',
    publish: 'reconcile.begin',
    offer: 'ledger.committed',
    grant: 'ledger.written',
    success: 'ledger.replying',
    promote: 'verb.committed',
    'next wave': 'reconcile.told',
    'mirror catches up': 'probes.committed',
    halt: 'reconcile.committed',
    'promote the fix': 'verb.replying',
  },
  // The halt belongs into the transaction that books the failure: here the server dies when that has been committed.
  'where the agents are told and the lanes move': {
    enrol: 'ledger.written',
    publish: 'reconcile.told',
    offer: 'ledger.replying',
    grant: 'ledger.committed',
    success: 'ledger.begin',
    promote: 'reconcile.begin',
    'next wave': 'reconcile.committed',
    'mirror catches up': 'ledger.committed',
    halt: 'ledger.committed',
  },
};

// Most of a run is waiting for the next second of the server.
suite('the server killed', { concurrency: 2 }, () => {
  for (const [title, kills] of Object.entries(RUNS)) test(title, () => tellKilled(kills));
});
