// Which product, release or region of a rollout a person means, and what there is when it is none of these.
import { AppError } from '../errors.ts';
import type { Release } from './release.ts';
import type { ProductRules } from './snapshot.ts';
import { schemeOf } from './version/schemes.ts';

/** Throws `not_found` with the names that there are. */
export function productNamed(products: readonly ProductRules[], name: string): ProductRules {
  const product = products.find((one) => one.name === name);
  if (product !== undefined) return product;
  throw new AppError('not_found', `the config has no product ${name}`, {
    where: 'product',
    hint: `There are: ${products.map((one) => one.name).join(', ')}.`,
  });
}

const MAX_NAMED = 5;

/** By version or tag. Throws `not_found` with the newest that there are. */
export function releaseNamed(
  releases: readonly Release[],
  product: Pick<ProductRules, 'name' | 'scheme'>,
  name: string,
): Release {
  const scheme = schemeOf(product.scheme);
  // A version read by another scheme, before the config changed, has no place in this one's order.
  const known = releases
    .filter((one) => one.product === product.name && scheme.parse(one.version) !== undefined)
    .sort((a, b) => scheme.compare(b.version, a.version));
  const found = known.find((one) => one.version === name) ?? known.find((one) => one.tag === name);
  if (found !== undefined) return found;
  const newest = known.slice(0, MAX_NAMED).map((one) => one.version);
  const hint =
    newest.length === 0 ? 'No release of the product is known yet.' : `The newest are: ${newest.join(', ')}.`;
  throw new AppError('not_found', `${product.name} has no release ${name}`, { where: 'version', hint });
}

/** `region`: as it was asked for; null: any. */
export function noLaneIn(
  { version, lanes }: { version: string; lanes: readonly { region: string }[] },
  region: string | null,
): AppError {
  return new AppError('not_found', `the rollout of ${version} has no lane in ${region ?? 'any region'}`, {
    hint: `It has lanes in: ${lanes.map((lane) => lane.region).join(', ')}.`,
  });
}
