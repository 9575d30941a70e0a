// `npm run demo`: releases go through three regions with nine real agents, a canary and mirrors; a broken one stops.
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { createNarrator, type Say } from './narrator.ts';
import { openStage, PRODUCT, type Stage } from './stage.ts';
import { play } from './story.ts';
import { summarise } from './summary.ts';

const HELP = `npm run demo -- [options]
  --once             end after the story; exit code 0 only if all of it was seen
  --keep             leave the directory with database, agents and logs
  --json             print one line of JSON at the end
  --directory DIR    where to play; must be empty or missing. Default: a new one for temporary files
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      once: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      directory: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const say = createNarrator((text) => process.stdout.write(text));
  const directory = openDirectory(values.directory);
  if (directory === undefined) {
    process.stderr.write(`demo: ${values.directory} is not empty; what is played there is removed at the end\n`);
    return 3;
  }
  const interrupted = new Promise<void>((end) => {
    process.once('SIGINT', () => end());
    process.once('SIGTERM', () => end());
  });
  let stage: Stage | undefined;
  let summary: unknown;
  try {
    say(`everything happens in ${directory}`);
    stage = await openStage(directory);
    say(`the server is started with ${directory}/tidegate.yaml: config/demo.yaml with the ports of today`);
    const seen = await Promise.race([play(stage, say).then(() => true), interrupted.then(() => false)]);
    if (!seen) return 130;
    summary = await summarise(stage);
    if (!values.once) {
      inviteToLook(stage, say);
      await interrupted;
    }
    return 0;
  } catch (error) {
    process.stderr.write(`demo: ${(error as Error).message}\n`);
    return 1;
  } finally {
    await stage?.close();
    if (values.keep) say(`kept: ${directory}`);
    else rmSync(directory, { recursive: true, force: true });
    // The last line, whatever the processes had to say at their end.
    if (values.json && summary !== undefined) process.stdout.write(`${JSON.stringify(summary)}\n`);
  }
}

function inviteToLook({ serverUrl, tokenFile }: Stage, say: Say): void {
  say('the server and the nine agents go on; end with Ctrl-C. In another terminal:');
  const lines = [
    `export TIDEGATE_SERVER=${serverUrl}`,
    `export TIDEGATE_TOKEN_FILE=${tokenFile}`,
    'npx tidegate status --watch',
    'npx tidegate regions',
    'npx tidegate availability',
    `npx tidegate rollout show ${PRODUCT}@1.2.0`,
    'npx tidegate explain us-west-2-canary',
    'npx tidegate product history elastic-agent --range "~8.18" --on 2025-08-05',
  ];
  process.stdout.write(`${lines.map((line) => `  ${line}\n`).join('')}`);
}

/** Undefined when the given one is not empty: it is removed at the end, and nobody's own files with it. */
function openDirectory(given: string | undefined): string | undefined {
  if (given === undefined) return mkdtempSync(join(tmpdir(), 'tidegate-demo-'));
  mkdirSync(given, { recursive: true });
  return readdirSync(given).length === 0 ? resolve(given) : undefined;
}

process.exitCode = await main();
