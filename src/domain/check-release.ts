// Whether a person's verb may let a release go out again: what was withdrawn or altered since would halt at once.
import { AppError } from '../errors.ts';
import { type Release, troubleOf } from './release.ts';

/** `release` as it is now; undefined: it is not known any more. Throws `conflict`. */
export function checkRelease(verb: string, release: Release | undefined): void {
  const trouble = troubleOf(release);
  if (trouble === undefined) return;
  const hint =
    release?.state === 'withdrawn'
      ? 'Wait until GitHub lists it again as it was, or publish a higher version.'
      : 'Publish a higher version.';
  throw new AppError('conflict', `${verb}: ${trouble}`, { hint });
}
