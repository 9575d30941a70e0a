// The promises that cost more to check: counters against their attempts, the chain of the audit, memory against rows.
import { CompiledQuery } from 'kysely';
import { violations } from '../../src/domain/check.ts';
import type { Rollout } from '../../src/domain/rollout.ts';
import { foldCounters } from '../../src/store/attempts.ts';
import { verifyAudit } from '../../src/store/audit.ts';
import { listBaselineLanes, listRollouts } from '../../src/store/rollouts.ts';
import { snapshotOf } from '../support/snapshots.ts';
import type { Fleet } from './fleet.ts';
import type { Model } from './model.ts';
import { findBeyondReach } from './reach.ts';
import type { SimServer } from './server.ts';
import type { World } from './world.ts';

export interface DearParts {
  world: World;
  server: SimServer;
  fleet: Fleet;
  model: Model;
}

/** All of them; the first that is broken, as its name and a sentence. */
export async function checkDearly(parts: DearParts): Promise<[string, string] | undefined> {
  const rollouts = (await listRollouts(parts.server.database.db, { limit: 500 })).reverse();
  for (const check of [stored, counters, checkAcknowledged]) {
    const found = await check(parts, rollouts);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function stored({ server }: DearParts, rollouts: Rollout[]): Promise<[string, string] | undefined> {
  const [first] = violations(snapshotOf({ rollouts }));
  if (first !== undefined) return [first.promise, first.sentence];
  const beyond = await findBeyondReach(server.database.db, rollouts);
  return beyond === undefined ? undefined : ['S3', beyond];
}

async function counters({ server }: DearParts, rollouts: Rollout[]): Promise<[string, string] | undefined> {
  const { db } = server.database;
  const lanes = [...rollouts.flatMap((rollout) => rollout.lanes), ...(await listBaselineLanes(db))];
  for (const lane of lanes) {
    for (const step of [...lane.steps, ...lane.back]) {
      // Each way back is an epoch of its own, named as its step.
      const folded = await foldCounters(db, lane.id, step.step, step.step < 0 ? step.step : lane.budgetEpoch);
      if (JSON.stringify(folded) === JSON.stringify(step.counters)) continue;
      const sentence = `step ${step.step + 1} of the ${lane.kind} lane in ${lane.region} (${lane.state.name}): ${JSON.stringify(step.counters)}, the fold is ${JSON.stringify(folded)}`;
      return ['D2', sentence];
    }
  }
  return undefined;
}

/** What somebody was told is recorded stands in the database, whatever crashed meanwhile. */
export async function checkAcknowledged({
  world,
  server,
  fleet,
  model,
}: DearParts): Promise<[string, string] | undefined> {
  const { truth } = world;
  const rows = (
    await server.database.db.executeQuery<{ id: string; agent_id: string; state: string; sha256: string }>(
      CompiledQuery.raw('select id, agent_id, state, sha256 from attempts'),
    )
  ).rows;
  const byId = new Map(rows.map((row) => [row.id, row]));
  for (const [id, sha256] of truth.instructed) {
    if (byId.get(id)?.sha256 !== sha256) return ['D4', `the instruction of attempt ${id} has no row`];
  }
  for (const [id, state] of truth.acknowledged) {
    const row = byId.get(id);
    if (row === undefined || truth.dishonest.has(row.agent_id)) continue;
    if (REPORTABLE.includes(row.state) ? row.state === state : NOT_REPORTABLE.includes(row.state)) continue;
    return ['D3', `${state} of attempt ${id} was acknowledged, the row says ${row.state}`];
  }
  for (const [id, state] of truth.toldSince) {
    if (byId.has(id) || model.adopted.has(id)) continue;
    return ['M3.adopted', `${state} of attempt ${id} was acknowledged after the restore and stands nowhere`];
  }
  const agents = await server.database.db.selectFrom('agents').select('id').execute();
  const enrolled = new Set(agents.map((one) => one.id));
  const missing = fleet.members.find(({ agent }) => !enrolled.has(agent.identity.id));
  return missing === undefined ? undefined : ['D3', `${missing.agent.identity.name} was enrolled and is not there`];
}

const REPORTABLE = ['succeeded', 'rolled_back', 'failed', 'inconclusive', 'declined'];
const NOT_REPORTABLE = ['expired', 'withdrawn'];

/** Memory follows the database: what it counted in the last plan is what the rows say. */
async function memory({ server }: Pick<DearParts, 'server'>): Promise<[string, string] | undefined> {
  const engine = server.engine();
  if (engine === undefined) return undefined;
  await engine.plan();
  const rows = (
    await server.database.db.executeQuery<{ key: string; agents: number }>(
      CompiledQuery.raw(
        "select p.product || ' ' || a.region || ' ' || p.version as key, count(*) as agents from agent_products p join agents a on a.id = p.agent_id where a.id not in (select agent_id from unenrolled_agents) group by 1",
      ),
    )
  ).rows;
  const inMemory = new Map<string, number>();
  for (const { product, region, version, agents } of engine.operator.versions()) {
    const key = `${product} ${region} ${version}`;
    inMemory.set(key, (inMemory.get(key) ?? 0) + agents);
  }
  const wrong = rows.find((row) => inMemory.get(row.key) !== row.agents);
  return wrong === undefined
    ? undefined
    : ['D2', `${wrong.key}: ${wrong.agents} in the database, ${inMemory.get(wrong.key)} in memory`];
}

/** At the very end: the chain, what every attempt's last row says, and slots. */
export async function checkAtEnd({ server, model }: DearParts): Promise<[string, string] | undefined> {
  const forgotten = await memory({ server });
  if (forgotten !== undefined) return forgotten;
  const chain = await verifyAudit(server.database.db);
  if (!chain.ok) return ['D6', `the audit chain is broken at ${chain.seq}`];
  const rows = (
    await server.database.db.executeQuery<{ id: string; state: string; hot: number }>(
      CompiledQuery.raw('select id, state, hot from attempts'),
    )
  ).rows;
  for (const { id, state, hot } of rows) {
    if (hot === 1) return ['D5', `the attempt ${id} still has its slot`];
    const written = model.attempts.get(id)?.state;
    // Those that were not granted are withdrawn by the thousand when a lane ends: its own row stands for them.
    if (written !== state && state !== 'withdrawn')
      return ['D6', `the attempt ${id} is ${state}, the audit says ${written}`];
  }
  return undefined;
}
