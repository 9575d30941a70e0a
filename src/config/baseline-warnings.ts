// Warns where a policy lets more newcomers activate at a time than its failure budget for them ever does.
import type { Config } from '../config.ts';
import { BASELINE_DEFAULTS } from './shape.ts';

/** One sentence for each policy in use. */
export function baselineWarnings({ products, policies }: Pick<Config, 'products' | 'policies'>): string[] {
  const used = new Set(products.flatMap(({ policy, policies: byJump }) => [policy, ...Object.values(byJump)]));
  return Object.values(policies).flatMap(({ name, baseline: { maxHot, badCount } }) => {
    // Nobody has asked for the default, and nothing is lost by it.
    if (!used.has(name) || maxHot <= badCount || maxHot === BASELINE_DEFAULTS.maxHot) return [];
    return [
      `policies.${name}.baseline.maxHot: ${maxHot} newcomers cannot activate at a time, since ${badCount} gone bad halt ` +
        `them and no more than that are put at risk: raise badCount to ${maxHot}, or lower maxHot to ${badCount}`,
    ];
  });
}
