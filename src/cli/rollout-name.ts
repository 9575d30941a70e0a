// Which rollout a person means: by id, by the beginning of one, or as product@version.
import { AppError } from '../errors.ts';
import type { RolloutView } from '../protocol/operator.ts';
import type { OperatorClient } from '../protocol/operator-client.ts';
import { checkNames } from './known-names.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const PREFIX = /^[0-9a-f][0-9a-f-]{3,34}$/;

const NOT_YET = 'One that has not begun yet is explained in `tidegate status`.';

/** Throws `usage` for what is no name, `not_found`, `conflict` when several fit. */
export async function findRollout(client: OperatorClient, name: string): Promise<RolloutView> {
  if (UUID.test(name)) return await client.rollout(name);
  const at = name.lastIndexOf('@');
  if (at > 0) return await byVersion(client, name.slice(0, at), name.slice(at + 1));
  if (PREFIX.test(name)) return await byPrefix(client, name);
  throw new AppError('usage', `${name} does not name a rollout`, {
    hint: 'Give product@version, an id, or at least its first four characters.',
  });
}

async function byVersion(client: OperatorClient, product: string, version: string): Promise<RolloutView> {
  const rollouts = await client.rollouts({ product });
  const found = rollouts.find((rollout) => rollout.version === version);
  if (found !== undefined) return found;
  if (rollouts.length === 0) await checkNames(client, { product });
  const known = rollouts.slice(0, 5).map((rollout) => rollout.version);
  throw new AppError('not_found', `${product} has no rollout of ${version}`, {
    hint: known.length === 0 ? NOT_YET : `There are: ${known.join(', ')}. ${NOT_YET}`,
  });
}

async function byPrefix(client: OperatorClient, prefix: string): Promise<RolloutView> {
  const found = (await client.rollouts()).filter((rollout) => rollout.id.startsWith(prefix));
  const [first, second] = found;
  if (first === undefined) {
    throw new AppError('not_found', `no rollout has an id that begins with ${prefix}`, {
      hint: 'See `tidegate rollout list`.',
    });
  }
  if (second === undefined) return first;
  const names = found.slice(0, 5).map((rollout) => `${rollout.product}@${rollout.version}`);
  throw new AppError('conflict', `${found.length} rollouts have an id that begins with ${prefix}`, {
    hint: `Say which: ${names.join(', ')}.`,
  });
}
