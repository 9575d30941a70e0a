// kill -9 of the real agent and of the real launcher at many points of real updates: `current` is always a sealed
// version, and every update ends with one outcome that says what really runs.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readIfThere } from '../../src/agent/durable.ts';
import { pathsOf } from '../../src/agent/paths.ts';
import { faultOfSealed } from '../../src/agent/sealed.ts';
import type { BuiltArtifact } from '../../src/demo/build-agent.ts';
import { type Director, startDirector } from './director.ts';
import {
  buildVersion,
  currentVersion,
  exited,
  install,
  offerOf,
  remove,
  startLauncher,
  stopLauncher,
  tempDir,
} from './fixture.ts';

describe('kill -9 during updates', () => {
  const work = tempDir();
  const root = join(work, 'root');
  const paths = pathsOf(root);
  const built = new Map<string, BuiltArtifact>();
  let director: Director;
  let launcher: ChildProcess;

  before(async () => {
    for (const version of ['1.0.0', '1.1.0']) built.set(version, await buildVersion(work, version));
    director = await startDirector();
    await install(root, built.get('1.0.0')!, director);
    launcher = startLauncher(root);
    await director.until('the first check-in', () => director.checkIns.length > 0);
  });

  after(async () => {
    await stopLauncher(launcher);
    await director.close();
    remove(work);
  });

  function killAgent(): void {
    const child = readIfThere(paths.launcherChild);
    if (child === undefined) return;
    try {
      process.kill(JSON.parse(child).pid, 'SIGKILL');
    } catch {
      // It has just ended by itself.
    }
  }

  async function killLauncher(): Promise<void> {
    launcher.kill('SIGKILL');
    await exited(launcher);
    launcher = startLauncher(root);
  }

  const delays = [0, 30, 60, 100, 150, 200, 260, 330, 420, 520];
  for (const [turn, delayMs] of delays.entries()) {
    const victim = turn % 2 === 0 ? 'agent' : 'launcher';
    it(`the ${victim}, ${delayMs} ms after the offer`, async () => {
      const version = currentVersion(root) === '1.0.0' ? '1.1.0' : '1.0.0';
      const attempt = director.offer(offerOf(version, built.get(version)!, { stableForMs: 50 }));
      await sleep(delayMs);
      if (victim === 'agent') killAgent();
      else await killLauncher();
      assert.equal(faultOfSealed(paths.current), undefined);
      await director.until('the outcome', () => director.outcomes.some(({ id }) => id === attempt));
      const outcome = director.outcomes.find(({ id }) => id === attempt);
      assert.equal(outcome?.state, 'succeeded', JSON.stringify(outcome));
      assert.equal(currentVersion(root), version);
      assert.deepEqual(director.contradictions, []);
    });
  }
});
