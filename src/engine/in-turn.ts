// Runs what reads, writes and tells memory one after another; where a commit is in doubt, memory is read anew before the next one.
import pLimit from 'p-limit';
import { CommitInDoubt } from '../store/database.ts';

/** `readAnew` is tried again at the next turn while it fails. */
export function inTurn(readAnew: () => Promise<void>): <T>(run: () => Promise<T>) => Promise<T> {
  const limit = pLimit(1);
  let isInDoubt = false;
  return (run) =>
    limit(async () => {
      if (isInDoubt) await readAnew();
      isInDoubt = false;
      try {
        return await run();
      } catch (error) {
        isInDoubt = error instanceof CommitInDoubt;
        throw error;
      }
    });
}
