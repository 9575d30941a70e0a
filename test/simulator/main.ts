// `npm run simulate -- --seeds N [--from S] [--seed S] [--jobs 2] [--json]`: runs seeds in two processes; exits 1 at a broken promise.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { MARKS, type Mark, RARE_MARKS } from './marks.ts';
import { OVER_HTTP_EVERY, runSeed, type SeedResult } from './run-seed.ts';

/** So many seeds have to see every mark. */
const SEEDS_FOR_MARKS = 300;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    json: { type: 'boolean', default: false },
    /** Processes that share the seeds. */
    jobs: { type: 'string', default: '2' },
    quiet: { type: 'boolean', default: false },
    /** Goes on after a broken promise. */
    all: { type: 'boolean', default: false },
    /** `at/of`: this process is one of several that share the seeds. */
    share: { type: 'string' },
  },
});

if (values.share !== undefined) await beWorker(values.share);
else if (values.seed !== undefined) process.exitCode = await replay(Number(values.seed));
else process.exitCode = await runAll();

/** One seed, with its trace. */
async function replay(seed: number): Promise<number> {
  const result = await runSeed(seed, values.quiet ? undefined : (line) => console.log(line));
  console.log(`seed ${seed}: ${result.hash}, ${result.messages} messages, ${result.virtualHours.toFixed(1)} h`);
  if (result.broken === undefined) return 0;
  console.log(describe(result, false));
  return 1;
}

async function beWorker(share: string): Promise<void> {
  const [at = 0, of = 1] = share.split('/').map(Number);
  const from = Number(values.from);
  for (let seed = from; seed < from + Number(values.seeds); seed += 1) {
    if (shareOf(seed, of) !== at) continue;
    const result = await runSeed(seed);
    process.stdout.write(`${JSON.stringify(result)}\n`);
    if (result.broken !== undefined && !values.all) return;
  }
}

/** Every tenth seed goes over HTTP and costs twice as much: one worker must not get all of them. */
function shareOf(seed: number, of: number): number {
  return (seed + Math.floor(seed / OVER_HTTP_EVERY)) % of;
}

async function runAll(): Promise<number> {
  const startedAt = performance.now();
  const results: SeedResult[] = [];
  const jobs = Number(values.jobs);
  const children = Array.from({ length: jobs }, (_, at) => {
    const args = [import.meta.filename, ...process.argv.slice(2), '--share', `${at}/${jobs}`];
    return spawn(process.execPath, [...process.execArgv, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  });
  const stop = () => {
    for (const child of children) child.kill();
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const codes = await Promise.all(
    children.map(async (child) => {
      const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
      for await (const line of createInterface({ input: child.stdout })) {
        const result = JSON.parse(line) as SeedResult;
        results.push(result);
        if (result.broken === undefined) continue;
        console.log(describe(result, true));
        if (!values.all) stop();
      }
      return await ended;
    }),
  );
  const broken = results.filter((result) => result.broken !== undefined);
  if (values.json) console.log(JSON.stringify(summaryOf(results)));
  else console.log(summary(results, (performance.now() - startedAt) / 1000));
  if (broken.length > 0) return 1;
  const missed = results.length < SEEDS_FOR_MARKS ? [] : summaryOf(results).missed;
  if (missed.length > 0) {
    console.log(`${results.length} seeds must have seen: ${missed.join(', ')}`);
    return 1;
  }
  // A worker that fell over has proven nothing.
  return codes.every((code) => code === 0) && results.length === Number(values.seeds) ? 0 : 1;
}

function describe({ seed, broken, tail }: SeedResult, withTail: boolean): string {
  const lines = [
    `seed ${seed} breaks ${broken?.promise}: ${broken?.sentence}`,
    ...(withTail ? tail.map((line) => `    ${line}`) : []),
    `replay: npm run simulate -- --seed ${seed}`,
  ];
  return lines.join('\n');
}

function summaryOf(results: readonly SeedResult[]) {
  const marks: Partial<Record<Mark, number>> = {};
  for (const result of results)
    for (const [mark, count] of Object.entries(result.marks)) marks[mark as Mark] = (marks[mark as Mark] ?? 0) + count;
  return {
    seeds: results.length,
    broken: results.flatMap(({ seed, broken }) => (broken === undefined ? [] : [{ seed, ...broken }])),
    medianMessages: median(results.map((result) => result.messages)),
    medianHours: Number(median(results.map((result) => result.virtualHours)).toFixed(1)),
    medianCpuMs: Math.round(median(results.map((result) => result.cpuMs))),
    missed: MARKS.filter((mark) => marks[mark] === undefined && !RARE_MARKS.includes(mark)),
    neverHappened: MARKS.filter((mark) => marks[mark] === undefined),
    marks,
  };
}

function summary(results: readonly SeedResult[], seconds: number): string {
  const { seeds, broken, medianMessages, medianHours, medianCpuMs, neverHappened } = summaryOf(results);
  const happened = MARKS.length - neverHappened.length;
  return [
    `${seeds} seeds in ${seconds.toFixed(1)} s, ${broken.length} broken`,
    `median: ${medianMessages} messages, ${medianHours} simulated hours, ${medianCpuMs} ms of CPU`,
    `${happened} of ${MARKS.length} marks${neverHappened.length === 0 ? '' : `; never: ${neverHappened.join(', ')}`}`,
  ].join('\n');
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
