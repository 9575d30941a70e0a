// The clock of the tracker: runs a poll at the times of a cron expression, never two at once.
import { createTask } from 'node-cron';
import type { Logger } from 'pino';

export interface PollingOptions {
  /** Five or six fields. */
  cron: string;
  /** Idempotent; what is due it finds out itself. */
  run: () => Promise<void>;
  /** UTC: elsewhere node-cron skips or stalls when the clock is put forward or back. */
  timezone: 'UTC';
  logger: Logger;
}

/** `stop` ends the ticking and resolves when a poll that is under way has ended. */
export function startPolling(options: PollingOptions): { stop(): Promise<void> } {
  const { logger } = options;
  let running: Promise<void> = Promise.resolve();
  function tick(): Promise<void> {
    running = options.run().catch((error: unknown) => logger.error({ err: error }, 'polling failed'));
    return running;
  }
  const task = createTask(options.cron, tick, {
    timezone: options.timezone,
    noOverlap: true,
    // A tick that came late or was left out is made up for by the next one.
    suppressMissedWarning: true,
    logger: {
      info: (message) => logger.debug(message),
      debug: (message) => logger.debug(String(message)),
      warn: (message) => logger.debug(message),
      error: (message) => logger.error({ err: message }, 'polling failed'),
    },
  });
  void task.start();
  return {
    async stop() {
      await task.destroy();
      await running;
    },
  };
}
