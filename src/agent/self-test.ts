// Runs a staged version once with --self-test, before anything points at it: it must start, and say that it is itself.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { toDetail } from './faults.ts';
import type { Fault } from './host.ts';
import type { Order } from './order.ts';
import { ENTRY, LAUNCHER_CONTRACT } from './paths.ts';

export const SELF_TEST_TIMEOUT_MS = 20_000;
const MAX_OUTPUT_BYTES = 65_536;

/** Undefined when the version in `dir` answers for the product and version of the order under our launcher contract. */
export async function selfTest(
  dir: string,
  order: Pick<Order, 'product' | 'version'>,
  timeoutMs = SELF_TEST_TIMEOUT_MS,
): Promise<Fault | undefined> {
  const { error, stdout, stderr } = await run(dir, timeoutMs);
  if (error?.killed === true) return failed(`no answer within ${timeoutMs / 1000} s`);
  if (error !== null) return failed(lastSpokenLine(stderr) ?? error.message);
  const { product, version, launcherContract } = readAnswer(stdout);
  if (product !== order.product || version !== order.version) return failed('it says that it is something else');
  if (launcherContract !== LAUNCHER_CONTRACT) return failed('it speaks another launcher contract');
  return undefined;
}

/** The line of a crash that says most: the error itself rather than its stack. */
export function lastSpokenLine(text: string): string | undefined {
  const lines = text.split('\n').map((line) => line.trimEnd());
  const spoken = lines.filter((line) => line.trim() !== '' && !/^\s+at |^Node\.js v|^\s*\^+$|^[{}\s]*$/.test(line));
  const line = spoken.findLast((candidate) => /^(Uncaught )?[A-Z]\w*(Error|Exception)\b/.test(candidate));
  const chosen = line ?? spoken.at(-1);
  return chosen === undefined ? undefined : toDetail(chosen);
}

interface Ran {
  error: (Error & { killed?: boolean }) | null;
  stdout: string;
  stderr: string;
}

function run(dir: string, timeout: number): Promise<Ran> {
  const limits = { timeout, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT_BYTES } as const;
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(dir, ENTRY), '--self-test'],
      { cwd: dir, env: {}, ...limits },
      (error, stdout, stderr) => resolve({ error, stdout, stderr }),
    );
  });
}

function readAnswer(stdout: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(stdout);
    return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function failed(detail: string): Fault {
  return { cause: 'selftest_failed', detail };
}
