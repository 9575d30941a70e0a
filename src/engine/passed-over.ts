// Whom a region's release passes over: agents that could run it and are not brought to it, by the reason of their own.
import type { Directive, LaneDirective } from '../domain/directives.ts';
import { wayOf } from '../domain/directives.ts';
import type { HoldReason } from '../domain/holds.ts';
import { isTerminalLane, type Rollout } from '../domain/rollout.ts';
import { schemeOf } from '../domain/version/schemes.ts';
import { hostObjection, type Way } from '../domain/way.ts';
import type { Memory } from './memory.ts';
import { inTurns } from './pieces.ts';
import { listQuarantined } from './quarantine.ts';
import type { Group, Roster } from './roster.ts';

export interface PassedOver {
  /** `away`: silent, and brought to it when they return. */
  reason: HoldReason | 'away';
  agents: number;
  /** Of most of them; null: the reason says it all. */
  detail: string | null;
}

export interface PassedOverInput {
  roster: Roster;
  memory: Memory;
  observedMs: number;
}

const MAX_QUARANTINED = 10_000;

/**
 * By lane id, the most agents first; of lanes that go out now, and of those whose release is the region's baseline in
 * force. What has been overtaken passes over nobody any more.
 */
export async function passedOver(
  input: PassedOverInput,
  rollouts: readonly Rollout[],
): Promise<Map<string, PassedOver[]>> {
  const { roster, memory, observedMs } = input;
  const followed = rollouts.flatMap((rollout) =>
    rollout.lanes.flatMap(({ id, product, region, state }) => {
      // What has been stopped for good goes on to nobody, passed over or not.
      if (isTerminalLane(state.name) && state.name !== 'completed') return [];
      const directive = memory.directive(product, region);
      const lane = directive === undefined ? undefined : followedIn(directive, id, rollout);
      return directive === undefined || lane === undefined ? [] : [{ id, rollout, directive, lane }];
    }),
  );
  if (followed.length === 0) return new Map();
  const quarantined = quarantinedBy(input);
  const groups = new Map<number, Map<string, Group[]>>();
  const found = new Map<string, PassedOver[]>();
  for (const { id, rollout, directive, lane } of followed) {
    const { staleAfterMs } = rollout.policy;
    const byRegion =
      groups.get(staleAfterMs) ??
      Map.groupBy(await inTurns(roster.groups(staleAfterMs, observedMs)), ({ region }) => region);
    groups.set(staleAfterMs, byRegion);
    const rows = countOver(byRegion.get(directive.region) ?? [], directive, lane);
    const used = quarantined.get(`${rollout.id} ${directive.region}`) ?? 0;
    if (used > 0) rows.push({ reason: 'quarantined', agents: used, detail: null });
    found.set(
      id,
      rows.toSorted((a, b) => b.agents - a.agents || (a.reason < b.reason ? -1 : 1)),
    );
  }
  return found;
}

function followedIn({ lane, baseline }: Directive, laneId: string, rollout: Rollout): LaneDirective | undefined {
  if (lane?.laneId === laneId) return lane.raises ? lane : undefined;
  return baseline?.rolloutId === rollout.id ? baseline : undefined;
}

/** By `rollout region`. */
function quarantinedBy({ roster, memory }: PassedOverInput): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { rolloutId, handle } of listQuarantined({ roster, memory }, null, MAX_QUARANTINED).quarantined) {
    const key = `${rolloutId} ${roster.regionOf(handle)}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

/** Those of one region. */
function countOver(groups: readonly Group[], directive: Directive, lane: LaneDirective): PassedOver[] {
  const way = wayOf(directive, lane);
  const isBaseline = lane.laneId === directive.baseline?.laneId;
  const rows = new Map<PassedOver['reason'], PassedOver & { most: number }>();
  const add = (reason: PassedOver['reason'], agents: number, detail: string | null) => {
    if (agents === 0) return;
    const row = rows.get(reason) ?? { reason, agents: 0, detail, most: 0 };
    const isMost = agents > row.most;
    rows.set(reason, {
      ...row,
      agents: row.agents + agents,
      most: isMost ? agents : row.most,
      detail: isMost ? detail : row.detail,
    });
  };
  for (const group of groups) {
    const why = objectionTo(group, directive.product, lane, way);
    if (why === undefined) continue;
    if (why !== null) add(why.reason, group.agents, why.detail);
    // Who is away from a lane that goes on may still come.
    else if (isBaseline) add('away', group.agents - group.present, null);
  }
  return [...rows.values()].map(({ most: _, ...row }) => row);
}

/** Null: nothing stands against it. Undefined: it does not run the product, or is at the release or beyond it. */
function objectionTo(
  { products, platform, facts, health, pinned }: Group,
  product: string,
  lane: LaneDirective,
  way: Way,
): { reason: HoldReason; detail: string | null } | null | undefined {
  const running = products.find((one) => one.product === product);
  if (running === undefined) return undefined;
  const { version, digest } = running;
  const scheme = schemeOf(way.scheme);
  if (scheme.parse(version) !== undefined && scheme.compare(version, lane.version) >= 0) return undefined;
  if (pinned.includes(product)) return { reason: 'pinned', detail: null };
  if (scheme.parse(version) === undefined) return { reason: 'unknown_build', detail: version };
  if (!lane.artifacts.some((one) => one.platform === platform)) return { reason: 'no_artifact', detail: platform };
  const objection =
    hostObjection(way, { version, digest, platform, facts, health, healthReason: null })?.objection ?? null;
  // Each has a reason of its own, which `agents` shows.
  return objection?.reason === 'unhealthy' ? { ...objection, detail: null } : objection;
}
