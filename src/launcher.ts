#!/usr/bin/env node
// The launcher's bin: keeps the agent under one root running. Bundled into <root>/launcher.mjs.
import { parseArgs } from 'node:util';
import { runLauncher } from './agent/launch.ts';

const { values } = parseArgs({ options: { root: { type: 'string' } } });
const root = values.root ?? process.env['TIDEGATE_ROOT'] ?? import.meta.dirname;
process.exit(await runLauncher(root));
