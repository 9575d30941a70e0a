// What is known of where releases can be had, as the operators are shown it: stale words of mirrors read as unknown.
import { type Availability, effectiveRow } from '../domain/availability.ts';
import { AppError } from '../errors.ts';
import type { AvailabilityReply } from '../protocol/operator.ts';
import type { Db } from '../store/database.ts';
import { releaseHeads } from '../store/operator-views.ts';
import { listAvailability, listSources } from '../store/releases.ts';
import { listRollouts } from '../store/rollouts.ts';
import type { ApiDeps } from './deps.ts';
import type { OperatorService } from './services.ts';

const MAX_ROWS = 10_000;

export interface AvailabilityContext {
  operator: OperatorService;
  config: Pick<ApiDeps['config'], 'products' | 'regions' | 'availability'>;
  askedAt: ApiDeps['askedAt'] | undefined;
  /** Milliseconds since the epoch. */
  now: number;
}

/** Without a version: the newest of each product and those going out. Throws `not_found` for unknown names. */
export async function viewAvailability(
  db: Db,
  { operator, config, now, askedAt }: AvailabilityContext,
  filter: { product?: string; version?: string },
): Promise<AvailabilityReply> {
  const products = config.products.map(({ name }) => name).filter((name) => name === (filter.product ?? name));
  if (products.length === 0) {
    const hint = `There are: ${config.products.map(({ name }) => name).join(', ')}.`;
    throw new AppError('not_found', `the config has no product ${filter.product}`, { where: 'product', hint });
  }
  const rows: Availability[] = [];
  const going = await listRollouts(db, { liveOnly: true });
  for (const product of products) {
    const out = going.filter((rollout) => rollout.product === product).map(({ version }) => version);
    const versions = filter.version === undefined ? [operator.newest(product) ?? [], out].flat(2) : [filter.version];
    rows.push(...(await listAvailability(db, product, [...new Set(versions)])));
  }
  if (filter.version !== undefined && rows.length === 0) await checkVersion(db, products, filter.version);
  const polls = new Map((await listSources(db)).map((source) => [source.product, source]));
  const mirrored = new Set(config.regions.filter(({ mirror }) => mirror !== null).map(({ name }) => name));
  const availability = rows
    .slice(0, MAX_ROWS)
    .map((row) =>
      mirrored.has(row.region)
        ? { ...effectiveRow(row, now, config.availability.maxAgeMs), askedAt: askedAt?.(row) ?? null }
        : { ...row, askedAt: polls.get(row.product)?.lastSuccessAt ?? null },
    );
  return { now, availability, more: rows.length > MAX_ROWS };
}

async function checkVersion(db: Db, products: readonly string[], version: string): Promise<void> {
  const heads = await releaseHeads(db);
  const known = products.flatMap((product) => heads.get(product) ?? []);
  if (known.some((release) => release.version === version)) return;
  const names = known.slice(0, 5).map((release) => release.version);
  throw new AppError('not_found', `${products.join(', ')} has no release ${version}`, {
    where: 'version',
    hint: names.length === 0 ? 'No release is known yet.' : `The newest are: ${names.join(', ')}.`,
  });
}
