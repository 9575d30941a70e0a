// `npm run demo`: one release reaches three real agents, a broken one is undone on the first, its fix reaches all.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { openStage, PRODUCT, rolloutOf, type Stage } from './stage.ts';

const HELP = `npm run demo -- [options]
  --once             end after the story; exit code 0 only if all of it was seen
  --keep             leave the directory with database, agents and logs
  --json             print one line of JSON at the end
  --directory DIR    where to play; must be empty or missing. Default: a new one for temporary files
`;
const REGION = 'eu-west-1';

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
  const directory = openDirectory(values.directory);
  const interrupted = new Promise<void>((end) => {
    process.once('SIGINT', () => end());
    process.once('SIGTERM', () => end());
  });
  let stage: Stage | undefined;
  let summary: unknown;
  try {
    say(`everything happens in ${directory}`);
    stage = await openStage(directory);
    const seen = await Promise.race([play(stage).then(() => true), interrupted.then(() => false)]);
    if (!seen) return 130;
    summary = await summarise(stage);
    if (!values.once) {
      say(`the server goes on at ${stage.serverUrl}; end with Ctrl-C. Look around with:`);
      say(
        `  TIDEGATE_SERVER=${stage.serverUrl} TIDEGATE_TOKEN_FILE=${directory}/server/operator.token npx tidegate status`,
      );
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

async function play(stage: Stage): Promise<void> {
  say('building the agent: 1.0.0, 1.1.0, 1.2.0 (which will die at start) and 1.2.1');
  const [first, second, broken, fix] = await Promise.all([
    stage.build('1.0.0'),
    stage.build('1.1.0'),
    stage.build('1.2.0', { broken: true }),
    stage.build('1.2.1'),
  ]);
  stage.publish('1.0.0', first);
  await stage.until('1.0.0 is known', 20, (status) => status.products[0]?.newest === '1.0.0');
  say('1.0.0 is on GitHub; three hosts install it and enrol');
  await Promise.all(['host-1', 'host-2', 'host-3'].map((name) => stage.addAgent(name, REGION, first)));
  await stage.until('three agents are present', 30, (status) => status.agents.present === 3);

  say('1.1.0 is published');
  stage.publish('1.1.0', second);
  await completed(stage, '1.1.0');
  say('1.1.0: all three agents have replaced themselves and proven it');

  say('1.2.0 is published; it dies at start');
  stage.publish('1.2.0', broken);
  const halted = await stage.until('1.2.0 is halted', 40, (status) => rolloutOf(status, '1.2.0')?.state === 'halted');
  const lane = rolloutOf(halted, '1.2.0')?.lanes[0];
  check(lane?.attempts['rolled_back'] === 1, 'one agent went back by itself');
  check((lane?.attempts['succeeded'] ?? 0) === 0, 'nobody runs 1.2.0');
  everybodyRuns(stage, '1.1.0');
  say(`1.2.0: ${lane?.sentence}`);
  say('1.2.0: one agent went back to 1.1.0 by itself, the others never activated it');

  say('1.2.1 is published; nobody has cleared anything');
  stage.publish('1.2.1', fix);
  const after = await completed(stage, '1.2.1');
  check(rolloutOf(after, '1.2.0')?.state === 'superseded', '1.2.0 is superseded');
  check(
    (rolloutOf(after, '1.2.0')?.lanes[0]?.attempts['rolled_back'] ?? 0) === 1,
    'the outcome of 1.2.0 stays in the books',
  );
  say('1.2.1: all three agents have it');
}

async function completed(stage: Stage, version: string) {
  const status = await stage.until(
    `${version} is completed`,
    60,
    (one) => rolloutOf(one, version)?.state === 'completed',
  );
  check(rolloutOf(status, version)?.lanes[0]?.attempts['succeeded'] === 3, `three agents succeeded at ${version}`);
  everybodyRuns(stage, version);
  return status;
}

function everybodyRuns(stage: Stage, version: string): void {
  for (const agent of stage.agents) {
    const current = stage.currentOf(agent);
    check(current === version, `${agent.name} runs from ${current}, wanted ${version}`);
  }
}

async function summarise(stage: Stage) {
  const status = await stage.operator.status();
  const { agents } = await stage.operator.agents();
  return {
    directory: stage.directory,
    database: stage.database,
    agents: stage.agents.map((local) => {
      const known = agents.find((one) => one.name === local.name);
      const running = known?.products.find((one) => one.product === PRODUCT);
      return { id: known?.id, region: known?.region, product: PRODUCT, version: running?.version, root: local.root };
    }),
    rollouts: [...status.rollouts].reverse().map(({ product, version, state, lanes }) => ({
      product,
      version,
      state,
      lanes: lanes.map(({ region, state: laneState, attempts, holds }) => ({
        region,
        state: laneState,
        attempts,
        holds,
      })),
    })),
  };
}

function openDirectory(given: string | undefined): string {
  if (given === undefined) return mkdtempSync(join(tmpdir(), 'tidegate-demo-'));
  mkdirSync(given, { recursive: true });
  return resolve(given);
}

function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(`seen otherwise: ${what}`);
}

const startedAt = performance.now();

function say(text: string): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(5);
  process.stdout.write(`${seconds} s  ${text}\n`);
}

process.exitCode = await main();
