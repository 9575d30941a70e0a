// Which of an agent's products are builds that no release has, where the config holds such agents.
import type { InstalledProduct } from '../domain/agent.ts';
import { isKnownBuild } from '../domain/way.ts';
import type { Memory } from './memory.ts';
import type { Roster } from './roster.ts';

/** None while no release of the product is known: then every build would be one. */
export function unknownBuildsOf(
  { roster, memory }: { roster: Roster; memory: Memory },
  handle: number,
): InstalledProduct[] {
  const entry = roster.entry(handle);
  if (entry === undefined) return [];
  return entry.products.filter((running) => {
    const directive = memory.directive(running.product, entry.region);
    if (directive === undefined || directive.unknownBuilds !== 'hold') return false;
    return Object.keys(directive.builds).length > 0 && !isKnownBuild(directive.builds, running);
  });
}
