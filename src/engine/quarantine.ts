// Who is quarantined now, by the directives of the moment; and the verb by which a person lets one agent try a release again.
import { productNamed, releaseNamed } from '../domain/named.ts';
import { attemptsUsed, quarantineLane, sumSpent } from '../domain/quarantine.ts';
import type { ClearOptions } from '../domain/requests.ts';
import { checkAttempts } from '../domain/seen.ts';
import type { ProductRules } from '../domain/snapshot.ts';
import { schemeOf } from '../domain/version/schemes.ts';
import { AppError } from '../errors.ts';
import { findAgent } from '../store/agents.ts';
import { attemptsOfAgentsInRollouts } from '../store/attempts.ts';
import { appendAudit } from '../store/audit.ts';
import { listClearances, putClearance } from '../store/clearances.ts';
import { listBrakes, listVetoes } from '../store/controls.ts';
import { type Database, type Tx, transaction } from '../store/database.ts';
import { listReleases } from '../store/releases.ts';
import { listBaselineLanes, loadRollout, rolloutIdOf } from '../store/rollouts.ts';
import type { Memory } from './memory.ts';
import type { VerbEffects } from './operator.ts';
import type { Roster } from './roster.ts';

export interface Quarantined {
  product: string;
  /** The release that it is kept from. */
  version: string;
  rolloutId: string;
  attempts: number;
  /** `attemptsPerAgent` of the rollout's policy. */
  limit: number;
}

/** What the agent is kept from now: of releases that do not go out in its region, and are no baseline there, nothing is said. */
export function quarantinesOf({ roster, memory }: { roster: Roster; memory: Memory }, handle: number): Quarantined[] {
  const spent = roster.spentOf(handle);
  const entry = spent.length === 0 ? undefined : roster.entry(handle);
  if (entry === undefined) return [];
  const found = new Map<string, Quarantined>();
  for (const { product, version: running } of entry.products) {
    const directive = memory.directive(product, entry.region);
    if (directive === undefined) continue;
    const scheme = schemeOf(directive.scheme);
    for (const lane of [directive.lane, directive.baseline]) {
      if (lane === null || scheme.parse(running) === undefined || scheme.compare(running, lane.version) >= 0) continue;
      const { rolloutId, version, attemptsPerAgent: limit } = lane;
      const attempts = attemptsUsed(spent, lane);
      if (attempts >= limit) found.set(rolloutId, { product, version, rolloutId, attempts, limit });
    }
  }
  return [...found.values()];
}

/** In the order of the handles, at most `limit`; `more`: there are others. */
export function listQuarantined(
  parts: { roster: Roster; memory: Memory },
  product: string | null,
  limit: number,
): { quarantined: (Quarantined & { handle: number; agentId: string })[]; more: boolean } {
  const found: (Quarantined & { handle: number; agentId: string })[] = [];
  for (const handle of parts.roster.spentHandles()) {
    for (const one of quarantinesOf(parts, handle)) {
      if (product !== null && one.product !== product) continue;
      if (found.length >= limit) return { quarantined: found, more: true };
      found.push({ ...one, handle, agentId: parts.roster.idOf(handle) });
    }
  }
  return { quarantined: found, more: false };
}

export interface ClearChange {
  /** As the product's scheme prints it. */
  version: string;
  /** False when the agent was not quarantined at the release. */
  changed: boolean;
  /** Attempts that are forgiven. */
  attempts: number;
}

/**
 * The counters of the step stay the fold of all attempts: what went bad there stays bad, and a success mends a setback.
 * Memory knows when it resolves. Throws `not_found`, `revision_mismatch`.
 */
export async function clearQuarantine(
  {
    database,
    roster,
    products,
    now,
  }: { database: Database; roster: Roster; products: readonly ProductRules[]; now: number },
  options: ClearOptions,
): Promise<{ change: ClearChange; effects: VerbEffects; handle: number }> {
  const done = await transaction(database, async (tx) => {
    const written = await write(tx, products, options, now);
    return { ...written, vetoes: await listVetoes(tx), brakes: await listBrakes(tx) };
  });
  const { handle, rolloutId, spent, change, vetoes, brakes } = done;
  const others = roster.spentOf(handle).filter((one) => one.rolloutId !== rolloutId);
  roster.setSpent(handle, [...others, ...spent]);
  return { change, handle, effects: { changed: change.changed, lanes: [], withdrawnLanes: [], vetoes, brakes } };
}

async function write(tx: Tx, products: readonly ProductRules[], options: ClearOptions, now: number) {
  const { agentId, actor, reason } = options;
  const agent = await findAgent(tx, agentId);
  if (agent === undefined) throw new AppError('not_found', `there is no agent ${agentId}`);
  const product = productNamed(products, options.product);
  const { version } = releaseNamed(await listReleases(tx, product.name), product, options.version);
  const rolloutId = await rolloutIdOf(tx, product.name, version);
  const rollout = rolloutId === undefined ? undefined : await loadRollout(tx, rolloutId);
  if (rollout === undefined) {
    const hint = 'See `tidegate quarantine list`.';
    throw new AppError('not_found', `${product.name} ${version} has no rollout: nobody has tried it`, { hint });
  }
  const attempts = await attemptsOfAgentsInRollouts(tx, [agentId], [rollout.id]);
  const before = sumSpent(attempts, await listClearances(tx, [agentId]));
  const lanes = [...rollout.lanes, ...(await listBaselineLanes(tx)).filter((one) => one.rolloutId === rollout.id)];
  const used = lanes
    .filter((lane) => lane.region === agent.region)
    .map((lane) => attemptsUsed(before, quarantineLane(rollout, lane)));
  const most = Math.max(0, ...used);
  const changed = most >= rollout.policy.attemptsPerAgent;
  const what = `the quarantine of ${agent.name} at ${product.name} ${version}`;
  checkAttempts(what, changed ? most : 0, options.expectedAttempts);
  const done = {
    handle: agent.handle,
    rolloutId: rollout.id,
    change: { version, changed, attempts: changed ? most : 0 },
  };
  if (!changed) return { ...done, spent: before };
  const { sequence } = agent;
  await putClearance(tx, { agentId, rolloutId: rollout.id, sequence, actor, reason, at: now });
  const data = { agent: agent.name, product: product.name, version, attempts: most, reason };
  await appendAudit(tx, { at: now, actor, action: 'quarantine.cleared', subject: agentId, data });
  return { ...done, spent: sumSpent(attempts, [{ rolloutId: rollout.id, sequence }]) };
}
