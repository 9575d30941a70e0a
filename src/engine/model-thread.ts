// Plays one rehearsal or back-test at a time in a thread of its own, within a bound of time and memory.
import { Worker } from 'node:worker_threads';
import type { Backtest, BacktestQuestion } from '../domain/rehearse/backtest.ts';
import type { Rehearsal, RehearsalQuestion } from '../domain/rehearse/rehearse.ts';
import { AppError } from '../errors.ts';
import type { WorkerTask } from './rehearse-worker.ts';

export interface ModelThread {
  /** Throws `overloaded` while another one is played, `timeout` after 60 s. */
  rehearse(question: RehearsalQuestion): Promise<Rehearsal>;
  backtest(question: BacktestQuestion): Promise<Backtest>;
  close(): Promise<void>;
}

const MAX_MS = 60_000;
const RETRY_MS = 10_000;
/** A million agents take about 700 MB; the larger young space saves a third of the time. */
const RESOURCES = { maxOldGenerationSizeMb: 1_536, maxYoungGenerationSizeMb: 96 };
const SMALLER = 'Rehearse a smaller fleet with --fleet FILE, or a shorter time.';

export function openModelThread(): ModelThread {
  let running: Worker | undefined;

  async function play<T>(task: WorkerTask): Promise<T> {
    if (running !== undefined) {
      const options = { retryAfterMs: RETRY_MS, hint: 'Try again when it has ended.' };
      throw new AppError('overloaded', 'another rehearsal or back-test is being played', options);
    }
    const worker = new Worker(new URL('./rehearse-worker.ts', import.meta.url), {
      workerData: task,
      resourceLimits: RESOURCES,
    });
    running = worker;
    try {
      return await answerOf<T>(worker);
    } finally {
      running = undefined;
      await worker.terminate();
    }
  }

  return {
    rehearse: (question) => play<Rehearsal>({ kind: 'rehearse', question }),
    backtest: (question) => play<Backtest>({ kind: 'backtest', question }),
    async close() {
      await running?.terminate();
    },
  };
}

function answerOf<T>(worker: Worker): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new AppError('timeout', `it takes longer than ${MAX_MS / 1000} s to play`, { hint: SMALLER }));
    }, MAX_MS);
    worker.once('message', resolve);
    worker.once('error', (error: Error & { code?: string }) => {
      if (error.code !== 'ERR_WORKER_OUT_OF_MEMORY') reject(error);
      else reject(new AppError('overloaded', 'it takes more memory than there is for it', { hint: SMALLER }));
    });
    worker.once('exit', () => {
      clearTimeout(timer);
      reject(new AppError('overloaded', 'the server stops: the rehearsal has ended unfinished'));
    });
  });
}
