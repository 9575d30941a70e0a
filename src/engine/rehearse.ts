// Rehearsals and back-tests for people: the rules and the fleet of the moment, put into a model that a thread plays.
import { buildsOf } from '../domain/directives.ts';
import { sentenceOf } from '../domain/holds.ts';
import { unhealthyUnder } from '../domain/policy.ts';
import { assumptionsOfBacktest, assumptionsOfRehearsal } from '../domain/rehearse/assumptions.ts';
import type { Backtest, BacktestQuestion } from '../domain/rehearse/backtest.ts';
import type { FleetGroup, PassedOver } from '../domain/rehearse/model.ts';
import { type Assumed, modelRelease, policiesOf, type Surroundings } from '../domain/rehearse/question.ts';
import type { Rehearsal, RehearsalQuestion } from '../domain/rehearse/rehearse.ts';
import type { Release } from '../domain/release.ts';
import type { BacktestOptions, ModelOptions, RehearseOptions } from '../domain/requests.ts';
import type { ProductRules } from '../domain/snapshot.ts';
import { schemeOf } from '../domain/version/schemes.ts';
import { floorsBelow, type Host, hostObjection, stopAt, type Way } from '../domain/way.ts';
import { AppError } from '../errors.ts';
import { listBaselines, listBrakes, listVetoes } from '../store/controls.ts';
import type { Database } from '../store/database.ts';
import { listReleases } from '../store/releases.ts';
import { listRollouts } from '../store/rollouts.ts';
import type { Clock } from './clock.ts';
import { type CountedFleet, fleetGroups, mostFirst } from './fleet-groups.ts';
import type { Memory } from './memory.ts';
import type { ModelThread } from './model-thread.ts';
import type { ObservedTime } from './observed-time.ts';
import type { Roster } from './roster.ts';

export interface RehearseDeps {
  database: Database;
  memory: Memory;
  roster: Roster;
  clock: Clock;
  observed: ObservedTime;
  thread: ModelThread;
  pollMs: number;
}

export interface Rehearsed {
  version: string;
  /** How the release stands; null: not published. */
  release: Release['state'] | null;
  rehearsal: Rehearsal;
  assumptions: string[];
}

export interface Backtested {
  backtest: Backtest;
  assumptions: string[];
}

export const MAX_MODEL_AGENTS = 1_000_000;
const DEFAULT_FAILURE_RATE = 0.01;
const DEFAULT_HORIZON_MS = 90 * 86_400_000;
const DEFAULT_AGENTS_PER_REGION = 20;

/** Throws `not_found`, `unknown_version`, `bad_request`, `overloaded`, `timeout`. */
export async function rehearseRelease(deps: RehearseDeps, options: RehearseOptions): Promise<Rehearsed> {
  const { database, clock, thread } = deps;
  const product = productNamed(deps.memory.rules, options.product);
  const releases = await listReleases(database.db, product.name);
  const release = releaseNamed(releases, product, options.version);
  const version = release?.version ?? parsed(product, options.version);
  const surroundings = await surroundingsOf(deps, product);
  const floors = floorsOnTheWay(product, version, releases);
  const way = wayOf({ product, version, releases, factsKnown: options.fleet === undefined });
  const {
    groups: fleet,
    passedOver,
    leftOut,
  } = options.fleet === undefined
    ? await fleetNow(deps, product, way)
    : withoutPath(givenFleet(deps, product, options.fleet), way);
  const all = fleet.reduce((sum, group) => sum + group.agents, 0);
  if (all > MAX_MODEL_AGENTS) throw tooMany(all);
  const known = release?.artifacts.map(({ platform }) => platform) ?? [];
  const question: RehearsalQuestion = {
    ...surroundings,
    ...assumed(deps, options),
    version,
    release,
    floors,
    platforms: known.length > 0 ? known : [...new Set(fleet.map((group) => group.platform))].sort(),
    fleet,
    passedOver,
    offline: options.offline ?? null,
    failureRate: options.failureRate ?? DEFAULT_FAILURE_RATE,
    now: clock.now(),
    horizonMs: options.horizonMs ?? DEFAULT_HORIZON_MS,
  };
  const going = await listRollouts(database.db, { product: product.name, liveOnly: true });
  return {
    version,
    release: release?.state ?? null,
    rehearsal: await thread.rehearse(question),
    assumptions: assumptionsOfRehearsal(question, {
      goingOut: going.map((one) => one.version).filter((one) => one !== version),
      leftOut,
      factsKnown: options.fleet === undefined,
    }),
  };
}

/** Throws `not_found`, `bad_request`, `overloaded`, `timeout`. */
export async function backtestPolicy(deps: RehearseDeps, options: BacktestOptions): Promise<Backtested> {
  const product = productNamed(deps.memory.rules, options.product);
  const now = deps.clock.now();
  if (options.since >= now) {
    throw new AppError('bad_request', 'the back-test would begin in the future', { where: 'body/since' });
  }
  const question: BacktestQuestion = {
    ...(await surroundingsOf(deps, product)),
    ...assumed(deps, options),
    releases: await listReleases(deps.database.db, product.name),
    since: options.since,
    now,
    agentsPerRegion: options.agentsPerRegion ?? DEFAULT_AGENTS_PER_REGION,
  };
  return { backtest: await deps.thread.backtest(question), assumptions: assumptionsOfBacktest(question) };
}

function assumed({ pollMs }: RehearseDeps, options: ModelOptions): Assumed {
  const { approveAfterMs, availabilityDelayMs, stageMs, activateMs, seed } = options;
  return {
    seed: seed ?? 1,
    approveAfterMs: approveAfterMs === undefined ? 0 : approveAfterMs,
    availabilityDelayMs: availabilityDelayMs ?? 0,
    pollMs,
    stageMs: stageMs ?? null,
    activateMs: activateMs ?? null,
  };
}

async function surroundingsOf(
  { database: { db }, memory }: RehearseDeps,
  product: ProductRules,
): Promise<Surroundings> {
  const { calendars, freezes, limits } = memory.surroundings;
  return {
    product,
    regions: [...memory.regions],
    calendars: [...calendars],
    freezes: [...freezes],
    limits,
    brakes: await listBrakes(db),
    vetoes: await listVetoes(db),
    baselines: (await listBaselines(db)).filter((one) => one.product === product.name),
  };
}

/** What agents below must stop at, ascending; one that is not published has no artifacts. */
function floorsOnTheWay(
  { name, scheme, floors }: ProductRules,
  version: string,
  releases: readonly Release[],
): Release[] {
  const { compare } = schemeOf(scheme);
  return floors
    .filter((floor) => compare(floor.version, version) < 0)
    .map((floor) => {
      const unpublished = { id: `unpublished ${floor.version}`, product: name, version: floor.version, publishedAt: 0 };
      return releases.find((one) => one.version === floor.version) ?? modelRelease(unpublished, scheme, []);
    });
}

interface WayInput {
  product: ProductRules;
  version: string;
  releases: readonly Release[];
  factsKnown: boolean;
}

/** As the planner asks hosts, but for the lowest version to come from, which the model knows itself. */
function wayOf({ product, version, releases, factsKnown }: WayInput): Way {
  const rules = factsKnown ? product : { ...product, requirements: [] };
  const floors = floorsBelow(rules, version, (floor) => releases.find((one) => one.version === floor));
  return {
    scheme: product.scheme,
    builds: buildsOf(releases, product.name),
    from: null,
    unknownBuilds: factsKnown ? product.unknownBuilds : 'update',
    // Which policy it will be, the model finds; most products have the same in all of them.
    unhealthy: policiesOf({ product }).every((policy) => unhealthyUnder(policy) === 'hold') ? 'hold' : 'update',
    // Stops that are not published are taken as published for everybody.
    stops: [...floors.filter(({ artifacts }) => artifacts.length > 0), stopAt(rules, version, undefined, undefined)],
  };
}

function isOnWay({ scheme: name, stops }: Way, version: string): boolean {
  const [scheme, target] = [schemeOf(name), stops.at(-1)];
  return target !== undefined && scheme.parse(version) !== undefined && scheme.compare(version, target.version) < 0;
}

/** Why the host is not brought to the end of the way; undefined: it is, or has nothing to do there. */
function objectionOf(way: Way, host: Host): string | undefined {
  const objection = isOnWay(way, host.version) ? hostObjection(way, host)?.objection : null;
  if (objection === undefined || objection === null) return undefined;
  // Of these each has words of its own, and it is how many they are that matters.
  const isOwn = objection.reason === 'unhealthy' || objection.reason === 'unknown_build';
  return isOwn ? sentenceOf(objection.reason) : objection.detail;
}

/** Without those that the release passes over, by what is known of them. */
async function fleetNow(
  { memory, roster, observed }: RehearseDeps,
  product: ProductRules,
  way: Way,
): Promise<CountedFleet> {
  const { label } = memory.surroundings.limits.site ?? { label: null };
  return await fleetGroups(roster, {
    product,
    regions: memory.regions,
    observedMs: observed.now(),
    labels: label === null ? [] : [label],
    objection({ products, platform, facts, health, pinned }) {
      const running = products.find((one) => one.product === product.name);
      if (running === undefined) return undefined;
      const { version, digest } = running;
      if (pinned.includes(product.name)) return isOnWay(way, version) ? 'pinned' : undefined;
      return objectionOf(way, { version, digest, platform, facts, health, healthReason: null });
    },
  });
}

/** Of agents that are only described no more is known than their version and platform. */
function withoutPath(groups: FleetGroup[], way: Way): CountedFleet {
  const leftOut = new Map<string, number>();
  const passedOver: PassedOver[] = [];
  const left = groups.filter(({ region, labels, version, platform, agents }) => {
    const why = objectionOf(way, { version, platform, digest: '', facts: null, health: 'ok', healthReason: null });
    if (why === undefined) return true;
    leftOut.set(why, (leftOut.get(why) ?? 0) + agents);
    passedOver.push({ region, labels, agents });
    return false;
  });
  return { groups: left, passedOver, leftOut: mostFirst(leftOut) };
}

/** Who is away, `offline` says. */
function givenFleet(
  { memory }: RehearseDeps,
  product: ProductRules,
  fleet: NonNullable<RehearseOptions['fleet']>,
): FleetGroup[] {
  const stranger = fleet.find((group) => !memory.regions.includes(group.region));
  if (stranger !== undefined) {
    throw new AppError('not_found', `the config has no region ${stranger.region}`, {
      where: 'body/fleet',
      hint: `There are: ${memory.regions.join(', ')}.`,
    });
  }
  const scheme = schemeOf(product.scheme);
  const slip = fleet.findIndex(({ version }) => scheme.parse(version) === undefined);
  if (slip !== -1) {
    throw new AppError(
      'bad_request',
      `agents[${slip}] runs “${fleet[slip]?.version}”, which is no version of ${product.scheme}`,
      {
        where: `body/fleet/${slip}/version`,
        hint: 'Write the version as the agents report it, e.g. 1.4.0.',
      },
    );
  }
  return fleet.map((group) => ({ ...group, present: group.agents }));
}

function tooMany(agents: number): AppError {
  return new AppError('bad_request', `${agents} agents are more than a rehearsal plays`, {
    where: 'body/fleet',
    hint: `Give at most ${MAX_MODEL_AGENTS}, as groups in --fleet FILE.`,
  });
}

function productNamed(products: readonly ProductRules[], name: string): ProductRules {
  const product = products.find((one) => one.name === name);
  if (product !== undefined) return product;
  throw new AppError('not_found', `the config has no product ${name}`, {
    where: 'body/product',
    hint: `There are: ${products.map((one) => one.name).join(', ')}.`,
  });
}

function releaseNamed(releases: readonly Release[], { scheme: name }: ProductRules, version: string): Release | null {
  const scheme = schemeOf(name);
  const known = releases.filter((one) => scheme.parse(one.version) !== undefined);
  return known.find((one) => one.version === version) ?? known.find((one) => one.tag === version) ?? null;
}

function parsed({ name, scheme }: ProductRules, version: string): string {
  const found = schemeOf(scheme).parse(version);
  if (found !== undefined) return found.text;
  throw new AppError('unknown_version', `${name} has no release ${version}, and it is no version of ${scheme}`, {
    where: 'body/version',
  });
}
