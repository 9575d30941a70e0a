// A person's veto of one release, rolled out or not, and the end of any veto: one transaction with its audit row.
import { type Veto, vetoFor } from '../domain/directives.ts';
import { productNamed, releaseNamed } from '../domain/named.ts';
import type { VetoOptions } from '../domain/requests.ts';
import { checkSeen } from '../domain/seen.ts';
import type { ProductRules } from '../domain/snapshot.ts';
import { appendAudit } from '../store/audit.ts';
import { deleteVeto, listBrakes, listVetoes, putVeto } from '../store/controls.ts';
import { type Database, type Tx, transaction } from '../store/database.ts';
import { listReleases } from '../store/releases.ts';
import type { VerbEffects } from './operator.ts';

export interface VetoChange {
  /** As the product's scheme prints it. */
  version: string;
  /** False when it already was so. */
  changed: boolean;
  /** The veto that stands now. */
  veto: Veto | null;
  /** The one that stood before, and is lifted or replaced. */
  lifted: Veto | null;
}

/**
 * A person's veto replaces an automatic one, which a retry would lift; an earlier person's stays. Lanes that go on halt
 * in the next pass of the planner, and stay halted when the veto is lifted. Throws `not_found`, `revision_mismatch`.
 */
export async function changeVeto(
  { database, products, now }: { database: Database; products: readonly ProductRules[]; now: number },
  options: VetoOptions,
): Promise<{ change: VetoChange; effects: VerbEffects }> {
  return await transaction(database, async (tx) => {
    const product = productNamed(products, options.product);
    const before = await listVetoes(tx);
    const version = await versionNamed(tx, before, product, options.version);
    const was = vetoFor(before, product.name, version) ?? null;
    const { actor, reason, on } = options;
    checkSeen(`the veto of ${product.name} ${version}`, on, was ?? undefined, options.expectedAt);
    const changed = on
      ? await putVeto(tx, { product: product.name, version, automatic: false, actor, reason, at: now })
      : await deleteVeto(tx, product.name, version);
    if (changed) {
      const lifted = was === null ? {} : { lifted: { by: was.actor, automatic: was.automatic, reason: was.reason } };
      const action = on ? 'release.vetoed' : 'release.unvetoed';
      await appendAudit(tx, {
        at: now,
        actor,
        action,
        subject: `${product.name}@${version}`,
        data: { reason, ...lifted },
      });
    }
    const vetoes = await listVetoes(tx);
    const veto = vetoFor(vetoes, product.name, version) ?? null;
    const effects = { changed, lanes: [], withdrawnLanes: [], vetoes, brakes: await listBrakes(tx) };
    return { change: { version, changed, veto, lifted: changed ? was : null }, effects };
  });
}

/** What is vetoed can be named as such, whatever the scheme makes of it by now. */
async function versionNamed(tx: Tx, vetoes: readonly Veto[], product: ProductRules, name: string): Promise<string> {
  if (vetoFor(vetoes, product.name, name) !== undefined) return name;
  return releaseNamed(await listReleases(tx, product.name), product, name).version;
}
