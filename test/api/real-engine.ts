// The real app in front of the real engine, with modelled agents behind it.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import pino from 'pino';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { buildApp } from '../../src/api/app.ts';
import type { App } from '../../src/api/deps.ts';
import { openServerKeys } from '../../src/api/keys.ts';
import { ensureOperatorToken } from '../../src/api/operator-auth.ts';
import type { ProductRules } from '../../src/domain/snapshot.ts';
import type { Surroundings } from '../../src/engine/memory.ts';
import type { Problem } from '../../src/protocol/agent.ts';
import { type Fleet, openFleet } from '../support/fleet.ts';

export interface ServedFleet {
  fleet: Fleet;
  app: App;
  token: string;
  /** The reply's body, checked against the schema. */
  ok<S extends TSchema>(schema: S, path: string, body?: object): Promise<ReturnType<typeof JSON.parse>>;
  /** The problem that the request is refused with. */
  refused(path: string, body?: object): Promise<Problem>;
}

const REGIONS = ['eu-west-1', 'us-east-1'];

export async function serveFleet(
  t: TestContext,
  rules: ProductRules,
  surroundings: Partial<Surroundings> = {},
): Promise<ServedFleet> {
  const fleet = await openFleet(t, rules, REGIONS, undefined, surroundings);
  const dir = mkdtempSync(join(tmpdir(), 'tidegate-verbs-'));
  t.after(() => rmSync(dir, { recursive: true }));
  await ensureOperatorToken(fleet.database, dir, fleet.clock.now());
  const token = readFileSync(join(dir, 'operator.token'), 'utf8').trim();
  const product = {
    name: rules.name,
    repository: 'acme/agentd',
    scheme: 'semver' as const,
    tags: ['v{version}'],
    accept: null,
    prereleases: false,
    lag: 0,
    from: null,
    floors: [],
    requirements: [],
    unknownBuilds: 'hold' as const,
    artifacts: [{ platform: 'linux-x64', asset: 'agentd-{version}.tar.gz' }],
    policy: 'standard',
    policies: {},
  };
  const mirrors = new Map((surroundings.mirrors?.regions ?? []).map(({ name, mirror }) => [name, mirror]));
  const app = await buildApp({
    database: fleet.database,
    agents: fleet.engine.agents,
    operator: fleet.engine.operator,
    artifacts: { open: () => Promise.reject(new Error('nothing is downloaded here')) },
    keys: openServerKeys(dir),
    config: {
      server: { host: '127.0.0.1', port: 0, tls: null, dataDir: dir, behindProxy: false },
      agents: { pollMs: 60_000, maxWaitMs: 25_000 },
      availability: { everyMs: 60_000, timeoutMs: 5_000, maxAgeMs: 600_000, perHost: 2, total: 8 },
      regions: REGIONS.map((name) => ({
        name,
        timeZone: 'UTC',
        mirror: mirrors.get(name) ?? null,
        windows: { allow: [], deny: [] },
      })),
      products: [product],
    },
    clock: fleet.clock,
    logger: pino({ level: 'silent' }),
  });
  t.after(() => app.close());
  const send = async (path: string, body?: object) =>
    await app.inject({
      method: body === undefined ? 'GET' : 'POST',
      url: `/api/v1${path}`,
      headers: { authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { payload: body }),
    });
  return {
    fleet,
    app,
    token,
    async ok(schema, path, body) {
      const response = await send(path, body);
      assert.equal(response.statusCode, 200, response.body);
      const check = Compile(schema);
      const value = response.json();
      assert.ok(check.Check(value), JSON.stringify([...check.Errors(value)]));
      return value;
    },
    async refused(path, body) {
      const response = await send(path, body);
      assert.ok(response.statusCode >= 400, response.body);
      return response.json() as Problem;
    },
  };
}
