// Who was frozen into a step by its share, held against the order of the rollout's ranks.
import type { Kysely } from 'kysely';
import type { Policy } from '../../src/domain/policy.ts';
import { hash32, rank } from '../../src/domain/rank.ts';
import type { Rollout, Step } from '../../src/domain/rollout.ts';
import { hasBit } from '../../src/engine/bitset.ts';
import { loadMembers } from '../../src/store/rollouts.ts';
import type { DB } from '../../src/store/schema.ts';

interface Agent {
  id: string;
  handle: number;
  labels: Record<string, string>;
}

/** The first member who stands beyond what the step reaches; undefined: there is none. */
export async function findBeyondReach(db: Kysely<DB>, rollouts: readonly Rollout[]): Promise<string | undefined> {
  const rows = await db.selectFrom('agents').select(['id', 'handle', 'labels']).execute();
  const agents = rows.map((row) => ({ ...row, labels: JSON.parse(row.labels) as Record<string, string> }));
  for (const rollout of rollouts) {
    for (const lane of rollout.lanes) {
      for (const step of lane.steps) {
        if (!goesByRank(rollout.policy, step.step)) continue;
        const members = await loadMembers(db, lane.id, step.step);
        const beyond = agents.find((agent) => hasBit(members, agent.handle) && !isReached(agent, rollout, step));
        if (beyond === undefined) continue;
        return `${beyond.id} is a member of step ${step.step + 1} of ${rollout.version} in ${lane.region}, and is not among its first by rank`;
      }
    }
  }
  return undefined;
}

/** Neither by labels, nor for everybody, nor with those before all others who are unwell. */
function goesByRank(policy: Policy, step: number): boolean {
  const own = policy.steps[step];
  return own !== undefined && own.labels === null && own.percent !== 100 && policy.unhealthy !== 'first';
}

function isReached({ id, labels }: Agent, { seed, policy }: Rollout, step: Step): boolean {
  const place = rank(hash32(id), seed);
  if (place < step.threshold || (place === step.threshold && id <= step.thresholdId)) return true;
  // Inside an earlier step by its labels.
  return policy.steps
    .slice(0, step.step)
    .some((one) => one.labels !== null && Object.entries(one.labels).every(([key, value]) => labels[key] === value));
}
