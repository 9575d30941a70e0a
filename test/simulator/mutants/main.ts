// `npm run simulate:mutants [-- --only NAME] [--seeds 500] [--jobs 2] [--json]`: every deliberate bug must be found; exits 1 if not.
import { parseArgs } from 'node:util';
import { type Finding, findMutant, running } from './find.ts';
import { MUTANTS } from './list.ts';

const MAX_JOBS = 2;
/** For all seeds of one mutant; some of them make the simulator slow. */
const TIME_LIMIT_MS = 15 * 60_000;

const { values } = parseArgs({
  options: {
    /** A part of the name; may be given more than once. */
    only: { type: 'string', multiple: true },
    seeds: { type: 'string', default: '500' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: `${MAX_JOBS}` },
    json: { type: 'boolean', default: false },
  },
});

process.exitCode = await run();

async function run(): Promise<number> {
  const { only } = values;
  const chosen = MUTANTS.filter(({ name }) => only === undefined || only.some((part) => name.includes(part)));
  if (chosen.length === 0) {
    console.error(`no mutant has such a name; there are: ${MUTANTS.map(({ name }) => name).join(', ')}`);
    return 1;
  }
  let isStopped = false;
  const stop = () => {
    isStopped = true;
    for (const child of running) child.kill();
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const bounds = { from: Number(values.from), seeds: Number(values.seeds), timeLimitMs: TIME_LIMIT_MS };
  const queue = [...chosen];
  const findings: Finding[] = [];
  const work = async () => {
    for (let mutant = queue.shift(); mutant !== undefined && !isStopped; mutant = queue.shift()) {
      const finding = await findMutant(mutant, bounds);
      findings.push(finding);
      if (!values.json) console.log(lineOf(finding));
    }
  };
  await Promise.all(Array.from({ length: Math.min(MAX_JOBS, Number(values.jobs)) }, work));
  const missed = findings.filter(({ found }) => found === null);
  if (values.json) console.log(JSON.stringify({ mutants: findings.length, missed: missed.length, findings }));
  else console.log(`${findings.length - missed.length} of ${chosen.length} found within ${values.seeds} seeds`);
  return missed.length === 0 && findings.length === chosen.length ? 0 : 1;
}

function lineOf({ name, breaks, found, seeds, seconds, note }: Finding): string {
  const what =
    found === null
      ? `NOT FOUND in ${seeds} seeds (${breaks.join(', ')} expected)${note === null ? '' : `: ${note}`}`
      : `seed ${found.seed} by ${found.promise}: ${found.sentence.split('\n', 1)[0]?.slice(0, 110)}`;
  return `${name.padEnd(46)} ${`${seconds.toFixed(1)} s`.padStart(8)}  ${what}`;
}
