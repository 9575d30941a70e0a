// The thread in which a rehearsal or a back-test is played: seconds of reckoning that check-ins must not wait for.
import { parentPort, workerData } from 'node:worker_threads';
import { type BacktestQuestion, backtest } from '../domain/rehearse/backtest.ts';
import { type RehearsalQuestion, rehearse } from '../domain/rehearse/rehearse.ts';

export type WorkerTask =
  | { kind: 'rehearse'; question: RehearsalQuestion }
  | { kind: 'backtest'; question: BacktestQuestion };

const task = workerData as WorkerTask;
parentPort?.postMessage(task.kind === 'rehearse' ? rehearse(task.question) : backtest(task.question));
