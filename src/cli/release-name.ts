// Which release a person means: product@version.
import { AppError } from '../errors.ts';

/** Throws `usage`. */
export function readRelease(name: string): { product: string; version: string } {
  const at = name.lastIndexOf('@');
  if (at > 0 && at < name.length - 1) return { product: name.slice(0, at), version: name.slice(at + 1) };
  throw new AppError('usage', `${name} does not name a release`, { hint: 'Give product@version.' });
}
