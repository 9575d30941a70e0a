// Real bundles, real processes, a real server: updates that are proven, and updates that are undone.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { BuiltArtifact } from '../../src/demo/build-agent.ts';
import { type Director, startDirector } from './director.ts';
import {
  buildVersion,
  currentVersion,
  eventually,
  exited,
  install,
  offerOf,
  onTrial,
  remove,
  startLauncher,
  stopLauncher,
  tempDir,
} from './fixture.ts';

describe('an installed agent under its launcher', () => {
  const work = tempDir();
  const root = join(work, 'root');
  let director: Director;
  let launcher: ChildProcess;
  let built: Record<'v100' | 'v110' | 'crash' | 'hang' | 'v130', BuiltArtifact>;

  before(async () => {
    const [v100, v110, crash, hang, v130] = await Promise.all([
      buildVersion(work, '1.0.0'),
      buildVersion(work, '1.1.0'),
      buildVersion(work, '1.2.0', onTrial(`throw new TypeError('the disk label is \\u001b[31mmissing')`)),
      buildVersion(
        work,
        '1.2.1',
        onTrial(`process.on('SIGTERM', () => {}); await new Promise(() => setInterval(() => {}, 1000))`),
      ),
      buildVersion(work, '1.3.0'),
    ]);
    built = { v100, v110, crash, hang, v130 };
    director = await startDirector();
    await install(root, v100, director);
    launcher = startLauncher(root);
    await director.until('the first check-in', () => director.checkIns.length > 0);
  });

  after(async () => {
    await stopLauncher(launcher);
    await director.close();
    remove(work);
  });

  function outcomeOf(attempt: string) {
    return director.outcomes.find(({ id }) => id === attempt);
  }

  async function attemptTo(version: string, artifact: BuiltArtifact, extra = {}) {
    const attempt = director.offer(offerOf(version, artifact, extra));
    await director.until(`an outcome of ${version}`, () => outcomeOf(attempt) !== undefined, 30_000);
    return outcomeOf(attempt);
  }

  it('enrols and reports what it runs', () => {
    const [first] = director.checkIns;
    assert.deepEqual(first?.products, [{ product: 'demo-agent', version: '1.0.0', digest: built.v100.sha256 }]);
    assert.equal(first?.facts?.['agent.version'], '1.0.0');
  });

  it('proves 1.1.0 and keeps 1.0.0 as the way back', async () => {
    const outcome = await attemptTo('1.1.0', built.v110);
    assert.equal(outcome?.state, 'succeeded');
    assert.equal(currentVersion(root), '1.1.0');
    assert.equal(readlinkSync(join(root, 'previous')), 'versions/1.0.0');
    assert.equal(existsSync(join(root, 'rollback')), false);
  });

  it('undoes a version that crashes at start, and says why', async () => {
    const outcome = await attemptTo('1.2.0', built.crash);
    assert.equal(outcome?.state, 'rolled_back');
    assert.equal(outcome?.cause, 'crash_loop');
    assert.match(outcome?.detail ?? '', /^TypeError: the disk label is \[31mmissing$/);
    assert.equal(currentVersion(root), '1.1.0');
  });

  it('declines a build that it has rolled back before', async () => {
    const outcome = await attemptTo('1.2.0', built.crash);
    assert.deepEqual([outcome?.state, outcome?.cause], ['declined', 'skip_listed']);
  });

  it('undoes it while the server cannot be reached, and reports it when it can again', async () => {
    director.mayActivate(false);
    const attempt = director.offer(offerOf('1.2.0', built.crash, { override: true }));
    await director.until('staged', () => director.checkIns.at(-1)?.attempts[0]?.state === 'staged');
    director.mayActivate(true);
    await eventually('the trial has begun', () => currentVersion(root) === '1.2.0');
    director.fail(0);
    await eventually('the launcher has gone back', () => currentVersion(root) === '1.1.0');
    assert.equal(outcomeOf(attempt), undefined);
    director.fail(undefined);
    await director.until('the outcome', () => outcomeOf(attempt) !== undefined);
    assert.equal(outcomeOf(attempt)?.cause, 'crash_loop');
  });

  it('undoes a version that hangs and ignores SIGTERM', async () => {
    const outcome = await attemptTo('1.2.1', built.hang, { proveWithinMs: 400, stableForMs: 100 });
    assert.deepEqual([outcome?.state, outcome?.cause], ['rolled_back', 'not_proven_in_time']);
    assert.equal(currentVersion(root), '1.1.0');
  });

  it('does not hold it against a version that the network was down for the old one too', async () => {
    const attempt = director.offer(offerOf('1.3.0', built.v130, { proveWithinMs: 300, stableForMs: 1000 }));
    await eventually('the trial has begun', () => currentVersion(root) === '1.3.0');
    director.fail(0);
    await eventually('the launcher has gone back', () => currentVersion(root) === '1.1.0');
    const refused = director.refused();
    await director.until('the old one has tried', () => director.refused() > refused);
    director.fail(undefined);
    await director.until('the outcome', () => outcomeOf(attempt) !== undefined);
    assert.deepEqual([outcomeOf(attempt)?.state, outcomeOf(attempt)?.cause], ['inconclusive', 'network_down']);
  });

  it('goes on after the launcher was killed, with one agent', async () => {
    launcher.kill('SIGKILL');
    await exited(launcher);
    const before = director.checkIns.length;
    launcher = startLauncher(root);
    await director.until('a check-in of a new boot', () => {
      return director.checkIns.slice(before).some(({ boot }) => boot !== director.checkIns[before - 1]?.boot);
    });
    const outcome = await attemptTo('1.3.0', built.v130);
    assert.equal(outcome?.state, 'succeeded');
  });

  it('goes back to a version that it has proven before without bringing the bytes again', async () => {
    const outcome = await attemptTo('1.1.0', built.v110, { rollback: true, urls: ['/nowhere'] });
    assert.equal(outcome?.state, 'succeeded');
    assert.equal(currentVersion(root), '1.1.0');
    assert.deepEqual(readdirSync(join(root, 'versions')).sort(), ['1.1.0', '1.3.0']);
  });

  it('never told two outcomes of one attempt', () => {
    assert.deepEqual(director.contradictions, []);
  });

  it('refuses a second launcher under the same root', async () => {
    const second = startLauncher(root);
    await exited(second);
    assert.equal(second.exitCode, 5);
  });
});
