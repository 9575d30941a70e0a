// Agents and what they run, read and written in sets; last-seen in its own narrow table.
import { type ExpressionBuilder, type RawBuilder, type Selectable, sql } from 'kysely';
import type { Agent, InstalledProduct } from '../domain/agent.ts';
import { chunks, insertRows, integersOf, rowsAs, rowsOf, textsIn, textsOf, toJson } from './batch.ts';
import { prepared } from './prepared.ts';
import type { DB, Db, Tx } from './schema.ts';

export interface Seen {
  handle: number;
  /** Milliseconds since the epoch. */
  seenAt: number;
}

const SEEN_PER_STATEMENT = 1000;
const PRODUCT_COLUMNS = { agent_id: 'text', product: 'text', version: 'text', digest: 'text' } as const;

/** Gives the agent the next handle and returns it with that; a handle in `agent` is not looked at. */
export async function insertAgent(tx: Tx, agent: Omit<Agent, 'handle'>): Promise<Agent> {
  const { highest } = await tx
    .selectFrom('agents')
    .select((select) => select.fn.coalesce(select.fn.max('handle'), sql.lit(0)).as('highest'))
    .executeTakeFirstOrThrow();
  const inserted = { ...agent, handle: highest + 1 };
  await tx
    .insertInto('agents')
    .values({
      id: inserted.id,
      handle: inserted.handle,
      name: inserted.name,
      region: inserted.region,
      platform: inserted.platform,
      labels: JSON.stringify(inserted.labels),
      public_key: inserted.publicKey,
      enrol_token_id: inserted.enrolTokenId,
      enrolled_at: inserted.enrolledAt,
      sequence: inserted.sequence,
      facts: inserted.facts === null ? null : JSON.stringify(inserted.facts),
      health: inserted.health,
      health_reason: inserted.healthReason,
      revision: inserted.revision,
    })
    .execute();
  await insertRows(tx, 'agent_products', PRODUCT_COLUMNS, productRows([inserted]));
  return inserted;
}

/** Undefined also for one that was unenrolled. */
export async function findAgent(db: Db | Tx, id: string): Promise<Agent | undefined> {
  const rows = await db.selectFrom('agents').selectAll().where('id', '=', id).where(isEnrolled).execute();
  return (await withProducts(db, rows))[0];
}

/** In the order of the ids; unknown ones are left out. */
export async function agentNames(
  db: Db | Tx,
  ids: readonly string[],
): Promise<{ id: string; name: string; region: string }[]> {
  const query = db.selectFrom('agents').select(['id', 'name', 'region']).where('id', 'in', textsIn(db, ids));
  return await query.orderBy('id').execute();
}

/** `publicKey`: base64url of the raw Ed25519 key. */
export async function findAgentByKey(db: Db | Tx, publicKey: string): Promise<Agent | undefined> {
  const rows = await db.selectFrom('agents').selectAll().where('public_key', '=', publicKey).execute();
  return (await withProducts(db, rows))[0];
}

/** In the order of the handles; unknown and unenrolled ones are left out. */
export async function loadAgentsByHandles(db: Db | Tx, handles: readonly number[]): Promise<Agent[]> {
  return await withProducts(db, (await BY_HANDLE(db, toJson(handles))).rows);
}

const BY_HANDLE = prepared((db, handles: RawBuilder<string>) =>
  db
    .selectFrom('agents')
    .selectAll()
    .where('handle', 'in', integersOf(db, handles))
    .where(isEnrolled)
    .orderBy('handle')
    .compile(),
);

/** For `where` of a query on agents: a person has not taken it out of the fleet. */
export function isEnrolled({ not, exists, selectFrom }: ExpressionBuilder<DB, 'agents'>) {
  return not(
    exists(selectFrom('unenrolled_agents').select('agent_id').whereRef('unenrolled_agents.agent_id', '=', 'agents.id')),
  );
}

/**
 * A page of all agents, unenrolled ones as well, in the order of the handles; the next one starts after the last handle
 * of this. Begin with 0.
 */
export async function loadAllAgents(db: Db | Tx, afterHandle: number, limit: number): Promise<Agent[]> {
  const rows = await db
    .selectFrom('agents')
    .selectAll()
    .where('handle', '>', afterHandle)
    .orderBy('handle')
    .limit(limit)
    .execute();
  return await withProducts(db, rows);
}

export interface AgentsPage {
  /** The last id of the page before. */
  after?: string | null;
  limit: number;
  region?: string;
  /** Only agents that run it. */
  product?: string;
}

/** A page in the order of the ids. */
export async function listAgents(db: Db | Tx, page: AgentsPage): Promise<Agent[]> {
  const rows = await db
    .selectFrom('agents')
    .selectAll()
    .where(isEnrolled)
    .$if(typeof page.after === 'string', (query) => query.where('id', '>', page.after as string))
    .$if(page.region !== undefined, (query) => query.where('region', '=', page.region as string))
    .$if(page.product !== undefined, (query) =>
      query.where('id', 'in', (ids) =>
        ids
          .selectFrom('agent_products')
          .select('agent_id')
          .where('product', '=', page.product as string),
      ),
    )
    .orderBy('id')
    .limit(page.limit)
    .execute();
  return await withProducts(db, rows);
}

/**
 * Writes what may change of an agent: platform, health, facts, revision, products, and the sequence, which never
 * decreases. Each agent once.
 */
export async function saveAgents(tx: Tx, agents: readonly Agent[]): Promise<void> {
  if (agents.length === 0) return;
  const rows = agents.map((agent) => ({
    id: agent.id,
    platform: agent.platform,
    health: agent.health,
    health_reason: agent.healthReason,
    facts: agent.facts === null ? null : JSON.stringify(agent.facts),
    sequence: agent.sequence,
    revision: agent.revision,
  }));
  await UPDATE(tx, toJson(rows));
  await saveProducts(tx, agents);
}

const CHANGING = {
  id: 'text',
  platform: 'text',
  health: 'text',
  health_reason: 'text',
  facts: 'text',
  sequence: 'bigint',
  revision: 'bigint',
} as const;

const UPDATE = prepared((db, rows: RawBuilder<string>) =>
  sql`with v as (${rowsOf(db, CHANGING, rows)})
    update agents set platform = v.platform, health = v.health, health_reason = v.health_reason, facts = v.facts,
      sequence = case when v.sequence > agents.sequence then v.sequence else agents.sequence end, revision = v.revision
    from v where agents.id = v.id`.compile(db),
);

async function saveProducts(tx: Tx, agents: readonly Agent[]): Promise<void> {
  const rows = toJson(productRows(agents));
  await DELETE_PRODUCTS(tx, toJson(agents.map((agent) => agent.id)), rows);
  await PUT_PRODUCTS(tx, rows);
}

// One column `not in` a list, which SQLite works out once: `not exists` would read the JSON again for every row, and
// a pair of columns would look through the whole list for nulls.
const DELETE_PRODUCTS = prepared((db, ids: RawBuilder<string>, rows: RawBuilder<string>) =>
  sql`delete from agent_products where agent_id in ${textsOf(db, ids)}
    and agent_id || '/' || product not in (
      select agent_id || '/' || product from (${rowsOf(db, PRODUCT_COLUMNS, rows)}) as v)`.compile(db),
);
const PUT_PRODUCTS = prepared((db, rows: RawBuilder<string>) =>
  sql`insert into agent_products (agent_id, product, version, digest)
    select agent_id, product, version, digest from (${rowsOf(db, PRODUCT_COLUMNS, rows)}) as v where true
    on conflict (agent_id, product) do update set version = excluded.version, digest = excluded.digest
    where agent_products.version <> excluded.version or agent_products.digest <> excluded.digest`.compile(db),
);

/** One statement for every 1,000; each handle once. An older time than the known one changes nothing. */
export async function flushSeen(tx: Tx, rows: readonly Seen[]): Promise<void> {
  for (const some of chunks(rows, SEEN_PER_STATEMENT)) {
    const values = rowsAs(
      tx,
      { handle: 'bigint', seen_at: 'bigint' },
      some.map((row) => ({ handle: row.handle, seen_at: row.seenAt })),
    );
    await sql`insert into agent_seen (handle, seen_at) select handle, seen_at from (${values}) as v where true
      on conflict (handle) do update set seen_at = excluded.seen_at where agent_seen.seen_at < excluded.seen_at`.execute(
      tx,
    );
  }
}

export async function loadSeen(db: Db | Tx): Promise<Seen[]> {
  return await db.selectFrom('agent_seen').select(['handle', 'seen_at as seenAt']).orderBy('handle').execute();
}

async function withProducts(db: Db | Tx, rows: readonly Selectable<DB['agents']>[]): Promise<Agent[]> {
  if (rows.length === 0) return [];
  const products = await PRODUCTS_OF(db, toJson(rows.map((row) => row.id)));
  const byAgent = Map.groupBy(products.rows, (product) => product.agent_id);
  return rows.map((row) => toAgent(row, (byAgent.get(row.id) ?? []).map(toProduct)));
}

const PRODUCTS_OF = prepared((db, ids: RawBuilder<string>) =>
  db
    .selectFrom('agent_products')
    .selectAll()
    .where('agent_id', 'in', textsOf(db, ids))
    .orderBy('agent_id')
    .orderBy('product')
    .compile(),
);

function toProduct(row: Selectable<DB['agent_products']>): InstalledProduct {
  return { product: row.product, version: row.version, digest: row.digest };
}

function toAgent(row: Selectable<DB['agents']>, products: InstalledProduct[]): Agent {
  return {
    id: row.id,
    handle: row.handle,
    name: row.name,
    region: row.region,
    platform: row.platform,
    labels: JSON.parse(row.labels),
    publicKey: row.public_key,
    enrolTokenId: row.enrol_token_id,
    enrolledAt: row.enrolled_at,
    sequence: row.sequence,
    facts: row.facts === null ? null : JSON.parse(row.facts),
    health: row.health,
    healthReason: row.health_reason,
    revision: row.revision,
    products,
  };
}

function productRows(agents: readonly Agent[]): DB['agent_products'][] {
  return agents.flatMap((agent) =>
    agent.products.map(({ product, version, digest }) => ({ agent_id: agent.id, product, version, digest })),
  );
}
