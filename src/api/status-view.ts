// The status page's data: products with their releases, sources and versions, the brakes, and the newest rollouts.
import type { Config } from '../config.ts';
import { highestOn, ownFilter } from '../domain/history.ts';
import { refusedVersions } from '../domain/refused.ts';
import { ERROR_RULES, type ErrorCode } from '../errors.ts';
import type { ProductView, StatusReply } from '../protocol/operator.ts';
import { listBrakes, listVetoes } from '../store/controls.ts';
import type { Db } from '../store/database.ts';
import { baselinesInForce, type ReleaseHead, releaseHeads } from '../store/operator-views.ts';
import { listSources, type SourceState } from '../store/releases.ts';
import { listRollouts } from '../store/rollouts.ts';
import type { OperatorService } from './services.ts';
import { holdView, viewRollouts } from './views.ts';

const MAX_ROLLOUTS = 50;
const MAX_NAMED = 5;
const MAX_UNNAMED = 20;
const MAX_WHY = 500;
const MAX_REFUSED = 100;

export async function viewStatus(
  db: Db,
  operator: OperatorService,
  products: Config['products'],
  now: number,
): Promise<StatusReply> {
  const rollouts = await listRollouts(db, { limit: MAX_ROLLOUTS });
  const unnamed = operator.unnamedRegions();
  return {
    now,
    agents: operator.counts(),
    ...(unnamed.length === 0 ? {} : { unnamedRegions: unnamed.slice(0, MAX_UNNAMED) }),
    brakes: await viewBrakes(db),
    clock: operator.clockDoubt(),
    ceilings: operator.ceilings(),
    products: await viewProducts(db, operator, products),
    rollouts: await viewRollouts(db, operator, rollouts, now),
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
  const releases = await releaseHeads(db);
  const vetoes = await listVetoes(db);
  const baselines = await baselinesInForce(db);
  const sources = new Map((await listSources(db)).map((source) => [source.product, source]));
  const holds = new Map(operator.productHolds().map((hold) => [hold.product, hold]));
  const versions = Map.groupBy(operator.versions(), (row) => row.product);
  return products.map((product) => {
    const { name, repository } = product;
    const hold = holds.get(name);
    const source = sources.get(name);
    const known = releases.get(name) ?? [];
    const newest = operator.newest(name);
    const vetoed = new Map(vetoes.filter((veto) => veto.product === name).map((veto) => [veto.version, veto.reason]));
    return {
      name,
      repository,
      newest,
      highest: highestOn(known, product, ownFilter(product), [...vetoed.keys()])?.version ?? null,
      releases: known.length,
      rejectedTags: source?.rejectedCount ?? 0,
      pending: above(newest, known).map((release) =>
        pendingView(release, vetoed.get(release.version), operator.whyNot(name, release.version)),
      ),
      rejected: (source?.rejectedTags ?? []).slice(0, MAX_NAMED).map(({ tag, why }) => ({ tag, why: cut(why) })),
      refused: refusedVersions(known).slice(0, MAX_REFUSED),
      source: sourceView(source),
      versions: (versions.get(name) ?? []).map(({ product: _, ...row }) => row),
      baselines: baselines.get(name) ?? [],
      hold: hold === undefined ? null : holdView(hold),
    };
  });
}

/** What stands higher than the release that may be let out; everything while there is none. */
function above(newest: string | null, known: readonly ReleaseHead[]): ReleaseHead[] {
  const place = newest === null ? -1 : known.findIndex((release) => release.version === newest);
  return known.slice(0, place === -1 ? MAX_NAMED : Math.min(place, MAX_NAMED));
}

function pendingView(
  release: ReleaseHead,
  veto: string | undefined,
  whyNot: string | null,
): ProductView['pending'][number] {
  const { tag, version, state, why } = release;
  if (veto !== undefined) return { tag, version, state, why: cut(`vetoed: ${veto}`) };
  const said = state === 'complete' ? (whyNot ?? why) : why;
  return { tag, version, state, why: cut(said ?? WHY[state]) };
}

/** For states that speak for themselves, or whose reason is the config's. */
const WHY: Record<ReleaseHead['state'], string> = {
  announced: 'the release has no files yet',
  pending: 'files are missing',
  complete: 'it is looked at in the next pass',
  withdrawn: 'GitHub does not list it any more',
  altered: 'it was changed after it was complete',
  refused: 'its version stands under two tags',
};

function cut(text: string): string {
  return text.length > MAX_WHY ? `${text.slice(0, MAX_WHY - 3)}...` : text;
}

function hintOf(code: string | null | undefined): string | null {
  return code != null && Object.hasOwn(ERROR_RULES, code) ? ERROR_RULES[code as ErrorCode].hint : null;
}

export function sourceView(source: SourceState | undefined): ProductView['source'] {
  return {
    lastSuccessAt: source?.lastSuccessAt ?? null,
    nextPollAt: source?.nextPollAt ?? null,
    errorCode: source?.errorCode ?? null,
    error: source?.error ?? null,
    hint: hintOf(source?.errorCode),
    notice: source?.notice ?? null,
  };
}
