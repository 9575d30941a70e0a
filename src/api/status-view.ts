// The status page's data: products with their releases, sources and versions, the brakes, and the newest rollouts.
import type { Config } from '../config.ts';
import type { ProductView, StatusReply } from '../protocol/operator.ts';
import { listBrakes } from '../store/controls.ts';
import type { Db } from '../store/database.ts';
import { countReleases } from '../store/operator-views.ts';
import { listSources, type SourceState } from '../store/releases.ts';
import { listRollouts } from '../store/rollouts.ts';
import type { OperatorService } from './services.ts';
import { holdView, viewRollouts } from './views.ts';

const MAX_ROLLOUTS = 50;

export async function viewStatus(
  db: Db,
  operator: OperatorService,
  products: Config['products'],
  now: number,
): Promise<StatusReply> {
  const rollouts = await listRollouts(db, { limit: MAX_ROLLOUTS });
  return {
    now,
    agents: operator.counts(),
    brakes: await viewBrakes(db),
    products: await viewProducts(db, operator, products),
    rollouts: await viewRollouts(db, rollouts, now),
  };
}

export async function viewBrakes(db: Db): Promise<StatusReply['brakes']> {
  return (await listBrakes(db)).map(({ scope, actor, reason, at }) => ({ scope, actor, reason, at }));
}

async function viewProducts(
  db: Db,
  operator: OperatorService,
  products: Config['products'],
): Promise<StatusReply['products']> {
  const releases = await countReleases(db);
  const sources = new Map((await listSources(db)).map((source) => [source.product, source]));
  const holds = new Map(operator.productHolds().map((hold) => [hold.product, hold]));
  const versions = Map.groupBy(operator.versions(), (row) => row.product);
  return products.map(({ name, repository }) => {
    const hold = holds.get(name);
    const source = sources.get(name);
    return {
      name,
      repository,
      newest: operator.newest(name),
      releases: releases.get(name) ?? 0,
      rejectedTags: source?.rejectedTags.length ?? 0,
      source: sourceView(source),
      versions: (versions.get(name) ?? []).map(({ product: _, ...row }) => row),
      hold: hold === undefined ? null : holdView(hold),
    };
  });
}

function sourceView(source: SourceState | undefined): ProductView['source'] {
  return {
    lastSuccessAt: source?.lastSuccessAt ?? null,
    nextPollAt: source?.nextPollAt ?? null,
    errorCode: source?.errorCode ?? null,
    error: source?.error ?? null,
  };
}
