// A back-test: the releases that there really were, one after another on the virtual clock, under the policy of today.
import { acceptedBy, isInChannel } from '../choose.ts';
import { vetoFor } from '../directives.ts';
import { type Release, troubleOf } from '../release.ts';
import { schemeOf } from '../version/schemes.ts';
import { behindOf, type RegionBehind } from './behind.ts';
import type { FleetGroup, ModelInput } from './model.ts';
import { type Assumed, modelProduct, modelRelease, paceOf, policiesOf, type Surroundings } from './question.ts';
import type { RolloutRecord } from './record.ts';
import { type StoppedBy, simulate } from './simulate.ts';

export interface BacktestQuestion extends Assumed, Surroundings {
  /** All that are known of the product, in whatever state. */
  releases: Release[];
  /** Milliseconds since the epoch. */
  since: number;
  now: number;
  agentsPerRegion: number;
}

/** How a rollout came out; `starved`: superseded everywhere before it began anywhere; `going`: not over at the end. */
export type Outcome = 'completed' | 'superseded' | 'starved' | 'halted' | 'going';

export interface BacktestRollout {
  version: string;
  policy: string;
  publishedAt: number;
  createdAt: number;
  endedAt: number | null;
  outcome: Outcome;
  /** Regions by how it ended there. */
  regions: { completed: number; superseded: number; starved: number; going: number };
  /** Time that its lanes waited for a person, added up. */
  approvalMs: number;
  /** Lanes that wait for a person at the end. */
  waitingForApproval: number;
}

export interface ReleaseLine {
  /** The first two numbers of its versions, e.g. 9.5. */
  line: string;
  releases: number;
  rollouts: number;
  completed: number;
  superseded: number;
  starved: number;
  going: number;
}

export interface Backtest {
  from: number;
  to: number;
  stoppedBy: StoppedBy;
  /** What every agent ran at first; null: there was nothing yet, and nothing came. */
  first: string | null;
  /** Published in this time, in the product's channel and range, and not withdrawn since. */
  releases: number;
  regions: RegionBehind[];
  rollouts: BacktestRollout[];
  lines: ReleaseLine[];
}

const PLATFORM = 'any-any';

export function backtest(question: BacktestQuestion): Backtest {
  const { product, since, now, availabilityDelayMs } = question;
  const scheme = schemeOf(product.scheme);
  const candidates = candidatesOf(question);
  const before = candidates.filter((one) => one.publishedAt + availabilityDelayMs <= since);
  const first = before.toSorted((a, b) => scheme.compare(a.version, b.version)).at(-1) ?? candidates[0];
  if (first === undefined) {
    return { from: since, to: now, stoppedBy: 'time', first: null, releases: 0, regions: [], rollouts: [], lines: [] };
  }
  const from = Math.max(since, first.publishedAt);
  const later = candidates.filter(
    (one) => scheme.compare(one.version, first.version) > 0 && one.publishedAt + availabilityDelayMs > from,
  );
  const { rollouts, stoppedBy } = simulate(modelOf(question, first, later, from));
  const published = new Map(later.map((one) => [one.version, one.publishedAt]));
  const told = rollouts.map((rollout) => tell(rollout, published.get(rollout.version) ?? rollout.createdAt, now));
  return {
    from,
    to: now,
    stoppedBy,
    first: first.version,
    releases: later.length,
    regions: behindOf({
      regions: question.regions,
      scheme,
      first: first.version,
      releases: later,
      rollouts,
      from,
      to: now,
    }),
    rollouts: told,
    lines: linesOf(later, told),
  };
}

/** Those that could have been the choice, oldest first. What was withdrawn or vetoed since counts as never there. */
function candidatesOf({ product, releases, vetoes, now, availabilityDelayMs }: BacktestQuestion): Release[] {
  const scheme = schemeOf(product.scheme);
  const range = acceptedBy(product);
  return releases
    .filter((one) => {
      if (scheme.parse(one.version) === undefined || !isInChannel(one, product.prereleases)) return false;
      if (range?.includes(one.version) === false || one.publishedAt + availabilityDelayMs > now) return false;
      return troubleOf(one) === undefined && vetoFor(vetoes, product.name, one.version) === undefined;
    })
    .sort((a, b) => a.publishedAt - b.publishedAt || scheme.compare(a.version, b.version));
}

function modelOf(question: BacktestQuestion, first: Release, later: readonly Release[], from: number): ModelInput {
  const { product, regions, availabilityDelayMs } = question;
  const visible = (release: Release) => ({
    release: modelRelease(release, product.scheme, [PLATFORM]),
    visibleAt: release.publishedAt + availabilityDelayMs,
  });
  return {
    product: modelProduct(product),
    regions,
    calendars: question.calendars,
    freezes: question.freezes,
    limits: question.limits,
    brakes: [],
    vetoes: [],
    baselines: regions.map((region) => ({
      product: product.name,
      region,
      version: first.version,
      releaseId: first.id,
      at: from,
    })),
    floors: [],
    passedOver: [],
    releases: [{ release: modelRelease(first, product.scheme, []), visibleAt: from }, ...later.map(visible)],
    fleet: regions.flatMap((region) => groupsIn(question, region, first.version)),
    startMs: from,
    endMs: question.now,
    seed: question.seed,
    failureRate: 0,
    approveAfterMs: question.approveAfterMs,
    pace: paceOf(product.policy, question),
    until: 'end',
  };
}

/** Enough of them that no step is empty; one for the labels of each step that goes by labels. */
function groupsIn(question: BacktestQuestion, region: string, version: string): FleetGroup[] {
  const labels = policiesOf(question).flatMap((policy) => policy.steps.map((step) => step.labels));
  const distinct = [...new Map(labels.map((one) => [JSON.stringify(one), one])).values()].filter((one) => one !== null);
  const like = (wanted: Record<string, string>, agents: number): FleetGroup => ({
    region,
    platform: PLATFORM,
    version,
    labels: wanted,
    agents,
    present: agents,
  });
  const rest = Math.max(1, question.agentsPerRegion - distinct.length);
  return [...distinct.map((wanted) => like(wanted, 1)), like({}, rest)];
}

/** `to`: the end of the back-test. */
function tell(rollout: RolloutRecord, publishedAt: number, to: number): BacktestRollout {
  const { version, policy, createdAt, endedAt, lanes } = rollout;
  const ends = lanes.map(({ state, steps }) => {
    if (state === 'completed' || state === 'halted') return state;
    if (state === 'superseded') return steps.length === 0 ? 'starved' : 'superseded';
    return 'going';
  });
  const number = (end: (typeof ends)[number]) => ends.filter((one) => one === end).length;
  const approvals = lanes.flatMap(({ holds }) => holds.filter((hold) => hold.reason === 'needs_approval'));
  return {
    version,
    policy,
    publishedAt,
    createdAt,
    endedAt,
    outcome: outcomeOf(ends),
    regions: {
      completed: number('completed'),
      superseded: number('superseded'),
      starved: number('starved'),
      going: number('going') + number('halted'),
    },
    approvalMs: approvals.reduce((sum, one) => sum + ((one.to ?? to) - one.from), 0),
    waitingForApproval: lanes.filter(({ state }) => state === 'approval').length,
  };
}

function outcomeOf(ends: readonly (Outcome | 'starved')[]): Outcome {
  if (ends.includes('halted')) return 'halted';
  if (ends.includes('going')) return 'going';
  if (ends.every((one) => one === 'completed')) return 'completed';
  return ends.every((one) => one === 'starved') ? 'starved' : 'superseded';
}

function linesOf(releases: readonly Release[], rollouts: readonly BacktestRollout[]): ReleaseLine[] {
  const lineOf = (version: string) => /^\d+(?:\.\d+)?/.exec(version)?.[0] ?? version;
  const began = Map.groupBy(rollouts, ({ version }) => lineOf(version));
  return [...Map.groupBy(releases, ({ version }) => lineOf(version))].map(([line, all]) => {
    const here = began.get(line) ?? [];
    const number = (outcome: Outcome) => here.filter((one) => one.outcome === outcome).length;
    return {
      line,
      releases: all.length,
      rollouts: here.length,
      completed: number('completed'),
      superseded: number('superseded'),
      starved: number('starved'),
      going: number('going') + number('halted'),
    };
  });
}
