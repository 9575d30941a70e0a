// The way of a message: lost, late, twice, out of order, cut off; each direction on its own.
import { AppError } from '../../src/errors.ts';
import type { World } from './world.ts';

export interface Network {
  /**
   * Sends a request, with all that can happen to it, and resolves with the reply. Rejects with `unreachable` when none
   * has come for `patienceMs`, or with what the server refused it with.
   */
  send<T>(from: { name: string; region: string }, patienceMs: number, deliver: () => Promise<T>): Promise<T>;
  /** Cuts a region or an agent (by name) off; `way`: what does not come through. */
  cut(whom: string, way: 'both' | 'requests' | 'replies', untilMs: number): void;
  /** Everything goes through from now on. */
  mend(): void;
}

interface Cut {
  way: 'both' | 'requests' | 'replies';
  untilMs: number;
}

export function createNetwork(world: World): Network {
  const { time, marks, truth } = world;
  const { faults, scale } = world.plan;
  const random = world.random.fork('network');
  const cuts = new Map<string, Cut>();
  let lastSentAt = 0;

  function isCut({ name, region }: { name: string; region: string }, way: 'requests' | 'replies'): boolean {
    return [name, region].some((whom) => {
      const cut = cuts.get(whom);
      return cut !== undefined && cut.untilMs > time.now() && (cut.way === 'both' || cut.way === way);
    });
  }

  function latency(): number {
    const usual = random.between(1, 40) * scale;
    if (truth.calm || !random.chance(faults.delays)) return usual;
    marks.hit('message_delayed');
    return usual + random.upTo(faults.longestDelayMs);
  }

  function isLost(from: { name: string; region: string }, way: 'requests' | 'replies'): boolean {
    if (truth.calm) return false;
    if (isCut(from, way)) {
      marks.hit('partitioned');
      return true;
    }
    return random.chance(faults.loss);
  }

  return {
    send(from, patienceMs, deliver) {
      return new Promise((resolve, reject) => {
        const sentAt = time.now();
        let settled = false;
        const giveUp = time.after(patienceMs, () => end(() => reject(new AppError('unreachable', 'no answer came'))));
        const end = (settle: () => void) => {
          if (settled) return;
          settled = true;
          giveUp();
          settle();
        };
        const wasCalm = truth.calm;
        const arrive = (isCopy: boolean) => {
          // What is still under way when the faults end, old lies among it, arrives nowhere.
          if (truth.calm && !wasCalm) return;
          truth.messages += 1;
          if (!isCopy && sentAt < lastSentAt) marks.hit('messages_reordered');
          lastSentAt = Math.max(lastSentAt, sentAt);
          const answered = (settle: () => void) => {
            if (isLost(from, 'replies')) {
              marks.hit('reply_lost');
              return;
            }
            time.after(latency(), () => end(settle));
          };
          deliver().then(
            (reply) => answered(() => resolve(reply)),
            (error: unknown) => answered(() => reject(error)),
          );
        };
        if (isLost(from, 'requests')) marks.hit('request_lost');
        else time.after(latency(), () => arrive(false));
        if (truth.calm || !random.chance(faults.duplicates)) return;
        marks.hit('message_duplicated');
        time.at(sentAt + latency() + random.upTo(faults.longestDelayMs), () => arrive(true));
      });
    },
    cut(whom, way, untilMs) {
      cuts.set(whom, { way, untilMs });
    },
    mend: () => cuts.clear(),
  };
}
