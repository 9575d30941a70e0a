// The parts of a rehearsal against what is obvious and slow: events by sorting, ceilings by counting, fleets agent by agent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CEILING_MS } from '../../src/domain/ceilings.ts';
import { NO_LIMITS } from '../../src/domain/limits.ts';
import { createGrantTimes } from '../../src/domain/rehearse/ceilings.ts';
import { createEventQueue } from '../../src/domain/rehearse/event-queue.ts';
import { agentsOf, createRegions, fails, isBelow, phaseOf, runVersion } from '../../src/domain/rehearse/fleet.ts';
import type { FleetGroup } from '../../src/domain/rehearse/model.ts';
import { hours, percent } from '../../src/domain/rehearse/say.ts';
import { schemeOf } from '../../src/domain/version/schemes.ts';
import fc from '../support/fast-check.ts';

test('createEventQueue: the earliest first, of the same instant the first that was put in, whatever is taken in between', () => {
  const put = fc.nat({ max: 5 });
  fc.assert(
    fc.property(fc.array(fc.oneof(put, put, fc.constant(null)), { maxLength: 60 }), (turns) => {
      const queue = createEventQueue<{ at: number; order: number }>();
      let waiting: { at: number; order: number }[] = [];
      for (const [order, at] of turns.entries()) {
        if (at !== null) {
          queue.push(at, { at, order });
          // Sorting is stable.
          waiting = [...waiting, { at, order }].sort((a, b) => a.at - b.at);
        } else assert.deepEqual(queue.pop(), waiting.shift());
        assert.deepEqual([queue.size, queue.next()], [waiting.length, waiting[0]?.at]);
      }
    }),
    { numRuns: 200 },
  );
});

test('createGrantTimes: at every moment as many as were granted within the hour and the day, until the oldest leaves', () => {
  const step = fc.oneof(
    fc.constant(0),
    fc.constantFrom(CEILING_MS.hour, CEILING_MS.day),
    fc.nat({ max: CEILING_MS.hour }),
  );
  const limit = fc.option(fc.integer({ min: 1, max: 4 }));
  fc.assert(
    fc.property(limit, limit, fc.array(fc.tuple(step, fc.boolean()), { maxLength: 30 }), (perHour, perDay, turns) => {
      const times = createGrantTimes({ ...NO_LIMITS, perHour, perDay });
      const granted: number[] = [];
      let now = 0;
      for (const [ms, grants] of turns) {
        now += ms;
        const ceilings = times.at(now);
        assert.deepEqual(
          ceilings.map(({ window, max }) => [window, max]),
          wanted(perHour, perDay),
        );
        for (const { window, max, count, leavesAt } of ceilings) {
          const inside = granted.filter((at) => at + CEILING_MS[window] > now);
          assert.equal(count, Math.min(max, inside.length));
          assert.equal(leavesAt, inside.length === 0 ? null : (inside[0] as number) + CEILING_MS[window]);
        }
        if (!grants || ceilings.some(({ count, max }) => count >= max)) continue;
        times.add(now);
        granted.push(now);
      }
    }),
    { numRuns: 200 },
  );
});

function wanted(perHour: number | null, perDay: number | null): [string, number][] {
  return [
    ...(perHour === null ? [] : [['hour', perHour] as [string, number]]),
    ...(perDay === null ? [] : [['day', perDay] as [string, number]]),
  ];
}

const VERSIONS = ['1.0.0', '1.1.0', '2.0.0'];
const group: fc.Arbitrary<FleetGroup> = fc
  .record({
    region: fc.constantFrom('eu', 'us', 'nowhere'),
    version: fc.constantFrom(...VERSIONS),
    platform: fc.constantFrom('linux-x64', 'linux-arm64'),
    agents: fc.nat({ max: 6 }),
    away: fc.nat({ max: 3 }),
  })
  .map(({ away, ...one }) => ({ ...one, labels: {}, present: Math.max(0, one.agents - away) }));

test('createRegions, agentsOf and runVersion: the counts are those of the agents, whoever runs what', () => {
  fc.assert(
    fc.property(
      fc.array(group, { maxLength: 5 }),
      fc.array(fc.tuple(fc.nat(), fc.constantFrom(...VERSIONS)), { maxLength: 9 }),
      (fleet, moves) => {
        const regions = createRegions(['eu', 'us'], fleet);
        assert.deepEqual([...regions.keys()], ['eu', 'us']);
        for (const region of regions.values()) {
          const agents = agentsOf(region);
          assert.equal(agents.length, region.total);
          assert.equal(
            region.total,
            fleet.filter((one) => one.region === region.name).reduce((sum, one) => sum + one.agents, 0),
          );
          for (const [index, version] of moves) {
            const agent = agents[index % Math.max(1, agents.length)];
            if (agent !== undefined) runVersion(region, agent, version);
          }
          for (const row of region.counts.values()) {
            const own = agents.filter((one) => one.version === row.version && one.group.platform === row.platform);
            assert.deepEqual([row.agents, row.present], [own.length, own.filter((one) => one.present).length]);
          }
        }
        const ids = [...regions.values()].flatMap((region) => agentsOf(region).map(({ id }) => id));
        assert.equal(new Set(ids).size, ids.length, 'no two are one');
      },
    ),
  );
});

test('isBelow, fails and phaseOf: only upwards and from what is let in; more fail at a higher rate; all check in within a poll', () => {
  const scheme = schemeOf('semver');
  const version = fc.constantFrom(...VERSIONS, '1.0.0_x');
  const rate = fc.double({ min: 0, max: 1, noNaN: true });
  const release = fc.constantFrom(...VERSIONS);
  fc.assert(
    fc.property(
      group,
      version,
      release,
      fc.option(release),
      rate,
      rate,
      fc.nat(),
      (one, runs, to, from, a, b, seed) => {
        const target = { version: to, platforms: new Set(['linux-x64']), from };
        const isUp = scheme.parse(runs) !== undefined && scheme.compare(runs, to) < 0;
        const isLetIn = from === null || (scheme.parse(runs) !== undefined && scheme.compare(runs, from) >= 0);
        const wants = one.platform === 'linux-x64' && isUp && isLetIn;
        assert.equal(isBelow(scheme, { version: runs, platform: one.platform }, target), wants);
        const region = createRegions(['eu'], [{ ...one, region: 'eu' }]).get('eu');
        for (const agent of region === undefined ? [] : agentsOf(region)) {
          const [low, high] = [Math.min(a, b), Math.max(a, b)];
          assert(fails(agent, to, high, seed) || !fails(agent, to, low, seed));
          assert.deepEqual([fails(agent, to, 0, seed), fails(agent, to, 1, seed)], [false, true]);
          const phase = phaseOf(agent, 60_000, seed);
          assert(phase >= 0 && phase < 60_000 && phase === phaseOf(agent, 60_000, seed));
        }
      },
    ),
    { numRuns: 200 },
  );
});

test('hours and percent: two units at most, one after the other, that add up to no more than the time, and less than one of the smaller short', () => {
  const units: Record<string, number> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 };
  fc.assert(
    fc.property(
      fc.oneof(
        fc.nat(),
        fc.nat({ max: 90 }).map((n) => n * 3_600_000),
      ),
      (ms) => {
        const parts = hours(ms)
          .split(' ')
          .map((part) => [Number.parseInt(part, 10), units[part.at(-1) ?? ''] as number] as const);
        const said = parts.reduce((sum, [number, unit]) => sum + number * unit, 0);
        assert(parts.length <= 2 && said <= ms);
        const [one, other] = parts;
        if (one !== undefined && other !== undefined)
          assert([24, 60].includes(one[1] / other[1]), 'one unit after the other');
        const [, least] = parts.at(-1) as readonly [number, number];
        // What is left out of a round number is less than the unit before.
        const slack =
          parts.length === 2
            ? least
            : Math.max(1000, (parts[0] as readonly [number, number])[1] / (least === 86_400_000 ? 24 : 60));
        assert(ms - said < slack, `${ms} is said as ${hours(ms)}`);
        assert.match(percent(ms / 2 ** 31), /^\d+(\.\d+)?(e-\d+)? %$/);
      },
    ),
    { numRuns: 300 },
  );
});
