// C3: what the server reckons of a region's windows, held against a formatter that knows nothing of it, around clock changes.
import type { Calendar } from '../../src/domain/snapshot.ts';
import type { Freeze } from '../../src/domain/window.ts';
import { windowStatus } from '../../src/domain/window.ts';
import type { Random } from './random.ts';
import { isLocallyOpen } from './wall-clock.ts';

const MINUTE = 60_000;
const LOOKS = 12;

/** Undefined where both agree, at drawn instants of the three days after `startAt` and at the edges that follow them. */
export function disagreement(
  calendar: Calendar,
  freezes: readonly Freeze[],
  startAt: number,
  random: Random,
): string | undefined {
  const { region, timeZone, windows } = calendar;
  const own = freezes.filter((one) => one.regions === null || one.regions.includes(region));
  for (let look = 0; look < LOOKS; look += 1) {
    const at = startAt + random.upTo(3 * 24 * 60) * MINUTE;
    const status = windowStatus(windows, own, timeZone, at);
    const edge = status.open ? status.closesAt : status.opensAt;
    const points = [
      { at, open: status.open },
      ...(edge === null ? [] : [{ at: edge, open: !status.open }]),
      ...(edge === null || edge - MINUTE < at ? [] : [{ at: edge - MINUTE, open: status.open }]),
    ];
    const wrong = points.find((point) => isLocallyOpen(calendar, freezes, point.at) !== point.open);
    if (wrong === undefined) continue;
    return `${region} (${timeZone}) is ${wrong.open ? 'open' : 'closed'} at ${new Date(wrong.at).toISOString()}, says the server`;
  }
  return undefined;
}
