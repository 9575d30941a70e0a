// A rehearsal freezes steps by a reckoning of its own, on a sorted list: it must take in whom the engine would.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelAgent } from '../../src/domain/rehearse/fleet.ts';
import { freezeModel, rankAll } from '../../src/domain/rehearse/freeze.ts';
import { forEachBit } from '../../src/engine/bitset.ts';
import { freezeStep } from '../../src/engine/freeze.ts';
import { finish } from '../../src/engine/pieces.ts';
import { Roster } from '../../src/engine/roster.ts';
import fc from '../support/fast-check.ts';
import { stepPolicy, testAgent } from '../support/fixtures.ts';

const hosts = fc.array(fc.record({ present: fc.boolean(), canary: fc.boolean() }), { maxLength: 40 });
const steps = fc.array(
  fc.oneof(
    fc.integer({ min: 1, max: 99 }).map((percent) => ({ percent })),
    fc.integer({ min: 1, max: 50 }).map((count) => ({ percent: null, count })),
    fc.constant({ percent: null, labels: { ring: 'canary' } }),
  ),
  { maxLength: 3 },
);

test('freezeModel: the members, the number and the reach that freezeStep has, step after step', () => {
  fc.assert(
    fc.property(hosts, steps, fc.integer({ min: 1, max: 15 }), fc.integer(), (all, some, min, seed) => {
      const roster = new Roster();
      const agents = all.map(({ present, canary }, handle): ModelAgent => {
        const labels = canary ? { ring: 'canary' } : {};
        const { id } = testAgent(handle);
        roster.put(testAgent(handle, { labels }), 0);
        const group = { region: 'eu', platform: 'linux-x64', version: '1.0.0', labels, agents: 1, present: 1 };
        const hash = roster.hashOf(handle);
        return {
          id,
          hash,
          group,
          present,
          version: '1.0.0',
          attempts: [],
          live: null,
          spent: [],
          tried: null,
          seat: null,
        };
      });
      const handles = agents.map((_, handle) => handle);
      const members = new Set<string>();
      let before = { threshold: 0, thresholdId: '' };
      const labelsBefore: Record<string, string>[] = [];
      for (const overrides of [...some, { percent: 100 }]) {
        const step = stepPolicy({ min, ...overrides });
        const model = freezeModel({
          candidates: rankAll(agents, seed >>> 0),
          isMember: (agent) => members.has(agent.id),
          step,
          before,
          labelsBefore,
        });
        const real = finish(
          freezeStep({
            roster,
            population: { handles, eligible: agents.map(({ id }) => !members.has(id)), unfit: [] },
            policy: step,
            seed: seed >>> 0,
            before,
            labelsBefore,
            isEarlierMember: (handle) => members.has(roster.idOf(handle)),
            isPresent: (handle) => all[handle]?.present === true,
          }),
        );
        const ids: string[] = [];
        forEachBit(real.members, (handle) => ids.push(roster.idOf(handle)));
        assert.deepEqual(model.members.map((agent) => agent.id).sort(), ids.sort());
        const { eligible, threshold, thresholdId } = model;
        const { eligible: wanted, threshold: reach, thresholdId: reachId } = real;
        assert.deepEqual([eligible, threshold, thresholdId], [wanted, reach, reachId]);
        for (const id of ids) members.add(id);
        before = { threshold, thresholdId };
        if (step.labels !== null) labelsBefore.push(step.labels);
      }
    }),
    { numRuns: 150 },
  );
});
