// Waiting that can be cut short: by the clock, by news from the background, or because the process ends.

export interface Pause {
  /** Ends a sleep or an interruptible request now; remembered when nobody waits. */
  wake(): void;
  /** Resolves after `ms`, at a wake, or when the signal aborts. */
  sleep(ms: number): Promise<void>;
  /** A signal for one request: aborts at the end, and, when it `mayWake`, at a wake or after `ms` too. */
  interruptAfter(ms: number, mayWake: boolean): Interrupt;
}

export interface Interrupt extends Disposable {
  signal: AbortSignal;
}

/** setTimeout takes no more. */
const MAX_TIMER_MS = 2_147_483_647;

export function createPause(end: AbortSignal): Pause {
  let waiting: (() => void) | undefined;
  let isPending = false;

  function wake(): void {
    if (waiting === undefined) isPending = true;
    else waiting();
  }

  function arm(onWake: () => void): void {
    waiting = onWake;
    if (isPending) wake();
    isPending = false;
  }

  return {
    wake,
    sleep(ms) {
      if (end.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const finish = (): void => {
          clearTimeout(timer);
          end.removeEventListener('abort', finish);
          waiting = undefined;
          resolve();
        };
        const timer = setTimeout(finish, Math.min(ms, MAX_TIMER_MS));
        end.addEventListener('abort', finish, { once: true });
        arm(finish);
      });
    },
    interruptAfter(ms, mayWake) {
      const controller = new AbortController();
      const timer = mayWake && ms < MAX_TIMER_MS ? setTimeout(() => controller.abort(), ms) : undefined;
      if (mayWake) arm(() => controller.abort());
      return {
        signal: AbortSignal.any([end, controller.signal]),
        [Symbol.dispose]() {
          clearTimeout(timer);
          waiting = undefined;
        },
      };
    },
  };
}
