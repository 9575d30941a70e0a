// What one agent is answered: each rule alone, their order, and what may never be answered.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ATTEMPT_STATES, isHot, isLive } from '../../src/domain/attempt.ts';
import { type AgentView, type Answer, decide, decideAll } from '../../src/domain/decide.ts';
import type { Directive, FloorStop, LaneDirective, OpenedStep } from '../../src/domain/directives.ts';
import { countOccupied, NO_LIMITS } from '../../src/domain/limits.ts';
import type { Spent } from '../../src/domain/quarantine.ts';
import fc from '../support/fast-check.ts';
import { digestOf, START, testRelease } from '../support/fixtures.ts';
import { attemptOf, counts, deepFreeze, EVERYBODY, PLATFORM } from '../support/snapshots.ts';

const ROLLOUT = 'rollout-1.1.0';
const LANE = `${ROLLOUT}/eu`;

function stepIn(overrides: Partial<OpenedStep> = {}): OpenedStep {
  return { step: 0, labels: null, ...EVERYBODY, size: 3, budget: 1, strict: true, counters: counts(), ...overrides };
}

function laneGoing(overrides: Partial<LaneDirective> = {}): LaneDirective {
  return {
    laneId: LANE,
    rolloutId: ROLLOUT,
    version: '1.1.0',
    raises: true,
    takesBack: [],
    seed: 1,
    budgetEpoch: 0,
    hold: null,
    steps: [stepIn()],
    artifacts: testRelease('1.1.0').artifacts,
    absent: [],
    unknown: [],
    requirements: [],
    floors: [],
    unhealthy: 'hold',
    maxDownloading: null,
    maxHot: 10,
    attemptsPerAgent: 2,
    retried: [],
    stageWithinMs: 1,
    activateWithinMs: 2,
    proveWithinMs: 3,
    stableForMs: 4,
    attemptMs: 9,
    attemptBudgetMs: 5,
    ...overrides,
  };
}

function directiveFor(lane: Partial<LaneDirective> | null = {}, overrides: Partial<Directive> = {}): Directive {
  return {
    product: 'agentd',
    region: 'eu',
    scheme: 'semver',
    brake: null,
    clock: null,
    builds: { [digestOf('1.0.0')]: ['1.0.0'], [digestOf('1.1.0')]: ['1.1.0'] },
    from: null,
    unknownBuilds: 'hold',
    lane: lane === null ? null : laneGoing(lane),
    baseline: null,
    window: { open: true, closesAt: null },
    opensAgainAt: null,
    limits: NO_LIMITS,
    occupied: countOccupied([], NO_LIMITS),
    ...overrides,
  };
}

function floorAt(version: string, overrides: Partial<FloorStop> = {}): FloorStop {
  const { artifacts } = testRelease(version);
  return { version, artifacts, requirements: [], trouble: null, absent: [], unknown: [], ...overrides };
}

function running(version: string, digest = digestOf(version), product = 'agentd') {
  return { product, version, digest };
}

function agentAt(version = '1.0.0', overrides: Partial<AgentView> = {}): AgentView {
  return {
    id: 'agent',
    region: 'eu',
    platform: PLATFORM,
    labels: {},
    facts: null,
    health: 'ok',
    healthReason: null,
    products: [running(version)],
    live: [],
    holding: [],
    ended: [],
    spent: [],
    ...overrides,
  };
}

/** An agent that reports the attempt as its own. */
function agentWith(attempt: ReturnType<typeof attemptOf>, overrides: Partial<AgentView> = {}): AgentView {
  return agentAt('1.0.0', { live: [attempt], holding: [attempt.id], ...overrides });
}

const offered = attemptOf();
const staged = attemptOf({ state: 'staged' });
const granted = attemptOf({ state: 'granted', grantedAt: 1 });
const activating = attemptOf({ state: 'activating', grantedAt: 1 });
const proving = attemptOf({ state: 'proving', grantedAt: 1 });
const braked = { brake: { scope: 'fleet', reason: 'careful' } };
const pinned = { product: 'agentd', version: '1.0.0', actor: 'anna', reason: 'kernel bug', at: 0 };
const spent = (count: number, budgetEpoch = 0, laneId = LANE, cleared = 0): Spent[] => [
  { rolloutId: ROLLOUT, laneId, step: 0, budgetEpoch, count, cleared, timedOut: 0, weight: 'bad', member: true },
];

function shown(answer: Answer): string {
  switch (answer.kind) {
    case 'none':
      return 'none';
    case 'hold':
      return `hold ${answer.reason}`;
    case 'stage':
      return `stage ${answer.attempt?.id ?? 'new'} in step ${answer.step.step}`;
    case 'activate':
    case 'withdraw':
      return `${answer.kind} ${answer.attempt.id}`;
  }
}

interface Row {
  title: string;
  agent: AgentView;
  directives: Directive[];
  answer: string;
  /** Of the first product: rule and result, in order. */
  trace?: string;
}

const UP_TO_VERSION = 'assigned pass, brake pass, version pass';
const UP_TO_ARTIFACT = `${UP_TO_VERSION}, build pass, lane pass, artifact pass`;

const ROWS: Row[] = [
  {
    title: 'an agent that is due is offered the release',
    agent: agentAt(),
    directives: [directiveFor()],
    answer: 'stage new in step 0',
    trace: `${UP_TO_ARTIFACT}, step pass, attempts pass`,
  },
  { title: 'an agent without products', agent: agentAt('1.0.0', { products: [] }), directives: [], answer: 'none' },
  {
    title: 'a product that the config does not name',
    agent: agentAt(),
    directives: [],
    answer: 'hold not_assigned',
    trace: 'assigned hold',
  },
  {
    title: 'a region that the config does not name',
    agent: agentAt('1.0.0', { region: 'mars' }),
    directives: [directiveFor()],
    answer: 'hold not_assigned',
    trace: 'assigned hold',
  },
  {
    title: 'a brake',
    agent: agentAt(),
    directives: [directiveFor({}, braked)],
    answer: 'hold braked',
    trace: 'assigned pass, brake hold',
  },
  {
    title: 'nothing is going out',
    agent: agentAt(),
    directives: [directiveFor(null)],
    answer: 'none',
    trace: 'assigned pass, brake pass, lane deny',
  },
  {
    title: 'a version that the scheme cannot read',
    agent: agentAt('nightly'),
    directives: [directiveFor()],
    answer: 'hold unknown_build',
    trace: 'assigned pass, brake pass, version hold',
  },
  {
    title: 'up to date',
    agent: agentAt('1.1.0'),
    directives: [directiveFor()],
    answer: 'none',
    trace: 'assigned pass, brake pass, version deny',
  },
  {
    title: 'a newer version: no downgrade',
    agent: agentAt('1.2.0'),
    directives: [directiveFor({}, { builds: { [digestOf('1.2.0')]: ['1.2.0'] } })],
    answer: 'none',
    trace: 'assigned pass, brake pass, version deny',
  },
  {
    title: 'a prerelease of the target is below it',
    agent: agentAt('1.1.0-rc.1', {
      products: [running('1.1.0-rc.1', 'rc')],
    }),
    directives: [directiveFor({}, { builds: { rc: ['1.1.0-rc.1'] } })],
    answer: 'stage new in step 0',
  },
  {
    title: 'from the release to a prerelease of it: no downgrade',
    agent: agentAt('1.1.0'),
    directives: [directiveFor({ version: '1.1.0-rc.1' })],
    answer: 'none',
  },
  {
    title: 'a floor on the way: staged first',
    agent: agentAt('1.0.0'),
    directives: [directiveFor({ floors: [floorAt('1.0.5')] })],
    answer: 'stage new in step 0',
    trace:
      'assigned pass, brake pass, version pass, build pass, path pass, lane pass, artifact pass, step pass, attempts pass',
  },
  {
    title: 'a floor that the region lacks',
    agent: agentAt('1.0.0'),
    directives: [directiveFor({ floors: [floorAt('1.0.5', { absent: [PLATFORM] })] })],
    answer: 'hold floor_missing',
  },
  {
    title: 'a floor of which nobody knows whether the region has it',
    agent: agentAt('1.0.0'),
    directives: [directiveFor({ floors: [floorAt('1.0.5', { unknown: [PLATFORM] })] })],
    answer: 'hold availability_unknown',
  },
  {
    title: 'a floor that is vetoed',
    agent: agentAt('1.0.0'),
    directives: [directiveFor({ floors: [floorAt('1.0.5', { trouble: '1.0.5 is vetoed: harmful' })] })],
    answer: 'hold floor_missing',
  },
  {
    title: 'a floor that it runs already, whatever is said of it',
    agent: agentAt('1.0.5', { products: [running('1.0.5', 'at the floor')] }),
    directives: [
      directiveFor({ floors: [floorAt('1.0.5', { absent: [PLATFORM] })] }, { builds: { 'at the floor': ['1.0.5'] } }),
    ],
    answer: 'stage new in step 0',
  },
  {
    title: 'an attempt that would jump over a floor is withdrawn',
    agent: agentWith(attemptOf({ laneId: LANE, version: '1.1.0' })),
    directives: [directiveFor({ floors: [floorAt('1.0.5')] })],
    answer: 'withdraw attempt',
  },
  {
    title: 'a requirement that the host does not meet, before anything of the lane',
    agent: agentAt('1.0.0', { facts: { kernel: '4.19' } }),
    directives: [
      directiveFor({
        hold: { reason: 'paused', detail: 'lunch' },
        requirements: [{ versions: null, fact: 'kernel', rule: 'atLeast', wanted: ['5.10'], reason: null }],
      }),
    ],
    answer: 'hold requirement_unmet',
  },
  {
    title: 'an unknown build at the version that goes out',
    agent: agentAt('1.1.0', { products: [running('1.1.0', 'own build')] }),
    directives: [directiveFor()],
    answer: 'hold unknown_build',
  },
  {
    title: 'unhealthy and staged: nothing is granted',
    agent: agentWith(attemptOf({ laneId: LANE, version: '1.1.0', state: 'staged' }), { health: 'unhealthy' }),
    directives: [directiveFor()],
    answer: 'hold unhealthy',
  },
  {
    title: 'a digest that no release has',
    agent: agentAt('1.0.0', { products: [running('1.0.0', 'own build')] }),
    directives: [directiveFor()],
    answer: 'hold unknown_build',
    trace: `${UP_TO_VERSION}, build hold`,
  },
  {
    title: 'the digest of another version',
    agent: agentAt('1.0.0', { products: [running('1.0.0', digestOf('1.1.0'))] }),
    directives: [directiveFor()],
    answer: 'hold unknown_build',
  },
  ...(['vetoed', 'halted', 'paused', 'not_available', 'not_in_step'] as const).map((reason) => ({
    title: `the lane holds as ${reason}`,
    agent: agentAt(),
    directives: [directiveFor({ hold: { reason, detail: 'why' } })],
    answer: `hold ${reason}`,
    trace: `${UP_TO_VERSION}, build pass, lane hold`,
  })),
  {
    title: 'no artifact for the platform',
    agent: agentAt('1.0.0', { platform: 'linux-x64-musl' }),
    directives: [directiveFor()],
    answer: 'hold no_artifact',
    trace: `${UP_TO_VERSION}, build pass, lane pass, artifact hold`,
  },
  {
    title: 'the release cannot be had any more for the platform',
    agent: agentAt(),
    directives: [directiveFor({ absent: [PLATFORM] })],
    answer: 'hold not_available',
    trace: `${UP_TO_ARTIFACT}, availability hold`,
  },
  {
    title: 'the release cannot be had for another platform',
    agent: agentAt(),
    directives: [directiveFor({ absent: ['linux-arm64'] })],
    answer: 'stage new in step 0',
  },
  {
    title: 'no step is open',
    agent: agentAt(),
    directives: [directiveFor({ steps: [] })],
    answer: 'hold not_in_step',
    trace: `${UP_TO_ARTIFACT}, step hold`,
  },
  {
    title: 'the rank is beyond the opened step',
    agent: agentAt(),
    directives: [directiveFor({ steps: [stepIn({ threshold: 0, thresholdId: '' })] })],
    answer: 'hold not_in_step',
  },
  {
    title: 'inside a later step only',
    agent: agentAt(),
    directives: [directiveFor({ steps: [stepIn({ threshold: 0, thresholdId: '' }), stepIn({ step: 1 })] })],
    answer: 'stage new in step 1',
  },
  {
    title: 'inside by labels',
    agent: agentAt('1.0.0', { labels: { ring: 'canary', site: 'a' } }),
    directives: [directiveFor({ steps: [stepIn({ labels: { ring: 'canary' }, threshold: 0, thresholdId: '' })] })],
    answer: 'stage new in step 0',
  },
  {
    title: 'labels that do not fit',
    agent: agentAt('1.0.0', { labels: { ring: 'late' } }),
    directives: [directiveFor({ steps: [stepIn({ labels: { ring: 'canary' } })] })],
    answer: 'hold not_in_step',
  },
  {
    title: 'a member of a later step that was away when the earlier one opened gives its evidence in its own',
    agent: agentAt('1.0.0', { seats: [{ laneId: LANE, step: 1 }] }),
    directives: [directiveFor({ steps: [stepIn(), stepIn({ step: 1 })] })],
    answer: 'stage new in step 1',
  },
  {
    title: 'a seat in another lane',
    agent: agentAt('1.0.0', { seats: [{ laneId: 'other', step: 1 }] }),
    directives: [directiveFor({ steps: [stepIn(), stepIn({ step: 1 })] })],
    answer: 'stage new in step 0',
  },
  {
    title: 'pinned, under a brake as well',
    agent: agentAt('1.0.0', { pins: [pinned] }),
    directives: [directiveFor({}, braked)],
    answer: 'hold pinned',
    trace: 'assigned pass, pin hold',
  },
  {
    title: 'another product is pinned',
    agent: agentAt('1.0.0', { pins: [{ ...pinned, product: 'proxyd' }] }),
    directives: [directiveFor()],
    answer: 'stage new in step 0',
  },
  {
    title: 'pinned with an attempt that was not granted',
    agent: agentWith(staged, { pins: [pinned] }),
    directives: [directiveFor()],
    answer: `withdraw ${staged.id}`,
    trace: 'assigned pass, pin deny',
  },
  {
    title: 'pinned with an attempt that was granted: it runs to its end',
    agent: agentWith(granted, { pins: [pinned] }),
    directives: [directiveFor()],
    answer: `activate ${granted.id}`,
  },
  {
    title: 'all attempts spent',
    agent: agentAt('1.0.0', { spent: spent(2) }),
    directives: [directiveFor()],
    answer: 'hold quarantined',
    trace: `${UP_TO_ARTIFACT}, step pass, attempts hold`,
  },
  {
    title: 'one attempt left',
    agent: agentAt('1.0.0', { spent: spent(1) }),
    directives: [directiveFor()],
    answer: 'stage new in step 0',
  },
  {
    title: 'attempts spent in an earlier budget epoch',
    agent: agentAt('1.0.0', { spent: spent(2) }),
    directives: [directiveFor({ budgetEpoch: 1 })],
    answer: 'stage new in step 0',
  },
  {
    title: 'attempts spent in another lane of the release',
    agent: agentAt('1.0.0', { spent: [...spent(1), ...spent(1, 0, 'other')] }),
    directives: [directiveFor()],
    answer: 'hold quarantined',
  },
  {
    title: 'attempts spent in another lane of the release, before a person has retried that one',
    agent: agentAt('1.0.0', { spent: spent(2, 0, 'other') }),
    directives: [directiveFor({ retried: [{ laneId: 'other', budgetEpoch: 1 }] })],
    answer: 'stage new in step 0',
  },
  {
    title: 'attempts spent in another lane of the release, and this one is retried',
    agent: agentAt('1.0.0', { spent: spent(2, 0, 'other') }),
    directives: [directiveFor({ budgetEpoch: 1 })],
    answer: 'stage new in step 0',
  },
  {
    title: 'attempts spent at another release',
    agent: agentAt('1.0.0', { spent: spent(2).map((one) => ({ ...one, rolloutId: 'older' })) }),
    directives: [directiveFor()],
    answer: 'stage new in step 0',
  },
  {
    title: 'attempts spent, and a person has cleared them',
    agent: agentAt('1.0.0', { spent: spent(2, 0, LANE, 2) }),
    directives: [directiveFor()],
    answer: 'stage new in step 0',
  },
  {
    title: 'attempts spent after a person has cleared earlier ones',
    agent: agentAt('1.0.0', { spent: spent(4, 0, LANE, 2) }),
    directives: [directiveFor()],
    answer: 'hold quarantined',
  },
  // An attempt that goes on.
  {
    title: 'offered, and the agent has it: it is left to download',
    agent: agentWith(offered),
    directives: [directiveFor()],
    answer: 'none',
    trace: 'assigned pass, brake pass, lane pass, attempt deny',
  },
  {
    title: 'offered, and the agent does not have it yet: repeated',
    agent: agentWith(offered, { holding: [] }),
    directives: [directiveFor()],
    answer: 'stage attempt in step 0',
  },
  {
    title: 'staged: granted',
    agent: agentWith(staged),
    directives: [directiveFor()],
    answer: 'activate attempt',
    trace: 'assigned pass, brake pass, lane pass, attempt pass, window pass, budget pass, limit pass',
  },
  {
    title: 'staged, but the agent has lost it: staged again',
    agent: agentWith(staged, { holding: [] }),
    directives: [directiveFor()],
    answer: 'stage attempt in step 0',
  },
  {
    title: 'offered under a brake',
    agent: agentWith(offered),
    directives: [directiveFor({}, braked)],
    answer: 'hold braked',
  },
  {
    title: 'staged in a halted lane',
    agent: agentWith(staged),
    directives: [directiveFor({ hold: { reason: 'halted', detail: 'bad' } })],
    answer: 'hold halted',
    trace: 'assigned pass, brake pass, lane hold',
  },
  {
    title: 'offered for a lane that is not followed any more',
    agent: agentWith(attemptOf({ laneId: 'older' })),
    directives: [directiveFor()],
    answer: 'hold busy',
    trace: 'assigned pass, brake pass, attempt hold',
  },
  {
    title: 'staged, and somebody has updated the host meanwhile',
    agent: agentWith(staged, { products: [running('1.1.0')] }),
    directives: [directiveFor()],
    answer: 'withdraw attempt',
    trace: 'assigned pass, brake pass, version deny',
  },
  {
    title: 'offered, and the host is of another platform now',
    agent: agentWith(offered, { platform: 'linux-arm64' }),
    directives: [directiveFor()],
    answer: 'hold no_artifact',
  },
  {
    title: 'staged, and the release cannot be had any more',
    agent: agentWith(staged),
    directives: [directiveFor({ absent: [PLATFORM] })],
    answer: 'hold not_available',
  },
  {
    title: 'offered with a digest that the release does not have any more',
    agent: agentWith(attemptOf({ sha256: digestOf('else') }), { holding: [] }),
    directives: [directiveFor()],
    answer: 'hold no_artifact',
  },
  {
    title: 'offered in a step that is not there',
    agent: agentWith(attemptOf({ step: 4 })),
    directives: [directiveFor()],
    answer: 'hold not_in_step',
  },
  // Grants.
  {
    title: 'strict: one at risk of one',
    agent: agentWith(staged),
    directives: [directiveFor({ steps: [stepIn({ counters: counts({ hot: 1 }) })] })],
    answer: 'hold budget',
    trace: 'assigned pass, brake pass, lane pass, attempt pass, window pass, budget hold',
  },
  {
    title: 'strict: one bad and one at risk of two',
    agent: agentWith(staged),
    directives: [directiveFor({ steps: [stepIn({ budget: 2, counters: counts({ hot: 1, bad: 1 }) })] })],
    answer: 'hold budget',
  },
  {
    title: 'strict: one at risk of two',
    agent: agentWith(staged),
    directives: [directiveFor({ steps: [stepIn({ budget: 2, counters: counts({ hot: 1 }) })] })],
    answer: 'activate attempt',
  },
  {
    title: 'loose: many at risk',
    agent: agentWith(staged),
    directives: [directiveFor({ steps: [stepIn({ strict: false, counters: counts({ hot: 9 }) })] })],
    answer: 'activate attempt',
  },
  {
    title: 'loose: the budget is spent',
    agent: agentWith(staged),
    directives: [directiveFor({ steps: [stepIn({ strict: false, counters: counts({ bad: 1 }) })] })],
    answer: 'hold budget',
  },
  {
    title: 'the limit of the lane, over all its steps',
    agent: agentWith(staged),
    directives: [
      directiveFor({
        maxHot: 3,
        steps: [stepIn({ budget: 9 }), stepIn({ step: 1, budget: 9, counters: counts({ hot: 3 }) })],
      }),
    ],
    answer: 'hold at_limit',
    trace: 'assigned pass, brake pass, lane pass, attempt pass, window pass, budget pass, limit hold',
  },
  {
    title: 'the budget is asked before the limit',
    agent: agentWith(staged),
    directives: [directiveFor({ maxHot: 0, steps: [stepIn({ counters: counts({ bad: 1 }) })] })],
    answer: 'hold budget',
  },
  // Hot.
  ...[granted, activating].map((attempt) => ({
    title: `${attempt.state}: the grant is repeated`,
    agent: agentWith(attempt),
    directives: [directiveFor({ steps: [stepIn({ counters: counts({ hot: 1 }) })] })],
    answer: 'activate attempt',
    trace: 'attempt pass',
  })),
  {
    title: 'proving: the agent ends it by itself',
    agent: agentWith(proving),
    directives: [directiveFor()],
    answer: 'none',
    trace: 'attempt deny',
  },
  {
    title: 'granted, but the agent does not hold it',
    agent: agentWith(granted, { holding: [] }),
    directives: [directiveFor()],
    answer: 'none',
  },
  {
    title: 'granted, then braked: the grant is not repeated',
    agent: agentWith(granted),
    directives: [directiveFor({}, braked)],
    answer: 'hold braked',
    trace: 'brake hold',
  },
  {
    title: 'granted, then halted: the grant is not repeated',
    agent: agentWith(granted),
    directives: [directiveFor({ hold: { reason: 'halted', detail: 'bad' } })],
    answer: 'hold halted',
  },
  {
    title: 'granted in a lane that gives way: it comes to its end',
    agent: agentWith(granted),
    directives: [directiveFor({ hold: { reason: 'not_in_step', detail: 'the lane gives way to 1.2.0' } })],
    answer: 'activate attempt',
  },
  {
    title: 'granted, and somebody has updated the host meanwhile',
    agent: agentWith(granted, { products: [running('1.2.0')] }),
    directives: [directiveFor()],
    answer: 'none',
    trace: 'version deny',
  },
  {
    title: 'granted in a lane that is not followed any more',
    agent: agentWith({ ...granted, laneId: 'older' }),
    directives: [directiveFor()],
    answer: 'none',
  },
  {
    title: 'hot, and the config does not name the product any more',
    agent: agentWith(granted),
    directives: [],
    answer: 'none',
  },
  {
    title: 'hot with another product, which comes first in the report: that one is answered',
    agent: agentWith(
      { ...granted, product: 'proxyd', laneId: 'other' },
      { products: [running('2.0.0', 'p', 'proxyd'), running('1.0.0')] },
    ),
    directives: [directiveFor()],
    answer: 'none',
  },
  {
    title: 'offered for another product: this one goes on',
    agent: agentWith(attemptOf({ product: 'proxyd', laneId: 'other' })),
    directives: [directiveFor()],
    answer: 'stage new in step 0',
  },
  // Ended here, still held there.
  {
    title: 'an attempt that ended here must be dropped, even under a brake',
    agent: agentAt('1.0.0', { ended: [attemptOf({ state: 'withdrawn' })], holding: ['attempt'] }),
    directives: [directiveFor({}, braked)],
    answer: 'withdraw attempt',
    trace: 'attempt deny',
  },
  {
    title: 'no wave for its region: told so where nothing else comes there',
    agent: agentAt('1.0.0'),
    directives: [directiveFor(null, { leftOut: { version: null, detail: 'no policy of agentd has eu in a wave' } })],
    answer: 'hold not_assigned',
    trace: 'assigned pass, brake pass, wave hold',
  },
  {
    title: 'no wave for its region, and a lane from before goes on',
    agent: agentAt('1.0.0'),
    directives: [directiveFor({}, { leftOut: { version: null, detail: 'no policy of agentd has eu in a wave' } })],
    answer: 'stage new in step 0',
  },
  {
    title: 'a newer release goes past its region: the one that comes there first',
    agent: agentAt('1.0.0'),
    directives: [directiveFor({}, { leftOut: { version: '1.1.1', detail: '1.1.1 goes elsewhere' } })],
    answer: 'stage new in step 0',
  },
  {
    title: 'a newer release goes past its region, and it runs what came there',
    agent: agentAt('1.1.0'),
    directives: [directiveFor({}, { leftOut: { version: '1.1.1', detail: '1.1.1 goes elsewhere' } })],
    answer: 'hold not_assigned',
  },
  {
    title: 'what went past its region runs there already',
    agent: agentAt('1.1.1'),
    directives: [directiveFor(null, { leftOut: { version: '1.1.1', detail: '1.1.1 goes elsewhere' } })],
    answer: 'none',
  },
  {
    title: 'what another product must drop waits until the hot attempt has ended',
    agent: agentWith(granted, {
      products: [running('2.0.0', 'p', 'proxyd'), running('1.0.0')],
      ended: [attemptOf({ id: 'old', product: 'proxyd', state: 'withdrawn' })],
    }),
    directives: [directiveFor()],
    answer: 'activate attempt',
  },
];

describe('decide', () => {
  for (const { title, agent, directives, answer, trace } of ROWS) {
    test(`${title}: ${answer}`, () => {
      const decision = decide(deepFreeze(agent), deepFreeze(directives), START);
      assert.equal(shown(decision.answer), answer);
      if (trace === undefined) return;
      assert.equal(decision.trace.map(({ rule, result }) => `${rule} ${result}`).join(', '), trace);
      for (const { sentence } of decision.trace) assert.match(sentence, /\S/);
    });
  }

  test('of several products, first what moves, then a hold, then none', () => {
    const proxyd = (lane: Partial<LaneDirective> | null) => directiveFor(lane, { product: 'proxyd' });
    const agent = agentAt('1.1.0', { products: [running('1.1.0'), running('1.0.0', digestOf('1.0.0'), 'proxyd')] });
    const answers = (directives: Directive[]) => {
      const { product, answer } = decide(agent, directives, START);
      return `${product} ${shown(answer)}`;
    };
    assert.equal(answers([directiveFor(), proxyd({ laneId: 'p' })]), 'proxyd stage new in step 0');
    assert.equal(answers([directiveFor(), proxyd({ steps: [] })]), 'proxyd hold not_in_step');
    assert.equal(answers([directiveFor(), proxyd(null)]), 'agentd none');
  });

  test('while one product is hot, explain shows the others as busy', () => {
    const agent = agentWith(
      { ...granted, product: 'proxyd' },
      { products: [running('1.0.0'), running('2.0.0', 'p', 'proxyd')] },
    );
    const [agentd] = decideAll(agent, [directiveFor()], START);
    assert.equal(agentd?.answer.kind === 'hold' && agentd.answer.reason, 'busy');
    assert.equal(decide(agent, [directiveFor()], START).product, 'proxyd');
  });
});

const anyVersion = fc.constantFrom('1.0.0', '1.0.5', '1.1.0-rc.1', '1.1.0', '1.2.0', 'nightly');

const anyLane = fc.record({
  laneId: fc.constantFrom(LANE, 'other'),
  version: fc.constantFrom('1.0.5', '1.1.0-rc.1', '1.1.0'),
  hold: fc.constantFrom(null, null, null, { reason: 'halted' as const, detail: 'bad' }),
  maxHot: fc.constantFrom(0, 2, 10),
  absent: fc.constantFrom<string[]>([], [], [PLATFORM]),
  steps: fc.array(
    fc.record({ hot: fc.nat(3), bad: fc.nat(3), budget: fc.integer({ min: 1, max: 4 }), strict: fc.boolean() }),
    { maxLength: 2 },
  ),
});

const anyDirective = fc
  .record({
    product: fc.constantFrom('agentd', 'agentd', 'proxyd'),
    region: fc.constantFrom('eu', 'eu', 'us'),
    braked: fc.integer({ min: 0, max: 4 }),
    lane: fc.option(anyLane, { freq: 8 }),
  })
  .map(({ product, region, braked: brake, lane }) => {
    const steps = lane?.steps.map(({ hot, bad, budget, strict }, step) =>
      stepIn({ step, budget, strict, counters: counts({ hot, bad }) }),
    );
    return directiveFor(lane === null ? null : { ...lane, steps: steps ?? [] }, {
      product,
      region,
      ...(brake === 0 ? braked : {}),
    });
  });

const anyAgent = fc
  .record({
    versions: fc.array(anyVersion, { minLength: 1, maxLength: 2 }),
    region: fc.constantFrom('eu', 'eu', 'eu', 'mars'),
    attempts: fc.array(
      fc.record({
        state: fc.constantFrom(...ATTEMPT_STATES),
        laneId: fc.constantFrom(LANE, LANE, 'other'),
        held: fc.boolean(),
      }),
      { maxLength: 2 },
    ),
    spent: fc.nat(3),
  })
  .map(({ versions, region, attempts, spent: count }) => {
    const products = ['agentd', 'proxyd'];
    const own = attempts.map(({ state, laneId }, index) =>
      attemptOf({
        id: `t${index}`,
        product: products[index] as string,
        state,
        laneId,
        grantedAt: isHot(state) ? 1 : null,
      }),
    );
    const held = own.filter((_, index) => attempts[index]?.held === true);
    return agentAt('1.0.0', {
      region,
      products: versions.map((version, index) => running(version, digestOf(version), products[index] as string)),
      live: own.filter(({ state }) => isLive(state)),
      holding: held.map(({ id }) => id),
      ended: held.filter(({ state }) => !isLive(state)),
      spent: spent(count),
    });
  });

const anyCase = fc.tuple(
  anyAgent,
  fc.uniqueArray(anyDirective, { selector: (one) => `${one.product} ${one.region}`, maxLength: 4 }),
);

test('decide: same input, same output, byte for byte, and the input is not changed', () => {
  fc.assert(
    fc.property(anyCase, ([agent, directives]) => {
      const copy = structuredClone({ agent, directives });
      const once = JSON.stringify(decide(deepFreeze(agent), deepFreeze(directives), START));
      assert.equal(JSON.stringify(decide(copy.agent, copy.directives, START)), once);
    }),
  );
});

test('decide never moves an agent that is not assigned, braked, at the target or above it, or over the budget', () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(anyCase, ([agent, directives]) => {
      for (const { product, answer } of decideAll(agent, directives, START)) {
        seen.add(answer.kind);
        if (answer.kind !== 'stage' && answer.kind !== 'activate') continue;
        const directive = directives.find((one) => one.product === product && one.region === agent.region);
        assert(directive !== undefined, 'region and product are known');
        assert.equal(directive.brake, null, 'no brake');
        assert.equal(answer.lane, directive.lane);
        const version = agent.products.find((one) => one.product === product)?.version as string;
        const order = ['1.0.0', '1.0.5', '1.1.0-rc.1', '1.1.0', '1.2.0'];
        assert(order.includes(version) && order.indexOf(version) < order.indexOf(answer.lane.version), 'goes up');
        assert.equal(answer.lane.hold, null, 'the lane is going');
        const hot = agent.live.find(({ state }) => isHot(state));
        if (hot !== undefined) assert.equal(answer.attempt?.id, hot.id, 'one hot attempt per agent');
        if (answer.kind !== 'activate' || isHot(answer.attempt.state)) continue;
        const steps = answer.lane.steps;
        const step = steps.find((one) => one.step === answer.attempt.step) as OpenedStep;
        const { bad, hot: atRisk } = step.counters;
        assert((step.strict ? bad + atRisk : bad) < step.budget, 'inside the budget');
        assert(steps.reduce((sum, one) => sum + one.counters.hot, 0) < answer.lane.maxHot, 'inside the limit');
        assert.deepEqual([answer.lane.absent, answer.lane.unknown], [[], []], 'can be had');
      }
    }),
    { numRuns: 3000 },
  );
  assert.deepEqual([...seen].sort(), ['activate', 'hold', 'none', 'stage', 'withdraw']);
});
