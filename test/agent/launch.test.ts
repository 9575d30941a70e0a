// The launcher as a real process over hand-made versions: what it starts, what it counts, and how it goes back.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { after, afterEach, beforeEach, describe, it } from 'node:test';
import { readIfThere, readLink } from '../../src/agent/durable.ts';
import { readMarker, renameMarker, type Trial, writeTrial } from '../../src/agent/marker.ts';
import { type Paths, pathsOf } from '../../src/agent/paths.ts';
import { sealDirectory } from '../../src/agent/sealed.ts';
import { eventually, exited, remove, tempDir } from './fixture.ts';

const LAUNCHER = join(import.meta.dirname, '../../src/launcher.ts');
/** Every version notes its start, then does what its name says. */
const NOTE = `import { appendFileSync } from 'node:fs'; import { join, basename } from 'node:path';
appendFileSync(join(process.env.TIDEGATE_ROOT, 'starts.txt'), basename(import.meta.dirname) + ' ' + process.pid + '\\n');
process.stdin.once('close', () => process.exit(0)).resume();`;
const STAY = `${NOTE} setInterval(() => {}, 1000);`;
const CRASH = `${NOTE} console.error('first'); throw new RangeError('out of luck');`;

describe('runLauncher', () => {
  const work = tempDir();
  let paths: Paths;
  let launcher: ChildProcess;
  let round = 0;
  after(() => remove(work));

  beforeEach(() => {
    round += 1;
    paths = pathsOf(join(work, String(round)));
    mkdirSync(paths.state, { recursive: true });
    place('1.0.0', STAY);
    symlinkSync('versions/1.0.0', paths.current);
  });

  afterEach(async () => {
    launcher.kill('SIGTERM');
    await exited(launcher);
  });

  function place(version: string, code: string): void {
    const dir = join(paths.versions, version);
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, 'agent.mjs'), code);
    const sha256 = createHash('sha256').update(code).digest('hex');
    const files = [{ path: 'agent.mjs', size: Buffer.byteLength(code), sha256 }];
    sealDirectory(dir, { product: 'p', version, digest: 'd', platform: 'linux-x64', files });
  }

  /** As the agent leaves it right after the flip. */
  function putOnTrial(code: string, times: Partial<Trial> = {}): void {
    place('2.0.0', code);
    symlinkSync('versions/1.0.0', paths.rollback);
    const trial = {
      attempt: 'a1',
      version: '2.0.0',
      from: '1.0.0',
      proveWithinMs: 60_000,
      stableForMs: 1000,
      ...times,
    };
    writeTrial(paths.state, trial);
    rmSync(paths.current);
    symlinkSync('versions/2.0.0', paths.current);
  }

  function start(): void {
    launcher = spawn(process.execPath, [LAUNCHER, '--root', paths.root], { stdio: 'ignore' });
  }

  /** Whole lines only: the file may be looked at while it is written. */
  function starts(): string[] {
    const lines = (readIfThere(join(paths.root, 'starts.txt')) ?? '').split('\n');
    return lines.slice(0, -1).filter((line) => line !== '');
  }

  function versions(): string[] {
    return starts().map((line) => line.split(' ')[0] ?? '');
  }

  function current(): string {
    return basename(readLink(paths.current) ?? '');
  }

  it('where nothing is installed: says so in one line, and ends with 3', () => {
    start();
    const ran = spawnSync(process.execPath, [LAUNCHER, '--root', join(work, 'nowhere')], { encoding: 'utf8' });
    assert.equal(ran.status, 3);
    assert.match(ran.stderr, /^\{.*"no agent is installed here".*nowhere.*"hint":.*\}\n$/);
  });

  it('logs the signal that a version was ended by', async () => {
    launcher = spawn(process.execPath, [LAUNCHER, '--root', paths.root], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    launcher.stderr?.on('data', (chunk: Buffer) => {
      said += chunk;
    });
    await eventually('a start', () => starts().length === 1);
    process.kill(Number(starts()[0]?.split(' ')[1]), 'SIGKILL');
    await eventually('the line', () => /"the version has ended".*"code":null,"signal":"SIGKILL"/.test(said));
  });

  it('starts current and passes SIGTERM on', async () => {
    start();
    await eventually('a start', () => starts().length === 1);
    launcher.kill('SIGTERM');
    await exited(launcher);
    assert.equal(launcher.exitCode, 0);
    const pid = Number(starts()[0]?.split(' ')[1]);
    assert.throws(() => process.kill(pid, 0), /ESRCH/);
  });

  it('gives a crashing version three starts, then goes back and keeps what it said', async () => {
    putOnTrial(CRASH);
    start();
    await eventually('the old version', () => versions().includes('1.0.0'));
    assert.deepEqual(versions(), ['2.0.0', '2.0.0', '2.0.0', '1.0.0']);
    assert.equal(current(), '1.0.0');
    assert.equal(readMarker(paths.state).kind, 'undone');
    assert.match(readFileSync(paths.lastCrash, 'utf8'), /first\n(.*\n)*RangeError: out of luck/);
    assert.ok(readdirSync(paths.state).includes('undone+crash_loop'));
  });

  it('goes back at once from a damaged entry, without starting it', async () => {
    putOnTrial(CRASH);
    appendFileSync(join(paths.versions, '2.0.0', 'agent.mjs'), '// bit rot');
    start();
    await eventually('the old version', () => starts().length === 1);
    assert.deepEqual(versions(), ['1.0.0']);
    assert.ok(readdirSync(paths.state).includes('undone+exec_failed'));
  });

  it('ends a version that is not proven in time', async () => {
    putOnTrial(STAY, { proveWithinMs: 100, stableForMs: 50 });
    start();
    await eventually('the old version', () => versions().includes('1.0.0'));
    assert.ok(readdirSync(paths.state).includes('undone+not_proven_in_time'));
  });

  it('lets a version be that was proven in the meantime', async () => {
    // Long enough for a busy machine to start it and to prove it; the trial ends after twice both.
    putOnTrial(STAY, { proveWithinMs: 700, stableForMs: 50 });
    start();
    await eventually('a start', () => starts().length === 1);
    renameMarker(paths.state, readMarker(paths.state), 'proven');
    const pid = Number(starts()[0]?.split(' ')[1]);
    // Past its trial's end it must still be the same process.
    await new Promise((resolve) => setTimeout(resolve, 1700));
    process.kill(pid, 0);
    assert.deepEqual(versions(), ['2.0.0']);
  });

  for (const flipped of [false, true]) {
    it(`finishes a way back that was cut off ${flipped ? 'after' : 'before'} the flip`, async () => {
      putOnTrial(CRASH);
      renameMarker(paths.state, readMarker(paths.state), 'undoing+crash_loop');
      if (flipped) {
        rmSync(paths.current);
        rmSync(paths.rollback);
        symlinkSync('versions/1.0.0', paths.current);
      }
      start();
      await eventually('a start', () => starts().length === 1);
      assert.deepEqual([versions(), current()], [['1.0.0'], '1.0.0']);
      assert.ok(readdirSync(paths.state).includes('undone+crash_loop'));
    });
  }

  it('goes back on a disk without a free byte', async (t) => {
    const disk = join(work, `disk-${round}`);
    mkdirSync(disk);
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', disk]).status !== 0) {
      t.skip('may not mount a small disk here');
      return;
    }
    try {
      paths = pathsOf(join(disk, 'root'));
      mkdirSync(paths.state, { recursive: true });
      place('1.0.0', STAY);
      symlinkSync('versions/1.0.0', paths.current);
      putOnTrial(CRASH);
      // Its one page is taken before the disk is full, so that the versions can still note their starts.
      writeFileSync(join(paths.root, 'starts.txt'), '\n');
      assert.throws(() => writeFileSync(join(disk, 'fill'), Buffer.alloc(1_000_000)), /ENOSPC/);
      start();
      await eventually('the old version', () => versions().includes('1.0.0'));
      assert.equal(current(), '1.0.0');
      assert.ok(readdirSync(paths.state).includes('undone+crash_loop'));
    } finally {
      launcher.kill('SIGTERM');
      await exited(launcher);
      spawnSync('umount', [disk]);
    }
  });

  it('goes back although the link that was made for it is gone', async () => {
    putOnTrial(CRASH);
    rmSync(paths.rollback);
    start();
    await eventually('the old version', () => versions().includes('1.0.0'));
    assert.equal(current(), '1.0.0');
  });

  it('counts no start of the old version when the flip never happened', async () => {
    putOnTrial(CRASH);
    rmSync(paths.current);
    symlinkSync('versions/1.0.0', paths.current);
    start();
    await eventually('a start', () => starts().length === 1);
    assert.ok(readdirSync(paths.state).includes('trial+3'));
  });

  const damages: Record<string, () => void> = {
    missing: () => rmSync(paths.current),
    'a link to nowhere': () => {
      rmSync(paths.current);
      symlinkSync('versions/9.9.9', paths.current);
    },
    'not sealed': () => rmSync(join(paths.versions, '1.0.0', '.sealed')),
    changed: () => appendFileSync(join(paths.versions, '1.0.0', 'agent.mjs'), '// bit rot'),
  };
  for (const [name, damage] of Object.entries(damages)) {
    it(`starts previous when current is ${name}`, async () => {
      place('0.9.0', STAY);
      symlinkSync('versions/0.9.0', paths.previous);
      damage();
      start();
      await eventually('a start', () => starts().length === 1);
      assert.deepEqual(versions(), ['0.9.0']);
    });
  }

  it('ends the agent that a killed launcher left hanging, so that there is one', async () => {
    // Does not notice that its launcher is gone.
    rmSync(join(paths.versions, '1.0.0'), { recursive: true });
    place('1.0.0', STAY.replace(/process\.stdin.*\n?/, 'setInterval(() => {}, 1000);'));
    start();
    await eventually('a start', () => starts().length === 1);
    await eventually('the note', () => existsSync(paths.launcherChild));
    launcher.kill('SIGKILL');
    await exited(launcher);
    const pid = Number(starts()[0]?.split(' ')[1]);
    process.kill(pid, 0);
    start();
    await eventually('the second start', () => starts().length === 2);
    assert.ok(isGone(pid));
  });
});

/** Also when nobody has fetched its exit status yet. */
function isGone(pid: number): boolean {
  const stat = readIfThere(`/proc/${pid}/stat`);
  return stat === undefined || stat.slice(stat.lastIndexOf(')')).startsWith(') Z');
}
