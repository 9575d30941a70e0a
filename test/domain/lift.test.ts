// A lane whose release was withdrawn halts, and goes on by itself once it is back and nothing else speaks against it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { applyActions } from '../../src/domain/apply.ts';
import { violations } from '../../src/domain/check.ts';
import { explainLane } from '../../src/domain/explain-lane.ts';
import { plan } from '../../src/domain/plan.ts';
import type { Release } from '../../src/domain/release.ts';
import type { Lane, Rollout } from '../../src/domain/rollout.ts';
import type { Snapshot } from '../../src/domain/snapshot.ts';
import { applyVerb } from '../../src/domain/verbs.ts';
import { NO_SILENCE } from '../../src/domain/verdict.ts';
import { rules, testPolicy, testRelease } from '../support/fixtures.ts';
import { going, NOW, open, RELEASE, shown, soaking, waiting } from '../support/plans.ts';
import { laneIn, OBSERVED, openedStep, rolloutOf, snapshotOf, stateNamed, vetoOf } from '../support/snapshots.ts';

const GONE: Release = { ...RELEASE, state: 'withdrawn', why: 'GitHub does not list the release any more' };

function planned(snapshot: Snapshot): Snapshot {
  let made = 0;
  const options = { now: NOW, newId: () => `made-${(made += 1)}` };
  const after = applyActions(snapshot, plan(snapshot, NOW).actions, options);
  assert.deepEqual(violations(after), []);
  assert.deepEqual(plan(after, NOW).actions, [], 'plan again: nothing');
  return after;
}

/** With the release as it is now; the census of a step that has been passed says what it said before. */
function withRelease(snapshot: Snapshot, release: Release): Snapshot {
  return { ...snapshot, releases: snapshot.releases.map((one) => (one.id === release.id ? release : one)) };
}

function laneOf({ rollouts }: Snapshot, region = 'eu'): Lane {
  const lane = rollouts.flatMap((rollout) => rollout.lanes).find((one) => one.region === region);
  assert(lane);
  return lane;
}

/** The release is withdrawn while it goes out. */
function halted(lane: Lane = open({ succeeded: 1 }, { size: 9 })): Snapshot {
  const before = going({ lanes: [lane] });
  return planned(withRelease(before, GONE));
}

describe('a withdrawn release', () => {
  for (const lane of [open({ succeeded: 1 }, { size: 9 }), soaking(1000), soaking(1000, 'approval')]) {
    test(`halts a lane that is ${lane.state.name}; back as it was, the step goes on in the same budget epoch`, () => {
      const off = halted(lane);
      assert.deepEqual(laneOf(off).state, {
        name: 'halted',
        by: 'tidegate',
        since: NOW,
        reason: 'the release 1.1.0 is withdrawn: GitHub does not list the release any more',
        step: 0,
        lift: { paused: null },
      });
      const back = withRelease(off, RELEASE);
      assert.equal(shown(back)[0], 'lift eu');
      const on = laneOf(planned(back));
      assert.equal(on.budgetEpoch, 0);
      assert.deepEqual(on.steps[0]?.counters, lane.steps[0]?.counters);
      // Who has been asked before is asked again only after the step has soaked again.
      assert.equal(on.state.name, lane.state.name === 'open' ? 'open' : 'soaking');
      if (on.state.name === 'soaking') assert.equal(on.state.observedMs, OBSERVED);
    });
  }

  test('leaves a lane paused that a person had paused', () => {
    const on = laneOf(planned(withRelease(halted(soaking(1000, 'paused')), RELEASE)));
    assert.deepEqual(on.state, {
      name: 'paused',
      since: NOW,
      by: 'me',
      reason: 'because',
      resume: { name: 'open', step: 0, since: NOW },
      soakedMs: 0,
    });
  });

  test('halts no lane that waits', () => {
    assert.deepEqual(shown(withRelease(going({ lanes: [waiting('eu')] }), GONE)), ['hold eu not_available']);
  });

  test('says in the explanation what it waits for, and that it goes on', () => {
    const off = halted();
    const input = (snapshot: Snapshot) => {
      const [rollout] = snapshot.rollouts as [Rollout];
      return { snapshot, rollouts: snapshot.rollouts, rollout, lane: laneOf(snapshot), now: NOW };
    };
    assert.match(explainLane(input(off)).sentence, /goes on by itself once the release is back on GitHub as it was/);
    assert.equal(
      explainLane(input(withRelease(off, RELEASE))).sentence,
      'it goes on now: the release is back on GitHub as it was',
    );
  });
});

describe('the halt is not lifted', () => {
  const stays: [title: string, change: (off: Snapshot) => Snapshot, says: string[]][] = [
    ['while the release is gone', (off) => off, ['hold eu halted']],
    ['when it comes back altered', (off) => withRelease(off, { ...RELEASE, state: 'altered', why: 'x' }), ['halt eu']],
    ['when it comes back refused', (off) => withRelease(off, { ...RELEASE, state: 'refused', why: 'x' }), ['halt eu']],
    [
      'when it has been vetoed meanwhile',
      (off) => ({ ...withRelease(off, RELEASE), vetoes: [vetoOf('1.1.0')] }),
      ['halt eu'],
    ],
    ['when what was hot has spent the budget meanwhile', (off) => withBad(withRelease(off, RELEASE)), ['halt eu veto']],
    [
      'while the clock is doubted',
      (off) => ({ ...withRelease(off, RELEASE), clock: { since: NOW, why: 'it went 2 h forward', until: NOW + 1 } }),
      ['hold eu halted'],
    ],
  ];
  for (const [title, change, says] of stays) {
    test(title, () => {
      const changed = change(halted());
      assert.deepEqual(shown(changed).slice(0, says.length).toSorted(), says.toSorted());
      const after = planned(changed);
      assert.equal(laneOf(after).state.name, 'halted');
      // What has come to speak against it besides stays, also when that is over.
      const calm = { ...withRelease(after, RELEASE), vetoes: [], clock: null };
      const lifts = title.startsWith('while');
      assert.equal(shown(calm)[0] === 'lift eu', lifts, shown(calm).join());
    });
  }

  test('when a person has halted it, too', () => {
    const off = halted();
    const kept = applyVerb(laneOf(off), 'halt', {
      actor: 'anna',
      reason: 'it is no good',
      now: NOW,
      observedMs: OBSERVED,
      expectedStep: null,
      expectedRevision: null,
      count: 0,
      policy: testPolicy({}),
      release: GONE,
      silence: () => NO_SILENCE,
      presence: () => undefined,
    });
    assert.deepEqual(kept?.state, { name: 'halted', since: NOW, by: 'anna', reason: 'it is no good', step: 0 });
    assert.equal(kept?.revision, laneOf(off).revision + 1);
  });

  test('beside another lane that is live in the region', () => {
    const lift = { paused: null };
    const halt = laneIn('eu', { ...stateNamed('halted'), lift } as Lane['state'], { steps: [openedStep({ size: 9 })] });
    const newer = rolloutOf('1.1.0', [halt], { createdAt: NOW });
    const older = rolloutOf('1.0.0', [open({}, { size: 9 })], { createdAt: NOW - 1 });
    const releases = [testRelease('1.0.0'), RELEASE];
    const products = [rules(testPolicy({ waves: [['eu']] }), {})];
    const both = snapshotOf({ releases, products, rollouts: [older, newer] });
    assert.ok(!shown(both).includes('lift eu'), shown(both).join());
    const alone = snapshotOf({ releases, products, rollouts: [newer] });
    assert.ok(shown(alone).includes('lift eu'), shown(alone).join());
  });
});

function withBad(snapshot: Snapshot): Snapshot {
  const rollouts = snapshot.rollouts.map((rollout) => ({
    ...rollout,
    lanes: rollout.lanes.map((lane) => ({
      ...lane,
      steps: lane.steps.map((step) => ({ ...step, counters: { ...step.counters, bad: 1, badMembers: 1 } })),
    })),
  }));
  return { ...snapshot, rollouts };
}
