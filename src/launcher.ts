#!/usr/bin/env node
// The launcher's bin: keeps the agent under one root running. Bundled into <root>/launcher.mjs.
import { parseArgs } from 'node:util';
import { runLauncher } from './agent/launch.ts';
import { createLog } from './agent/log.ts';
import { AppError } from './errors.ts';

const { values } = parseArgs({ options: { root: { type: 'string' } } });
const root = values.root ?? process.env['TIDEGATE_ROOT'] ?? import.meta.dirname;
try {
  process.exit(await runLauncher(root));
} catch (error) {
  if (!(error instanceof AppError)) throw error;
  createLog('launcher')('error', error.message, { code: error.code, where: error.where, hint: error.hint });
  process.exit(error.exit);
}
