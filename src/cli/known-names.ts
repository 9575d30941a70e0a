// Whether the config has a region or a product of this name: for lists that the server leaves empty for any name.
import { AppError } from '../errors.ts';
import type { OperatorClient } from '../protocol/operator-client.ts';

/** Throws `not_found` with the names that there are; for an empty answer, which may be due to a slip of the pen. */
export async function checkNames(
  client: OperatorClient,
  { region, product }: { region?: string | undefined; product?: string | undefined },
): Promise<void> {
  if (region !== undefined) {
    check('region', region, (await client.regions()).regions);
  }
  if (product !== undefined) {
    check('product', product, (await client.status()).products);
  }
}

function check(kind: string, name: string, known: readonly { name: string }[]): void {
  if (known.some((one) => one.name === name)) return;
  throw new AppError('not_found', `the config has no ${kind} ${name}`, {
    hint: known.length === 0 ? 'There is none.' : `There are: ${known.map((one) => one.name).join(', ')}.`,
  });
}
