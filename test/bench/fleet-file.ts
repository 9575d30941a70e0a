// Fills a SQLite file with enrolled agents, set by set: what a server of that size would find at its start.
import { randomBytes } from 'node:crypto';
import Sqlite from 'better-sqlite3';
import { v7 as uuidv7 } from 'uuid';
import { openDatabase } from '../../src/store/database.ts';

export interface FleetFile {
  path: string;
  agents: number;
  regions: readonly string[];
  product: string;
  version: string;
  /** SHA-256 of the artifact that all of them run. */
  digest: string;
}

export interface SeededAgent {
  handle: number;
  region: string;
  /** Carries the label `role: canary`; one in each region. */
  canary: boolean;
}

const PER_TRANSACTION = 10_000;

/** Handles 1 to `agents`, regions in turn. The file is made and migrated when it is not there. */
export async function fillFleetFile(fleet: FleetFile): Promise<void> {
  await (await openDatabase(`sqlite:${fleet.path}`)).close();
  const database = new Sqlite(fleet.path);
  database.pragma('synchronous = off');
  const now = Date.now();
  const token = uuidv7();
  database
    .prepare(
      `insert into enrol_tokens (id, secret_hash, region, labels, max_uses, uses, created_by, created_at, expires_at)
       values (?, 'none', ?, '{}', 1, 1, 'bench', ?, ?)`,
    )
    .run(token, fleet.regions[0], now, now + 1);
  const agent = database.prepare(
    `insert into agents (id, handle, name, region, platform, labels, public_key, enrol_token_id, enrolled_at, facts)
     values (?, ?, ?, ?, 'linux-x64', ?, ?, '${token}', ${now}, '{}')`,
  );
  const product = database.prepare(
    'insert into agent_products (agent_id, product, version, digest) values (?, ?, ?, ?)',
  );
  const insert = database.transaction((from: number, to: number) => {
    for (let handle = from; handle <= to; handle += 1) {
      const { region, canary } = seededAgent(fleet.regions, handle);
      const id = uuidv7();
      const labels = canary ? '{"role":"canary"}' : '{}';
      agent.run(id, handle, `host-${handle}`, region, labels, randomBytes(32).toString('base64url'));
      product.run(id, fleet.product, fleet.version, fleet.digest);
    }
  });
  for (let from = 1; from <= fleet.agents; from += PER_TRANSACTION) {
    insert(from, Math.min(fleet.agents, from + PER_TRANSACTION - 1));
  }
  database.close();
}

export function seededAgent(regions: readonly string[], handle: number): SeededAgent {
  const region = regions[(handle - 1) % regions.length] as string;
  return { handle, region, canary: handle <= regions.length };
}
