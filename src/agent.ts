#!/usr/bin/env node
// The agent's bin: `--self-test` says what this build is; otherwise runs until the launcher or a signal ends it.
import { parseArgs } from 'node:util';
import { BUILD } from './agent/build-info.ts';
import { createLog } from './agent/log.ts';
import { runAgent } from './agent/main.ts';
import { AppError } from './errors.ts';

const { values } = parseArgs({ options: { 'self-test': { type: 'boolean' }, root: { type: 'string' } } });
if (values['self-test'] === true) {
  process.stdout.write(`${JSON.stringify(BUILD)}\n`);
} else {
  process.exit(await run(values.root ?? process.env['TIDEGATE_ROOT']));
}

async function run(root: string | undefined): Promise<number> {
  const log = createLog('agent');
  const end = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => end.abort());
  // The launcher holds the other end of stdin: when it is gone, nobody would start or undo this process any more.
  if (process.env['TIDEGATE_LAUNCHED'] === '1') process.stdin.once('close', () => process.exit(0)).resume();
  process.stderr.on('error', () => {});
  try {
    if (root === undefined) throw new AppError('usage', 'name the root with --root or TIDEGATE_ROOT');
    return await runAgent(root, { signal: end.signal });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    log('error', error.message, { code: error.code, where: error.where, hint: error.hint });
    return error.exit;
  }
}
