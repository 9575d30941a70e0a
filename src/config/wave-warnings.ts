// Warns where no policy of a product has a region in a wave: whoever runs the product there gets no release of it.
import type { Config } from '../config.ts';

/** One sentence for each product that leaves regions out. */
export function waveWarnings({
  regions,
  products,
  policies,
}: Pick<Config, 'regions' | 'products' | 'policies'>): string[] {
  return products.flatMap(({ name, policy, policies: byJump }) => {
    const used = new Set([policy, ...Object.values(byJump)]);
    const inWaves = new Set(Object.values(policies).flatMap((one) => (used.has(one.name) ? one.waves.flat() : [])));
    const out = regions.map((region) => region.name).filter((region) => !inWaves.has(region));
    if (out.length === 0) return [];
    const what = `${out.join(', ')} stand${out.length === 1 ? 's' : ''} in no wave of a policy of ${name}`;
    return [`products.${name}.policy: ${what}: agents there get no release of it, and are held as not_assigned`];
  });
}
