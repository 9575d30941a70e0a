// Rehearsals and back-tests for people: the rules and the fleet of the moment, put into a model that a thread plays.
import { assumptionsOfBacktest, assumptionsOfRehearsal } from '../domain/rehearse/assumptions.ts';
import type { Backtest, BacktestQuestion } from '../domain/rehearse/backtest.ts';
import type { FleetGroup } from '../domain/rehearse/model.ts';
import type { Assumed, Surroundings } from '../domain/rehearse/question.ts';
import type { Rehearsal, RehearsalQuestion } from '../domain/rehearse/rehearse.ts';
import type { Release } from '../domain/release.ts';
import type { BacktestOptions, ModelOptions, RehearseOptions } from '../domain/requests.ts';
import { requirementsFor, unmetOf } from '../domain/requirement.ts';
import type { ProductRules } from '../domain/snapshot.ts';
import { schemeOf } from '../domain/version/schemes.ts';
import { AppError } from '../errors.ts';
import { listBaselines, listBrakes, listVetoes } from '../store/controls.ts';
import type { Database } from '../store/database.ts';
import { listReleases } from '../store/releases.ts';
import { listRollouts } from '../store/rollouts.ts';
import type { Clock } from './clock.ts';
import { type CountedFleet, fleetGroups } from './fleet-groups.ts';
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
  const release = releaseNamed(await listReleases(database.db, product.name), product, options.version);
  const version = release?.version ?? parsed(product, options.version);
  const surroundings = await surroundingsOf(deps, product);
  const { groups: fleet, leftOut } =
    options.fleet === undefined
      ? await fleetNow(deps, product, version)
      : { groups: givenFleet(deps, options.fleet), leftOut: [] };
  const all = fleet.reduce((sum, group) => sum + group.agents, 0);
  if (all > MAX_MODEL_AGENTS) throw tooMany(all);
  const known = release?.artifacts.map(({ platform }) => platform) ?? [];
  const question: RehearsalQuestion = {
    ...surroundings,
    ...assumed(deps, options),
    version,
    release,
    platforms: known.length > 0 ? known : [...new Set(fleet.map((group) => group.platform))].sort(),
    fleet,
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

/** Without those that the release passes over, by the facts and pins that are known. */
async function fleetNow(
  { memory, roster, observed }: RehearseDeps,
  product: ProductRules,
  version: string,
): Promise<CountedFleet> {
  const scheme = schemeOf(product.scheme);
  const requirements = requirementsFor(product.requirements, product.scheme, version);
  const isBelow = (running: string) => scheme.parse(running) !== undefined && scheme.compare(running, version) < 0;
  const { label } = memory.surroundings.limits.site ?? { label: null };
  return await fleetGroups(roster, {
    product,
    regions: memory.regions,
    observedMs: observed.now(),
    labels: label === null ? [] : [label],
    objection({ facts, pinned }, running) {
      if (!isBelow(running)) return undefined;
      if (pinned.includes(product.name)) return 'pinned';
      return unmetOf(requirements, facts);
    },
  });
}

/** Who is away, `offline` says. */
function givenFleet({ memory }: RehearseDeps, fleet: NonNullable<RehearseOptions['fleet']>): FleetGroup[] {
  const stranger = fleet.find((group) => !memory.regions.includes(group.region));
  if (stranger !== undefined) {
    throw new AppError('not_found', `the config has no region ${stranger.region}`, {
      where: 'body/fleet',
      hint: `There are: ${memory.regions.join(', ')}.`,
    });
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
