// What stands against the versions that an agent runs, as sentences: whoever looks at the host should know of it first.
import { type Veto, vetoFor } from '../domain/directives.ts';
import type { Lane } from '../domain/rollout.ts';
import { listVetoes } from '../store/controls.ts';
import { type ReleaseHead, releaseHeads } from '../store/operator-views.ts';
import { loadRollout, rolloutIdOf } from '../store/rollouts.ts';
import type { Db } from '../store/schema.ts';

interface Running {
  region: string;
  products: readonly { product: string; version: string }[];
}

export async function runningTroubles(db: Db, { region, products }: Running): Promise<string[]> {
  if (products.length === 0) return [];
  const [vetoes, heads] = [await listVetoes(db), await releaseHeads(db)];
  const found: string[] = [];
  for (const { product, version } of products) {
    const id = await rolloutIdOf(db, product, version);
    const rollout = id === undefined ? undefined : await loadRollout(db, id);
    const lane = rollout?.lanes.find((one) => one.region === region);
    const release = heads.get(product)?.find((one) => one.version === version);
    found.push(...troublesOf({ product, version }, { release, veto: vetoFor(vetoes, product, version), lane }));
  }
  return found;
}

interface Standing {
  release: Pick<ReleaseHead, 'state' | 'why'> | undefined;
  veto: Veto | undefined;
  /** Of the version's rollout, where the agent stands. */
  lane: Pick<Lane, 'region' | 'state'> | undefined;
}

/** Nothing for a version that no release has: the rules of the answer say so. */
export function troublesOf(running: { product: string; version: string }, standing: Standing): string[] {
  const { product, version } = running;
  const { release, veto, lane } = standing;
  const runs = `it runs ${product} ${version}`;
  const back = `to bring hosts back: tidegate rollout rollback ${product}@${version} --region ${lane?.region}`;
  const { state } = lane ?? {};
  return [
    ...(release !== undefined && GONE.has(release.state)
      ? [`${runs}, whose release is ${release.state}: ${release.why ?? 'GitHub does not say why'}`]
      : []),
    ...(veto === undefined
      ? []
      : [
          `${runs}, which is vetoed by ${veto.automatic ? 'an automatic halt' : veto.actor}: ${veto.reason}${state?.name === 'completed' ? `; ${back}` : ''}`,
        ]),
    ...(state?.name === 'cancelled'
      ? [`${runs}, whose rollout ${state.by} ${state.skipped ? 'skipped' : 'cancelled'} here: ${state.reason}; ${back}`]
      : []),
    ...(state?.name === 'halted' ? [`${runs}, whose rollout is halted here: ${state.reason}; ${back}`] : []),
  ];
}

const GONE: ReadonlySet<string> = new Set(['withdrawn', 'altered', 'refused']);
