// Limits as a property: grants of two products, outcomes, losses, lost replies and restarts with other limits, in any order.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { pino } from 'pino';
import type { InstalledProduct, ReportedAttempt } from '../../src/domain/agent.ts';
import { countOccupied, type Limits, NO_LIMITS, type Occupied, type Place } from '../../src/domain/limits.ts';
import { type Engine, openEngine } from '../../src/engine/engine.ts';
import { type Database, openDatabase, transaction } from '../../src/store/database.ts';
import { saveAvailability, saveRelease } from '../../src/store/releases.ts';
import { insertEnrolToken } from '../../src/store/tokens.ts';
import fc, { drawsFixed } from '../support/fast-check.ts';
import { digestOf, rules, START, stepPolicy, testClock, testPolicy, testRelease } from '../support/fixtures.ts';
import { createIds } from '../support/ids.ts';

const PRODUCTS = ['agentd', 'helper'];
const REGIONS = ['eu-west-1', 'us-east-1'];
const AGENTS = 8;
const MINUTE = 60_000;
// Wide open but for the limits: only they may hold a grant back.
const POLICY = testPolicy({
  waves: [REGIONS],
  steps: [stepPolicy({ soakMs: 0, budget: 'loose' })],
  doneRatio: 10_000,
  badCount: 50,
  minSample: 1,
  badRatio: 10_000,
  maxHot: 100,
  attemptsPerAgent: 50,
  // Silence after a grant is a loss after five minutes.
  staleAfterMs: 2 * MINUTE,
  stageWithinMs: 3 * MINUTE,
  activateWithinMs: MINUTE,
  proveWithinMs: MINUTE,
  stableForMs: 0,
});
const SITE = 'rack';
// In each of the first ones another scope is the narrowest.
const LIMITS: Limits[] = [
  { ...NO_LIMITS, fleet: 6, region: 2, site: { label: SITE, max: 1 } },
  { ...NO_LIMITS, fleet: 2, region: 2, site: { label: SITE, max: 2 } },
  { ...NO_LIMITS, fleet: null, region: null, site: { label: SITE, max: 2 } },
  { ...NO_LIMITS, fleet: 1, region: 1, site: { label: SITE, max: 1 } },
  { ...NO_LIMITS, fleet: null, region: null, site: null },
];

type Outcome = Extract<ReportedAttempt['state'], 'succeeded' | 'inconclusive' | 'rolled_back'>;

type Command =
  /** Check-ins at once; `deaf`: their replies are lost. */
  | { kind: 'ask'; agents: number[]; deaf: boolean }
  /** Those of them that were granted end, at once. */
  | { kind: 'end'; agents: number[]; outcome: Outcome }
  | { kind: 'wait'; minutes: number }
  | { kind: 'restart'; limits: number };

interface Host {
  id: string;
  place: Place;
  handle: number;
  products: InstalledProduct[];
  attempts: ReportedAttempt[];
  /** What it was told to activate. */
  granted: { id: string; product: string; version: string; sha256: string } | undefined;
}

class World {
  readonly clock = testClock();
  readonly newId = createIds();
  readonly faults: string[] = [];
  readonly hosts: Host[] = [];
  readonly database: Database;
  limits = LIMITS[0] as Limits;
  engine!: Engine;

  constructor(database: Database) {
    this.database = database;
  }

  async open(): Promise<void> {
    this.engine = await openEngine({
      database: this.database,
      clock: this.clock,
      logger: pino({ level: 'error' }, { write: (line: string) => void this.faults.push(line) }),
      newId: this.newId,
      random: () => 0.5,
      products: PRODUCTS.map((name) => rules(POLICY, { name })),
      regions: REGIONS,
      surroundings: {
        calendars: REGIONS.map((region) => ({ region, timeZone: 'UTC', windows: { allow: [], deny: [] } })),
        freezes: [],
        limits: this.limits,
        mirrors: { regions: [], maxAgeMs: 600_000 },
      },
      pollMs: MINUTE,
      maxWaitMs: 25_000,
    });
  }

  async run(command: Command): Promise<void> {
    switch (command.kind) {
      case 'ask':
        await Promise.all(command.agents.map((index) => this.checkIn(index, command.deaf)));
        return;
      case 'end':
        await Promise.all(command.agents.map((index) => this.end(index, command.outcome)));
        return;
      case 'wait':
        // In steps of a minute: a longer pause than that is not observed.
        for (let minute = 0; minute < command.minutes; minute += 1) {
          this.clock.advance(MINUTE);
          await this.engine.plan();
        }
        return;
      case 'restart':
        await this.engine.close();
        this.limits = LIMITS[command.limits] as Limits;
        await this.open();
    }
  }

  async checkIn(index: number, deaf = false): Promise<void> {
    const host = this.hosts[index] as Host;
    const report = {
      handle: host.handle,
      boot: 'b'.repeat(22),
      platform: 'linux-x64',
      epoch: 1,
      sequence: 0,
      products: host.products,
      health: 'ok' as const,
      healthReason: null,
      facts: null,
      attempts: host.attempts,
    };
    const { answer, acknowledged } = await this.engine.agents.checkIn(report, 0, new AbortController().signal);
    if (deaf) return;
    host.attempts = host.attempts.filter((one) => !acknowledged.some((ack) => ack.id === one.id));
    if (answer.kind !== 'instruction') return;
    const { id, product, version, sha256 } = answer.attempt;
    const others = host.attempts.filter((one) => one.product !== product);
    if (answer.action === 'stage')
      host.attempts = [...others, { id, product, state: 'staged', cause: null, detail: null }];
    else if (answer.action === 'withdraw') {
      host.attempts = host.attempts.filter((one) => one.id !== id);
      if (host.granted?.id === id) host.granted = undefined;
    } else host.granted = { id, product, version, sha256 };
  }

  async end(index: number, outcome: Outcome): Promise<void> {
    const host = this.hosts[index] as Host;
    const { granted } = host;
    if (granted === undefined) return;
    const { id, product, version, sha256 } = granted;
    host.granted = undefined;
    if (outcome === 'succeeded') {
      const now = { product, version, digest: sha256 };
      host.products = host.products.map((one) => (one.product === product ? now : one));
    }
    const others = host.attempts.filter((one) => one.product !== product);
    host.attempts = [...others, { id, product, state: outcome, cause: null, detail: null }];
    await this.checkIn(index);
  }

  /** From the states of the attempts alone: not by what the ledger itself asks. */
  async occupied(): Promise<Occupied> {
    const attempts = this.database.db.selectFrom('attempts').select('agent_id');
    const hot = await attempts.where('state', 'in', ['granted', 'activating', 'proving']).execute();
    const places = hot.map(({ agent_id }) => this.hosts.find((host) => host.id === agent_id)?.place);
    const known = places.filter((place) => place !== undefined);
    assert.equal(known.length, hot.length);
    return countOccupied(known, { ...this.limits, site: { label: SITE, max: 1 } });
  }
}

async function openWorld(): Promise<World> {
  const world = new World(await openDatabase('sqlite::memory:'));
  await publish(world.database, '1.0.0');
  await world.open();
  for (let index = 0; index < AGENTS; index += 1) {
    const tokenId = world.newId();
    // The sites lie in both regions, the last ones are at none.
    const labels = index < 6 ? { [SITE]: index < 3 ? 'r0' : 'r1' } : {};
    const place: Place = { region: REGIONS[index % 2] as string, labels };
    const products = PRODUCTS.map((product) => ({ product, version: '1.0.0', digest: digestOf(`${product} 1.0.0`) }));
    await transaction(world.database, (tx) =>
      insertEnrolToken(tx, {
        id: tokenId,
        secretHash: 'hash',
        ...place,
        maxUses: 1,
        uses: 0,
        createdBy: 'test',
        createdAt: START,
        expiresAt: START + 86_400_000,
      }),
    );
    const publicKey = randomBytes(32).toString('base64url');
    const host = { tokenId, secretHash: 'hash', publicKey, name: `a${index}`, platform: 'linux-x64', products };
    const { handle, id } = await world.engine.agents.enrol(host);
    world.hosts.push({ id, place, handle, products, attempts: [], granted: undefined });
  }
  await publish(world.database, '1.1.0');
  await world.engine.plan();
  return world;
}

async function publish(database: Database, version: string): Promise<void> {
  await transaction(database, async (tx) => {
    for (const product of PRODUCTS) {
      const artifacts = testRelease(version).artifacts.map((one) => ({
        ...one,
        sha256: digestOf(`${product} ${version}`),
      }));
      await saveRelease(tx, testRelease(version, { id: `${product}-${version}`, product, artifacts }));
      const known = { product, version, platform: 'linux-x64', why: 'uploaded', since: START, checkedAt: START };
      await saveAvailability(
        tx,
        REGIONS.map((region) => ({ ...known, region, status: 'available' as const })),
      );
    }
  });
}

/** One number per scope, with its limit. */
function scopes(occupied: Occupied, { fleet, region, site }: Limits): [name: string, hot: number, limit: number][] {
  const max = (limit: number | null | undefined) => limit ?? Number.POSITIVE_INFINITY;
  return [
    ['fleet', occupied.fleet, max(fleet)],
    ...REGIONS.map((name): [string, number, number] => [name, occupied.byRegion[name] ?? 0, max(region)]),
    ...['r0', 'r1'].map((name): [string, number, number] => [name, occupied.bySite[name] ?? 0, max(site?.max)]),
  ];
}

test('in any order of grants, outcomes, losses and restarts no limit is overshot, and a lowered one is only approached', async () => {
  const seen = { full: new Set<string>(), above: 0, lost: 0, two: 0 };
  const agents = fc.uniqueArray(fc.nat({ max: AGENTS - 1 }), { minLength: 1, maxLength: AGENTS });
  const command: fc.Arbitrary<Command> = fc.oneof(
    { weight: 10, arbitrary: fc.record({ kind: fc.constant('ask' as const), agents, deaf: fc.constant(false) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('ask' as const), agents, deaf: fc.constant(true) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('end' as const),
        agents: fc.uniqueArray(fc.nat({ max: AGENTS - 1 }), { minLength: 1, maxLength: 3 }),
        outcome: fc.constantFrom<Outcome>('inconclusive', 'inconclusive', 'succeeded', 'rolled_back'),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), minutes: fc.constantFrom(1, 2, 6) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('restart' as const), limits: fc.nat({ max: LIMITS.length - 1 }) }),
    },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 25, maxLength: 40 }), async (commands) => {
      const world = await openWorld();
      try {
        let before = await world.occupied();
        for (const one of commands) {
          await world.run(one);
          const now = await world.occupied();
          const old = scopes(before, world.limits);
          for (const [place, [name, hot, limit]] of scopes(now, world.limits).entries()) {
            const was = old[place]?.[1] as number;
            assert(hot <= Math.max(limit, was), `${name}: ${hot} hot after ${was}, the limit is ${limit}`);
            if (hot === limit) seen.full.add(name);
            if (hot > limit) seen.above += 1;
          }
          before = now;
        }
        const states = await world.database.db.selectFrom('attempts').select(['state', 'product', 'hot']).execute();
        seen.lost += states.filter((one) => one.state === 'lost').length;
        if (new Set(states.filter((one) => one.hot === 1).map((one) => one.product)).size === 2) seen.two += 1;
        // No slot leaks: once everybody has fallen silent for good, nobody holds one.
        await world.run({ kind: 'wait', minutes: 8 });
        assert.equal((await world.occupied()).fleet, 0);
        assert.deepEqual(world.faults, []);
      } finally {
        await world.engine.close();
        await world.database.close();
      }
    }),
    // Not shrunk: each try is a server's life, and the seed leads to the same one again.
    { numRuns: 12, endOnFailure: true },
  );
  if (!drawsFixed) return;
  assert.deepEqual([...seen.full].sort(), ['eu-west-1', 'fleet', 'r0', 'r1', 'us-east-1'], 'each limit was used');
  assert(
    seen.above > 0 && seen.lost > 0 && seen.two > 0,
    `what was to be tried has been: ${JSON.stringify({ ...seen, full: 0 })}`,
  );
});
