// The prober: one round asks the mirrors what is due, then writes everything that follows from it in one transaction.
import type { Logger } from 'pino';
import type { Availability } from '../domain/availability.ts';
import type { MirroredRegion } from '../domain/mirror.ts';
import { type Database, type Tx, transaction } from '../store/database.ts';
import { listAvailability, listReleases, saveAvailability } from '../store/releases.ts';
import { type HeadAnswer, type HeadClient, openHeadClient } from './head-client.ts';
import {
  type Answered,
  dueTargets,
  keyOf,
  type ProbedProduct,
  readAnswer,
  rowsByKey,
  stillPublished,
  type Target,
  targetsOf,
  unaskable,
  unfounded,
  type Wanted,
  writesOf,
} from './probe-plan.ts';

export interface ProberDeps {
  database: Database;
  products: readonly ProbedProduct[];
  /** Those without a mirror are left to the `release` probe. */
  regions: readonly MirroredRegion[];
  settings: { everyMs: number; timeoutMs: number; maxAgeMs: number; perHost: number; total: number };
  /** Tidegate's own version, for the User-Agent. */
  version: string;
  logger: Logger;
}

export interface Prober {
  /**
   * Without asking anybody: what says `available` without the word of the region's present mirror becomes unknown. Once
   * before the planner starts; the first round does it otherwise.
   */
  settle(now: number): Promise<{ changed: boolean }>;
  /**
   * Asks for what is due at `now` (ms since the epoch) and writes what has changed; asks nothing else while a round
   * is under way, whose end it then waits for. What is left over after ten seconds stays due. `wanted`: versions that
   * matter besides the newest five of each product. Throws what the database throws; a mirror's failure is an answer.
   */
  round(now: number, wanted: readonly Wanted[]): Promise<{ changed: boolean }>;
  /** When the mirror was last asked for it, ms since the epoch; null: not since the start, or there is no mirror. */
  askedAt(place: Pick<Availability, 'product' | 'version' | 'region' | 'platform'>): number | null;
  /** Ends the round under way without writing what it has not heard. */
  close(): Promise<void>;
}

/** When to call `round`; what is due it finds out itself. */
export const PROBE_CRON = '* * * * * *';

const ROUND_MS = 10_000;
const MAX_PROBES = 1000;

interface State {
  deps: ProberDeps;
  client: HeadClient;
  /** When each target was asked last; the rows know it only to the minute. */
  asked: Map<string, number>;
  closed: boolean;
}

interface Known {
  targets: Target[];
  rows: Map<string, Availability>;
}

export function openProber(deps: ProberDeps): Prober {
  const { timeoutMs, perHost, total } = deps.settings;
  const client = openHeadClient({ timeoutMs, perHost, total, userAgent: `tidegate/${deps.version}` });
  const state: State = { deps, client, asked: new Map(), closed: false };
  const idle = deps.regions.every((region) => region.mirror === null);
  let settled = false;
  let running: Promise<{ changed: boolean }> | undefined;

  async function settleOnce(now: number): Promise<boolean> {
    if (settled || idle) return false;
    const changed = await settle(state, now);
    settled = true;
    return changed;
  }
  async function run(now: number, wanted: readonly Wanted[]): Promise<{ changed: boolean }> {
    const cleared = await settleOnce(now);
    return { changed: (await runRound(state, now, wanted)) || cleared };
  }
  return {
    settle: async (now) => ({ changed: await settleOnce(now) }),
    round(now, wanted) {
      if (idle || state.closed) return Promise.resolve({ changed: false });
      running ??= run(now, wanted).finally(() => {
        running = undefined;
      });
      return running;
    },
    askedAt: (place) => state.asked.get(keyOf(place)) ?? null,
    async close() {
      state.closed = true;
      await client.close();
      await running?.catch(() => {});
    },
  };
}

async function settle({ deps }: State, now: number): Promise<boolean> {
  return await transaction(deps.database, async (tx) => {
    const rows: Availability[] = [];
    for (const product of deps.products) {
      const releases = await listReleases(tx, product.name);
      rows.push(...unfounded(product, deps.regions, releases, await listAvailability(tx, product.name), now));
    }
    await saveAvailability(tx, rows);
    return rows.length > 0;
  });
}

async function runRound(state: State, now: number, wanted: readonly Wanted[]): Promise<boolean> {
  const { settings } = state.deps;
  const { targets, rows } = await load(state.deps, wanted);
  const keys = new Set(targets.map(keyOf));
  for (const key of state.asked.keys()) if (!keys.has(key)) state.asked.delete(key);
  const due = dueTargets(targets, rows, state.asked, now, settings).slice(0, MAX_PROBES);
  if (due.length === 0) return false;
  const answers = await askAll(state, due);
  for (const { target } of answers) state.asked.set(keyOf(target), now);
  const { changed, confirmed } = writesOf(answers, rows, now, settings.maxAgeMs);
  if (changed.length + confirmed.length === 0) return false;
  return await record(state.deps, answers, now);
}

async function load(deps: ProberDeps, wanted: readonly Wanted[]): Promise<Known> {
  const { db } = deps.database;
  const targets: Target[] = [];
  const rows: Availability[] = [];
  for (const product of deps.products) {
    const found = targetsOf(product, deps.regions, await listReleases(db, product.name), wanted);
    if (found.length === 0) continue;
    targets.push(...found);
    rows.push(...(await listAvailability(db, product.name, versionsOf(found))));
  }
  return { targets, rows: rowsByKey(rows) };
}

/** One answer per target that was asked; an address that several regions share is asked once. */
async function askAll(state: State, due: readonly Target[]): Promise<Answered[]> {
  const until = performance.now() + ROUND_MS;
  const asking = new Map<string, Promise<HeadAnswer | undefined>>();
  const answers = await Promise.all(
    due.map(async (target) => {
      const { url } = target;
      if (url === null) return unaskable(target);
      const answering = asking.get(url) ?? state.client.ask(url, until);
      asking.set(url, answering);
      const answer = await answering;
      return answer === undefined ? undefined : readAnswer(target, answer);
    }),
  );
  return answers.filter((answer) => answer !== undefined);
}

/** Reads again inside the transaction: a release that was withdrawn meanwhile must not become available by this. */
async function record(deps: ProberDeps, answers: readonly Answered[], now: number): Promise<boolean> {
  const written = await transaction(deps.database, async (tx) => {
    const current = await stillValid(tx, answers);
    const rows = await rowsFor(tx, current);
    const { changed, confirmed } = writesOf(current, rows, now, deps.settings.maxAgeMs);
    await saveAvailability(tx, [...changed, ...confirmed]);
    return { changed, rows };
  });
  logChanges(deps.logger, written.changed, written.rows);
  return written.changed.length > 0;
}

async function stillValid(tx: Tx, answers: readonly Answered[]): Promise<Answered[]> {
  const valid: Answered[] = [];
  for (const [product, some] of byProduct(answers)) {
    valid.push(...stillPublished(some, await listReleases(tx, product)));
  }
  return valid;
}

async function rowsFor(tx: Tx, answers: readonly Answered[]): Promise<Map<string, Availability>> {
  const rows: Availability[] = [];
  for (const [product, some] of byProduct(answers)) {
    rows.push(...(await listAvailability(tx, product, versionsOf(some.map((one) => one.target)))));
  }
  return rowsByKey(rows);
}

function byProduct(answers: readonly Answered[]): Map<string, Answered[]> {
  return Map.groupBy(answers, (answer) => answer.target.product);
}

function versionsOf(targets: readonly Target[]): string[] {
  return [...new Set(targets.map((target) => target.version))];
}

/** One line for each release in each region and what became of it: a mirror that goes away would fill the log. */
function logChanges(logger: Logger, changed: readonly Availability[], before: ReadonlyMap<string, Availability>): void {
  const turned = changed.filter((row) => before.get(keyOf(row))?.status !== row.status);
  const groups = Map.groupBy(turned, (row) => `${row.product}\n${row.version}\n${row.region}\n${row.status}`);
  for (const rows of groups.values()) {
    const [first] = rows;
    if (first === undefined) continue;
    const { product, version, region, status, why } = first;
    const lost = rows.some((row) => before.get(keyOf(row))?.status === 'available');
    const platforms = rows.map((row) => row.platform);
    logger[lost ? 'warn' : 'info']({ product, version, region, status, platforms, why }, 'availability has changed');
  }
}
