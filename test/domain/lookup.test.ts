// What is looked up by a key is what going through the list finds, of equal keys the first, in lists old and new.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { availabilityAt, baselinesThere, lanesThere, releaseAt, releaseOf } from '../../src/domain/lookup.ts';
import fc from '../support/fast-check.ts';
import { START, testRelease } from '../support/fixtures.ts';
import { availabilityOf, laneIn, PLATFORM, rolloutOf, stateNamed } from '../support/snapshots.ts';

const version = fc.constantFrom('1.0.0', '1.1.0', '1.2.0');
const product = fc.constantFrom('agentd', 'proxyd');
const region = fc.constantFrom('eu', 'us');
const releases = fc
  .array(fc.tuple(version, product, fc.nat({ max: 1 })), { maxLength: 8 })
  .map((all) => all.map(([one, of, twin]) => testRelease(one, { id: `${of} ${one} ${twin}`, product: of })));

test('releaseOf, releaseAt, availabilityAt, lanesThere and baselinesThere find what the lists hold, however often', () => {
  fc.assert(
    fc.property(releases, version, product, region, (all, one, of, where) => {
      const rows = all.flatMap((release) => [availabilityOf(release, 'eu'), availabilityOf(release, 'us', 'absent')]);
      const rollouts = all.map((release, index) =>
        rolloutOf(release.version, [
          laneIn('eu', stateNamed('waiting')),
          laneIn(index % 2 ? 'us' : 'ap', stateNamed('open')),
        ]),
      );
      const baselines = all.map((release, at) => {
        return {
          product: release.product,
          region: at % 2 ? 'eu' : 'us',
          version: release.version,
          releaseId: release.id,
          at: START + at,
        };
      });
      for (const turn of ['first', 'again']) {
        const id = `${of} ${one} 0`;
        assert.equal(
          releaseOf(all, id),
          all.find((release) => release.id === id),
          turn,
        );
        assert.equal(
          releaseAt(all, of, one),
          all.find((release) => release.product === of && release.version === one),
        );
        const place = { product: of, version: one, region: where, platform: PLATFORM };
        const row = rows.find((known) => known.product === of && known.version === one && known.region === where);
        assert.equal(availabilityAt(rows, place), row);
        assert.equal(availabilityAt(rows, { ...place, platform: 'other' }), undefined);
        const lanes = rollouts.flatMap((rollout) => rollout.lanes.map((lane) => ({ rollout, lane })));
        assert.deepEqual(
          lanesThere(rollouts, where),
          lanes.filter(({ lane }) => lane.region === where),
        );
        const own = baselines.filter((known) => known.product === of && known.region === where);
        assert.deepEqual(baselinesThere(baselines, of, where), own);
      }
      const fewer = all.slice(1);
      assert.equal(
        releaseAt(fewer, of, one),
        fewer.find((release) => release.product === of && release.version === one),
      );
    }),
  );
});
