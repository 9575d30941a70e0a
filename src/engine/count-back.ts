// Who still runs the release that a lane takes back: who can be brought back, who cannot, and who is silent.
import type { BackTo, Lane, Rollout } from '../domain/rollout.ts';
import type { BackCensus } from '../domain/snapshot.ts';
import { hostObjection, type Way } from '../domain/way.ts';
import { wayBackOf } from '../domain/way-back.ts';
import type { CensusInput } from './census.ts';
import { wayTo } from './fitness.ts';
import type { Pieces } from './pieces.ts';

export function* countBack(input: CensusInput, rollout: Rollout, lane: Lane, to: BackTo): Pieces<BackCensus> {
  const { roster, observedMs, products, releases } = input;
  const way = wayTo(products, releases, { ...rollout, ...to });
  const platforms = new Set<string>();
  const found = { left: 0, out: 0, gone: 0 };
  yield* roster.visit(lane.product, lane.region, (handle, version, platform) => {
    if (version !== rollout.version) return;
    if (roster.silentMs(handle, observedMs) >= rollout.policy.staleAfterMs) found.gone += 1;
    else if (way === undefined || !canGo(input, rollout, lane, way, handle)) found.out += 1;
    else {
      found.left += 1;
      platforms.add(platform);
    }
  });
  return { ...found, platforms: [...platforms].sort() };
}

/** As `decide` would have it: not pinned, with attempts left, and with nothing of the host against it. */
function canGo({ roster }: CensusInput, rollout: Rollout, lane: Lane, way: Way, handle: number): boolean {
  const { product } = lane;
  const entry = roster.entry(handle);
  const running = entry?.products.find((one) => one.product === product);
  if (entry === undefined || running === undefined || roster.isPinned(handle, product)) return false;
  const live = roster.liveOf(handle).some((attempt) => attempt.laneId === lane.id);
  const epoch = wayBackOf(lane)?.step;
  const spent = roster.spentOf(handle).find((one) => one.laneId === lane.id && one.budgetEpoch === epoch);
  if (!live && (spent?.count ?? 0) >= rollout.policy.attemptsPerAgent) return false;
  if (!way.stops.at(-1)?.artifacts.some((artifact) => artifact.platform === entry.platform)) return false;
  // Who is unwell goes back all the same.
  const host = { ...running, platform: entry.platform, facts: entry.facts, health: 'ok', healthReason: null } as const;
  return hostObjection(way, host) === undefined;
}
