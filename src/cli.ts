#!/usr/bin/env node
// The bin `tidegate`: gives the commands what they need of other rooms, which are loaded only when they are used.
import { runCli } from './cli/program.ts';
import { createTerminal } from './cli/terminal.ts';
import { readCliSettings } from './config/cli-settings.ts';
import { packageVersion } from './config/package-version.ts';

const { env, stdout, stderr } = process;
const settings = readCliSettings(env);
const interrupt = new AbortController();
const args = process.argv.slice(2);
const runsOn = args[0] === 'serve' || args[0] === 'agent';
for (const stream of [stdout, stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // Who reads may stop reading, as `head` does. Server and agent have work that goes on without a reader.
    if (!runsOn) process.exit(error.code === 'EPIPE' ? 0 : 1);
  });
}
// Server and agent end in their own way.
if (!runsOn) process.once('SIGINT', () => interrupt.abort());

process.exitCode = await runCli(args, {
  version: packageVersion(),
  terminal: createTerminal(stdout, stderr, settings.noColor, settings.dumbTerminal),
  settings,
  interrupted: interrupt.signal,
  now: Date.now,
  serve: async (configFile) => (await import('./server.ts')).runServer({ configFile, env }),
  checkConfig: async (file) => (await import('./config/checked.ts')).checkedConfig({ file, env }, Date.now()),
  backUp: async ({ configFile, ...rest }) =>
    (await import('./store/backup.ts')).backUp({ config: await configOf(configFile), ...rest }),
  restore: async ({ configFile, ...rest }) =>
    (await import('./store/restore.ts')).restore({ config: await configOf(configFile), ...rest, now: Date.now() }),
  runAgent: async (root) => (await import('./agent/launch.ts')).runLauncher(root),
  installAgent: async (request) => (await import('./agent/install.ts')).installAgent(request),
});

async function configOf(file: string) {
  return (await import('./config.ts')).readConfig({ file, env });
}
