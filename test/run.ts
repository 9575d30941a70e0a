// `npm test [part of a path]`: runs every test file, prints failures in full, and ends with one line of counts.
import { globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const TEST_TIMEOUT_MS = 240_000;
/** The variable serves the test of this file. */
const FILE_TIMEOUT_MS = Number(process.env['TEST_FILE_TIMEOUT_MS'] ?? 300_000);
/** One more than there are cores: many wait for processes of their own. */
const FILES_AT_A_TIME = 3;
const MAX_PRINTED = 20_000;

/** Their tests start no process and leave nothing behind: those of a directory share one, since to start one for each file took longer than they do. */
const TOGETHER = ['config', 'domain', 'engine', 'tracker'];
const TOGETHER_FILE = join(import.meta.dirname, 'support', 'together.ts');

interface Tally {
  /** A file, or the directory of those that run together. */
  file: string;
  /** Those in which a test has begun. */
  seen: Set<string>;
  passed: number;
  failed: number;
  skipped: number;
  /** The end of what the file has printed; shown only when it fails. */
  printed: string;
}

interface Outcome {
  name: string;
  file?: string;
  line?: number;
  /** Name of the suite around it. */
  classname?: string;
  skip?: string | boolean;
  todo?: string | boolean;
  details: { type?: string | undefined; error?: Error & { failureType?: string } };
}

// Until the end says otherwise: a run that is cut off has failed.
process.exitCode = 1;
const startedAt = performance.now();
// Every file is a process, and many of them start servers and commands: what one has compiled the next one finds.
const compiled = mkdtempSync(join(tmpdir(), 'tidegate-compiled-'));
process.env['NODE_COMPILE_CACHE'] = compiled;
process.on('exit', () => rmSync(compiled, { recursive: true, force: true }));
const filter = process.argv[2] ?? '';
const directory = resolve(process.argv[3] ?? `${ROOT}test`);
const files = globSync('**/*.test.ts', { cwd: directory })
  .map((file) => resolve(directory, file))
  .filter((file) => relative(ROOT, file).includes(filter))
  // Those with processes of their own take longest: they begin, so that none runs alone at the end.
  .sort((a, b) => Number(b.includes('e2e')) - Number(a.includes('e2e')) || (a < b ? -1 : 1));
const queue = partsOf(files).values();
const tallies: Tally[] = [];
await Promise.all(Array.from({ length: FILES_AT_A_TIME }, runQueue));
finish();

interface Part {
  name: string;
  files: readonly string[];
}

function partsOf(all: readonly string[]): Part[] {
  const byDirectory = Map.groupBy(all, (file) => TOGETHER.find((name) => file.startsWith(join(directory, name, '/'))));
  return [...byDirectory].flatMap(([name, members]) =>
    name === undefined || members.length < 2
      ? members.map((file) => ({ name: file, files: [file] }))
      : [{ name: join(directory, name), files: members }],
  );
}

/** All takers draw from the same iterator. */
async function runQueue(): Promise<void> {
  for (const part of queue) tallies.push(await runPart(part));
}

/**
 * Each is a run of its own, so that one that never ends (a leaked handle) is ended alone. The runner's own force exit is
 * not used: it drops results that are still on their way, and then calls the run a success.
 */
async function runPart({ name: file, files: members }: Part): Promise<Tally> {
  const tally: Tally = { file, seen: new Set(), passed: 0, failed: 0, skipped: 0, printed: '' };
  const before = performance.now();
  const abort = new AbortController();
  const shared = members.length > 1 ? { files: [TOGETHER_FILE], argv: [...members] } : { files: [...members] };
  const stream = run({ ...shared, cwd: ROOT, timeout: TEST_TIMEOUT_MS, signal: abort.signal });
  const timer = setTimeout(() => {
    fail(tally, { name: file, file, details: {} }, `not ended after ${FILE_TIMEOUT_MS} ms: a handle or process leaks`);
    abort.abort();
  }, FILE_TIMEOUT_MS);
  stream.on('test:pass', (test: Outcome) => notePass(tally, test));
  stream.on('test:fail', (test: Outcome) => {
    if (!abort.signal.aborted) noteFail(tally, test);
  });
  for (const event of ['test:stdout', 'test:stderr'] as const) {
    stream.on(event, ({ message }: { message: string }) => {
      tally.printed = (tally.printed + message).slice(-MAX_PRINTED);
    });
  }
  await new Promise((done) => stream.once('end', done).resume());
  clearTimeout(timer);
  if (members.length > 1 && !abort.signal.aborted) {
    for (const one of members)
      if (!tally.seen.has(one)) fail(tally, { name: one, file: one, details: {} }, 'this file declares no test');
  }
  showFile(tally, performance.now() - before);
  return tally;
}

function notePass(tally: Tally, test: Outcome): void {
  tally.seen.add(test.file ?? '');
  // A file that declares no test reports itself as one that passed.
  if (test.name === test.file) fail(tally, test, 'this file declares no test');
  else if (isSet(test.skip) || isSet(test.todo)) tally.skipped += 1;
  else if (test.details.type !== 'suite') tally.passed += 1;
}

function noteFail(tally: Tally, test: Outcome): void {
  // One that could not be loaded is called as its file.
  for (const file of [test.file ?? '', test.name]) tally.seen.add(file);
  const error = test.details.error;
  if (isSet(test.todo)) tally.skipped += 1;
  // A suite fails because a test in it did, which was told already.
  else if (error?.failureType !== 'subtestsFailed') fail(tally, test, inspect(error?.cause ?? error));
}

function fail(tally: Tally, test: Outcome, why: string): void {
  tally.failed += 1;
  const place = `${relative(ROOT, test.file ?? tally.file)}:${test.line ?? 1}`;
  const name = test.name === test.file ? 'the file itself' : [test.classname, test.name].filter(Boolean).join(' > ');
  console.log(`\n✖ ${place} ${name}\n${indent(why)}\n`);
}

function showFile({ file, passed, failed, skipped, printed }: Tally, ms: number): void {
  const mark = failed > 0 ? '✖' : '✔';
  const rest = `${failed > 0 ? `, ${failed} failed` : ''}${skipped > 0 ? `, ${skipped} skipped` : ''}`;
  console.log(`${mark} ${relative(ROOT, file)}: ${passed} passed${rest} (${Math.round(ms)} ms)`);
  if (failed > 0 && printed !== '') console.log(`  it printed:\n${indent(printed.trimEnd())}\n`);
}

function finish(): void {
  const [passed, failed, skipped] = [sum('passed'), sum('failed'), sum('skipped')];
  const ran = passed + failed;
  if (ran === 0) console.log(`no test ran: ${files.length} files match "${filter}"`);
  console.log(`${files.length} files in ${Math.round((performance.now() - startedAt) / 1000)} s`);
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  process.exitCode = failed > 0 || ran === 0 ? 1 : 0;
}

function sum(key: 'passed' | 'failed' | 'skipped'): number {
  return tallies.reduce((total, tally) => total + tally[key], 0);
}

function indent(text: string): string {
  return text.replace(/^/gm, '    ');
}

function isSet(flag: string | boolean | undefined): boolean {
  return flag !== undefined && flag !== false;
}
