// The fleet of a product in groups of agents that are alike, counted region by region so that check-ins come in between.
import type { FleetGroup, PassedOver } from '../domain/rehearse/model.ts';
import { policiesOf } from '../domain/rehearse/question.ts';
import type { ProductRules } from '../domain/snapshot.ts';
import { AppError } from '../errors.ts';
import { inTurns } from './pieces.ts';
import type { Kind, Roster } from './roster.ts';

export interface GroupsInput {
  product: ProductRules;
  regions: readonly string[];
  observedMs: number;
  /** Labels that matter beside those of the policies' steps. */
  labels: readonly string[];
  /** Why agents of a kind cannot be brought to the release; undefined: they can. */
  objection: (kind: Kind) => string | undefined;
}

export interface CountedFleet {
  groups: FleetGroup[];
  passedOver: PassedOver[];
  /** Agents that are in no group, by why, the most first. */
  leftOut: { why: string; agents: number }[];
}

const MAX_GROUPS = 50_000;

/** Labels that make no difference are left out, and agents that stand against the release themselves. Throws `conflict` for more than 50,000 kinds of agents. */
export async function fleetGroups(roster: Roster, input: GroupsInput): Promise<CountedFleet> {
  const { product, regions, observedMs } = input;
  const steps = policiesOf(input).flatMap((policy) => policy.steps);
  const wanted = [...new Set([...input.labels, ...steps.flatMap((step) => Object.keys(step.labels ?? {}))])];
  const groups: FleetGroup[] = [];
  const aside: PassedOver[] = [];
  const leftOut = new Map<string, number>();
  const objectionTo = roster.byKind(input.objection);
  for (const region of regions) {
    const here = new Map<string, FleetGroup>();
    const known = new Map<Record<string, string>, string>();
    const passedOver = new Map<string, PassedOver>();
    const counting = roster.visit(product.name, region, (handle, version, platform) => {
      const labels = roster.labelsOf(handle);
      const kind = known.get(labels) ?? JSON.stringify(wanted.map((name) => labels[name] ?? null));
      known.set(labels, kind);
      const why = objectionTo(handle);
      if (why !== undefined) {
        leftOut.set(why, (leftOut.get(why) ?? 0) + 1);
        const like = passedOver.get(kind) ?? { region, labels: pick(labels, wanted), agents: 0 };
        like.agents += 1;
        passedOver.set(kind, like);
        return;
      }
      const key = `${version} ${platform} ${kind}`;
      let group = here.get(key);
      if (group === undefined) {
        group = { region, platform, version, labels: pick(labels, wanted), agents: 0, present: 0 };
        here.set(key, group);
      }
      group.agents += 1;
      if (roster.silentMs(handle, observedMs) < product.policy.staleAfterMs) group.present += 1;
    });
    await inTurns(counting);
    groups.push(...here.values());
    aside.push(...passedOver.values());
    if (groups.length > MAX_GROUPS) {
      throw new AppError('conflict', `the fleet has more than ${MAX_GROUPS} kinds of agents`, {
        hint: 'Rehearse with --fleet FILE, without labels of which nearly every agent has its own.',
      });
    }
  }
  return { groups, passedOver: aside, leftOut: mostFirst(leftOut) };
}

export function mostFirst(leftOut: ReadonlyMap<string, number>): CountedFleet['leftOut'] {
  return [...leftOut].toSorted(([, a], [, b]) => b - a).map(([why, agents]) => ({ why, agents }));
}

function pick(labels: Record<string, string>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (labels[name] === undefined ? [] : [[name, labels[name]]])));
}
