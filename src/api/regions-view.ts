// How the regions stand now, as the operators are shown it: the config's facts and the engine's memory together.
import type { RegionsReply, RegionView } from '../protocol/operator.ts';
import type { ApiDeps } from './deps.ts';
import type { OperatorService, RegionNow } from './services.ts';
import { currentStep } from './views.ts';

/** In the order of the config; `now` in milliseconds since the epoch. */
export function viewRegions(
  operator: OperatorService,
  regions: ApiDeps['config']['regions'],
  now: number,
): RegionsReply {
  const known = new Map(operator.regions().map((region) => [region.name, region]));
  return {
    now,
    regions: regions.flatMap(({ name, timeZone, mirror }) => {
      const region = known.get(name);
      return region === undefined ? [] : [viewRegion(region, timeZone, mirror !== null)];
    }),
  };
}

function viewRegion(
  { name, enrolled, present, window, lanes }: RegionNow,
  timeZone: string,
  mirror: boolean,
): RegionView {
  return {
    name,
    timeZone,
    mirror,
    agents: { enrolled, present },
    window: window.open
      ? { open: true, reason: null, detail: null, changesAt: window.closesAt }
      : { open: false, reason: window.reason, detail: window.detail, changesAt: window.opensAt },
    lanes: lanes.map(({ lane, version, steps }) => ({
      product: lane.product,
      version,
      rollout: lane.rolloutId,
      wave: lane.wave,
      state: lane.state.name,
      step: currentStep(lane.state),
      steps,
    })),
  };
}
