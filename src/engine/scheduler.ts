// node-cron's ticks: plan every second, flush what is only in memory every five; what is due, the callees find out.
import { createTask } from 'node-cron';
import type { Logger } from 'pino';

export interface TickingOptions {
  logger: Logger;
  plan: () => Promise<void>;
  flush: () => Promise<void>;
}

/** Stops with both jobs at rest. In UTC: elsewhere node-cron skips or stalls when the clocks are changed. */
export function startTicking({ logger, plan, flush }: TickingOptions): { stop(): Promise<void> } {
  const jobs = [job('* * * * * *', 'planning', plan, logger), job('*/5 * * * * *', 'flushing', flush, logger)];
  return {
    async stop() {
      await Promise.all(jobs.map((one) => one.stop()));
    },
  };
}

function job(cron: string, name: string, run: () => Promise<void>, logger: Logger): { stop(): Promise<void> } {
  let running: Promise<void> = Promise.resolve();
  const task = createTask(
    cron,
    () => {
      running = run().catch((error: unknown) => logger.error({ err: error }, `${name} failed`));
      return running;
    },
    {
      timezone: 'UTC',
      noOverlap: true,
      suppressMissedWarning: true,
      // A tick that came late or fell into a running one is made up for by the next.
      logger: {
        info: () => {},
        debug: () => {},
        warn: () => {},
        error: (message) => logger.error({ err: message }, `${name} failed`),
      },
    },
  );
  void task.start();
  return {
    async stop() {
      await task.destroy();
      await running;
    },
  };
}
