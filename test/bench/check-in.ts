// `npm run bench:check-in`: what a check-in that changes nothing costs, as a ratio to a bare Fastify in the same run.
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { openServerKeys } from '../../src/api/keys.ts';
import { createSessionTokens } from '../../src/api/session-token.ts';
import { startRecordedGitHub } from '../../src/demo/recorded-github.ts';
import { sha256Hex } from '../../src/protocol/envelope.ts';
import { benchAdmissions } from './admissions.ts';
import type { Question, Usage } from './check-in-server.ts';
import { fillFleetFile, seededAgent } from './fleet-file.ts';

const PRODUCT = 'agentd';
const REGIONS = Array.from({ length: 20 }, (_, index) => `region-${index + 1}`);
const CONNECTIONS = 64;
const SERVER_CORE = '0';
const LOAD_CORE = '1';
const FORGED_EVERY = 5;
const IDLE_SECONDS = 5;
/** Slower than the server answers, so that all get their turn. */
const FIRST_PER_SECOND = 6_000;

interface Round {
  requestsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  cpuUsPerRequest: number;
}

const { values } = parseArgs({
  options: {
    agents: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    'admission-agents': { type: 'string', default: '5000' },
  },
});
const agents = Number(values.agents);
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);

if (spawnSync('wrk', ['-v']).error !== undefined) {
  process.stderr.write('bench:check-in needs wrk to make the load: apt-get install wrk\n');
  process.exit(2);
}
const pins = spawnSync('taskset', ['--version']).error === undefined;
const awake = keepCoresAwake();
const directory = mkdtempSync(join(tmpdir(), 'tidegate-bench-'));
const servers: ChildProcess[] = [];
const github = await startRecordedGitHub();
try {
  say(`${agents} agents, ${REGIONS.length} regions, ${pins ? 'server and load pinned to a core each' : 'not pinned'}`);
  const report = await measure();
  say('admissions');
  const admissions = await benchAdmissions({ agents: Number(values['admission-agents']), directory });
  process.stdout.write(`${JSON.stringify({ ...report, admissions })}\n`);
} finally {
  if (awake !== undefined) closeSync(awake);
  for (const server of servers) server.kill('SIGKILL');
  await github.close();
  rmSync(directory, { recursive: true, force: true });
}

async function measure() {
  const { configFile, requestsFile, sample } = await prepare();
  const bare = await startServer(['bare']);
  const tidegate = await startServer(['tidegate', configFile]);
  const quiet = await countRows(tidegate, sample);
  await ask(tidegate, 'start');
  const idleMs = await idleCpu(tidegate);
  const byServer: { bare: Round[]; tidegate: Round[] } = { bare: [], tidegate: [] };
  const forged: number[] = [];
  await runWrk(bare.url, requestsFile, 1);
  await runWrk(tidegate.url, requestsFile, 2);
  const first = await firstOfEach(tidegate, requestsFile);
  const before = await ask<number>(tidegate, 'changes');
  for (let round = 0; round < rounds; round += 1) {
    byServer.bare.push(await timed(bare, requestsFile));
    const running = timed(tidegate, requestsFile);
    forged.push(await sendForged(tidegate.url, sample));
    byServer.tidegate.push(await running);
    say(`round ${round + 1}: ${shown(byServer.bare.at(-1))} bare, ${shown(byServer.tidegate.at(-1))} Tidegate`);
  }
  const flushed = (await ask<number>(tidegate, 'changes')) - before;
  const { rssBytes } = await ask<Usage>(tidegate, 'usage');
  const [bareMedian, medianRound] = [middle(byServer.bare), middle(byServer.tidegate)];
  return {
    agents,
    regions: REGIONS.length,
    pinned: pins,
    coresKeptAwake: awake !== undefined,
    rounds,
    secondsPerRound: seconds,
    bare: bareMedian,
    tidegate: medianRound,
    cpuRatio: round2(medianRound.cpuUsPerRequest / bareMedian.cpuUsPerRequest),
    /** Server CPU µs of an agent's first check-in after a start: its token's code is made, its last-seen time written. */
    firstCheckInCpuUs: first,
    /** What planning and the like take while nobody checks in; it is part of the figure for each request. */
    idleCpuMsPerSecond: idleMs,
    /** With the timers off, so that nothing but check-ins could have written. */
    rowsWritten: quiet,
    /** With them on, over all rounds: last-seen times, flushed in sets. */
    lastSeenRowsFlushed: flushed,
    forgedTokenStatus: [...new Set(forged)],
    rssMB: Math.round(rssBytes / 1e6),
  };
}

/** A server that finds 100,000 agents at 1.0.0 and 1.1.0 on GitHub: a lane is open in every region, for its canary. */
async function prepare() {
  const dataDir = join(directory, 'data');
  mkdirSync(dataDir, { mode: 0o700 });
  const bytes = (version: string) => Buffer.from(`${PRODUCT} ${version}`);
  github.repositories.create('bench/agentd');
  for (const version of ['1.0.0', '1.1.0']) {
    await github.repositories.publish('bench/agentd', {
      tag: `v${version}`,
      assets: [{ name: `${PRODUCT}-${version}.tar.gz`, bytes: bytes(version) }],
    });
  }
  const digest = sha256Hex(bytes('1.0.0'));
  const path = join(dataDir, 'tidegate.db');
  await fillFleetFile({ path, agents, regions: REGIONS, product: PRODUCT, version: '1.0.0', digest });
  const configFile = join(directory, 'tidegate.yaml');
  writeFileSync(configFile, configText(dataDir, github.url));
  const keys = openServerKeys(dataDir);
  const tokens = createSessionTokens(keys.sessionSecret, () => 1);
  const lines: string[] = [];
  for (let handle = 1; handle <= agents; handle += 1) {
    if (seededAgent(REGIONS, handle).canary) continue;
    lines.push(`${tokens.issue(handle, Date.now())}\t${bodyOf(digest, handle % 5)}`);
  }
  const requestsFile = join(directory, 'requests.tsv');
  writeFileSync(requestsFile, lines.join('\n'));
  return { configFile, requestsFile, sample: lines.slice(0, 20_000) };
}

function configText(dataDir: string, githubUrl: string): string {
  return `
server: { listen: "127.0.0.1:0", dataDir: ${JSON.stringify(dataDir)} }
github: { apiUrl: ${JSON.stringify(githubUrl)} }
regions:
${REGIONS.map((name) => `  - { name: ${name}, timeZone: Europe/Berlin }`).join('\n')}
policies:
  wide:
    waves: [[${REGIONS.join(', ')}]]
    steps:
      - { labels: { role: canary }, soak: 1h }
      - { percent: 100, soak: 1h }
products:
  - name: ${PRODUCT}
    repository: bench/agentd
    artifacts: [{ platform: linux-x64, asset: "${PRODUCT}-{version}.tar.gz" }]
    policy: wide
`;
}

/** As an agent that has nothing to say sends it, with words of its own where it has them. */
function bodyOf(digest: string, sequence: number): string {
  return JSON.stringify({
    nonce: randomBytes(16).toString('base64url'),
    boot: randomBytes(16).toString('base64url'),
    platform: 'linux-x64',
    epoch: 1,
    sequence,
    products: [{ product: PRODUCT, version: '1.0.0', digest }],
    health: { status: 'ok' },
    attempts: [],
  });
}

/**
 * While the file is open the kernel lets no core sleep (https://docs.kernel.org/power/pm_qos_interface.html). Else the
 * slower server pays more for each reply: the load has time to fall asleep in between, and to wake a sleeping core of a
 * virtual machine costs the sender more than all of its own work.
 */
function keepCoresAwake(): number | undefined {
  try {
    const fd = openSync('/dev/cpu_dma_latency', 'w');
    writeSync(fd, new Uint8Array(4));
    return fd;
  } catch {
    return undefined;
  }
}

interface Server {
  child: ChildProcess;
  url: string;
}

async function startServer(args: string[]): Promise<Server> {
  const file = join(import.meta.dirname, 'check-in-server.ts');
  const [command = '', ...rest] = pinned(SERVER_CORE, [process.execPath, file, ...args]);
  const child = spawn(command, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  servers.push(child);
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the server ended with ${code}`)));
  ended.catch(() => {});
  const [url] = (await Promise.race([once(child, 'message'), ended])) as [string];
  return { child, url };
}

async function ask<T>({ child }: Server, question: Question): Promise<T> {
  const answered = once(child, 'message');
  child.send(question);
  return (await answered)[0] as T;
}

/** Rows that 20,000 check-ins write while nothing else can: by SQLite's own count. */
async function countRows(server: Server, sample: readonly string[]): Promise<number> {
  const before = await ask<number>(server, 'changes');
  const queue = sample.values();
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      for (const line of queue) {
        const status = await checkIn(server.url, ...split(line));
        if (status !== 200) throw new Error(`a check-in was answered ${status}`);
      }
    }),
  );
  return (await ask<number>(server, 'changes')) - before;
}

async function idleCpu(server: Server): Promise<number> {
  const before = await ask<Usage>(server, 'usage');
  await new Promise((resolve) => setTimeout(resolve, IDLE_SECONDS * 1000));
  const after = await ask<Usage>(server, 'usage');
  return round2((after.cpuUs - before.cpuUs) / 1000 / IDLE_SECONDS);
}

/** Every agent checks in: from then on the server is one that has been running for a while. */
async function firstOfEach(server: Server, requestsFile: string): Promise<number> {
  const { cpuUsPerRequest } = await timed(server, requestsFile, {
    duration: Math.ceil(agents / FIRST_PER_SECOND),
    order: 'in-turn',
  });
  return cpuUsPerRequest;
}

async function timed(
  server: Server,
  requestsFile: string,
  { duration = seconds, order = 'random' } = {},
): Promise<Round> {
  const before = await ask<Usage>(server, 'usage');
  const result = await runWrk(server.url, requestsFile, duration, order);
  const after = await ask<Usage>(server, 'usage');
  if (result.not2xx > 0 || result.broken > 0)
    throw new Error(`${result.not2xx} refused and ${result.broken} broken requests`);
  return {
    requestsPerSecond: Math.round((result.requests / result.microseconds) * 1e6),
    p50Ms: result.p50Us / 1000,
    p99Ms: result.p99Us / 1000,
    cpuUsPerRequest: round2((after.cpuUs - before.cpuUs) / result.requests),
  };
}

interface WrkResult {
  requests: number;
  microseconds: number;
  p50Us: number;
  p99Us: number;
  not2xx: number;
  broken: number;
}

async function runWrk(url: string, requestsFile: string, duration: number, order = 'random'): Promise<WrkResult> {
  const script = join(import.meta.dirname, 'check-in.lua');
  const wrk = [
    'wrk',
    '-t1',
    `-c${CONNECTIONS}`,
    `-d${duration}s`,
    '--latency',
    '-s',
    script,
    url,
    '--',
    requestsFile,
    order,
  ];
  const [command = '', ...args] = pinned(LOAD_CORE, wrk);
  const { stdout } = await promisify(execFile)(command, args, { timeout: (duration + 60) * 1000 });
  const line = stdout.split('\n').find((one) => one.startsWith('RESULT '));
  if (line === undefined) throw new Error(`wrk said nothing of use: ${stdout}`);
  return JSON.parse(line.slice('RESULT '.length)) as WrkResult;
}

/** Tokens whose code is right for another agent, while the server is busy. */
async function sendForged(url: string, sample: readonly string[]): Promise<number> {
  const [token, body] = split(sample[FORGED_EVERY] as string);
  const [head, , expires, code] = token.split('.');
  return await checkIn(url, [head, (7777).toString(36), expires, code].join('.'), body);
}

async function checkIn(url: string, token: string, body: string): Promise<number> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
  const reply = await fetch(`${url}/agent/v1/check-in`, { method: 'POST', headers, body });
  await reply.arrayBuffer();
  return reply.status;
}

function split(line: string): [token: string, body: string] {
  const at = line.indexOf('\t');
  return [line.slice(0, at), line.slice(at + 1)];
}

function pinned(core: string, command: string[]): string[] {
  return pins ? ['taskset', '-c', core, ...command] : command;
}

/** Each figure's median over the rounds. */
function middle(all: readonly Round[]): Round {
  const median = (of: (round: Round) => number) => {
    const sorted = all.map(of).sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] as number;
  };
  return {
    requestsPerSecond: median((round) => round.requestsPerSecond),
    p50Ms: median((round) => round.p50Ms),
    p99Ms: median((round) => round.p99Ms),
    cpuUsPerRequest: median((round) => round.cpuUsPerRequest),
  };
}

function shown(round: Round | undefined): string {
  return round === undefined ? '-' : `${round.requestsPerSecond}/s, ${round.cpuUsPerRequest} µs`;
}

function round2(value: number): number {
  return Math.round(value * 100) / 100;
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
