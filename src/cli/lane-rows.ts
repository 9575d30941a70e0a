// Which lane of a product's rollouts the row of each region shows, and how much it matters to whoever is on call.
import type { LaneView, ProductView, RolloutView } from '../protocol/operator.ts';

/** In the order in which they matter. */
export const ROW_KINDS = ['trouble', 'going', 'waiting', 'done', 'idle'] as const;
export type RowKind = (typeof ROW_KINDS)[number];

export interface Row {
  region: string;
  /** What is shown of the region; null when nothing goes on there. */
  shown: Entry | null;
  /** Other lanes of the region that have not ended, oldest first. */
  behind: Entry[];
  /** The release of the lane, else the region's baseline; null when there is neither. */
  version: string | null;
  /** Agents of the product in the region, by version. */
  agents: { version: string; agents: number }[];
  kind: RowKind;
}

export interface Entry {
  rollout: RolloutView;
  lane: LaneView;
}

/** By wave, then by name; regions where nothing goes on come last. `going`: the product's rollouts that have not ended. */
export function laneRows(product: ProductView, going: readonly RolloutView[]): Row[] {
  // The reply has the newest first: what waits behind comes in the order in which it will have its turn.
  const entries = going.toReversed().flatMap((rollout) => rollout.lanes.map((lane) => ({ rollout, lane })));
  const byRegion = Map.groupBy(entries, ({ lane }) => lane.region);
  const others = [...product.versions, ...(product.baselines ?? [])].map(({ region }) => region);
  const regions = [...new Set([...byRegion.keys(), ...others])];
  const rows = regions.map((region) => rowOf(product, region, byRegion.get(region) ?? []));
  return rows.toSorted((a, b) => waveOf(a) - waveOf(b) || (a.region < b.region ? -1 : 1));
}

/** The lane is held for something that neither passes by itself nor was planned so. */
export function isTroubled({ state, hold }: LaneView): boolean {
  if (TERMINAL.has(state)) return false;
  return TROUBLED.has(state) || (hold !== null && !PASSING.has(hold.reason));
}

/** A person must promote it, and nobody has. */
export function waitsForPerson(lane: LaneView): boolean {
  return lane.state === 'approval' && lane.hold?.reason === 'needs_approval';
}

const TERMINAL = new Set(['completed', 'superseded', 'cancelled', 'rolled_back']);
const TROUBLED = new Set(['halted', 'paused', 'rolling_back']);
/** A reason that is not here is taken for trouble: a newer server may know others. A brake is shown on top, once. */
const PASSING = new Set([
  'previous_wave',
  'older_lane',
  'outside_window',
  'frozen',
  'braked',
  'ceiling',
  'too_young',
  'soaking',
  'at_limit',
  'site_limit',
  'bandwidth',
  'budget',
  'not_in_step',
]);

function rowOf(product: ProductView, region: string, entries: readonly Entry[]): Row {
  const open = entries.filter(({ lane }) => !TERMINAL.has(lane.state));
  const shown = shownOf(open) ?? entries.findLast(({ lane }) => lane.state !== 'superseded') ?? null;
  const baseline = product.baselines?.find((one) => one.region === region)?.version ?? null;
  return {
    region,
    shown,
    behind: open.filter((entry) => entry !== shown),
    version: shown?.rollout.version ?? baseline,
    agents: product.versions.filter((one) => one.region === region),
    kind: kindOf(shown),
  };
}

/** The live one; else what was stopped; else the one whose turn comes first. */
function shownOf(open: readonly Entry[]): Entry | undefined {
  return (
    open.find(({ lane }) => lane.state !== 'waiting' && lane.state !== 'halted') ??
    open.findLast(({ lane }) => lane.state === 'halted') ??
    open[0]
  );
}

function kindOf(shown: Entry | null): RowKind {
  if (shown === null) return 'idle';
  if (isTroubled(shown.lane)) return 'trouble';
  if (TERMINAL.has(shown.lane.state)) return 'done';
  return shown.lane.state === 'waiting' ? 'waiting' : 'going';
}

function waveOf({ shown }: Row): number {
  return shown?.lane.wave ?? Number.MAX_SAFE_INTEGER;
}
