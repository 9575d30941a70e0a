// Kill the agent before and after every single thing that it does on the host, start it again, and see that it ends as
// old-proven or new-proven with one outcome. Real disk, real server, real launcher decisions; only the process is ours.
import assert from 'node:assert/strict';
import { basename, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readAgentConfig } from '../../src/agent/config.ts';
import { openConnection } from '../../src/agent/connection.ts';
import { readLink, renameDurable } from '../../src/agent/durable.ts';
import { ensureEnrolled } from '../../src/agent/enrol.ts';
import type { Host } from '../../src/agent/host.ts';
import { createLink, type Link } from '../../src/agent/link.ts';
import { readMarker, renameMarker } from '../../src/agent/marker.ts';
import { type Paths, pathsOf } from '../../src/agent/paths.ts';
import { createPosixHost } from '../../src/agent/posix-host.ts';
import { runLoop } from '../../src/agent/run.ts';
import { faultOfSealed } from '../../src/agent/sealed.ts';
import type { BuiltArtifact } from '../../src/demo/build-agent.ts';
import { createAgentClient } from '../../src/protocol/agent-client.ts';
import { type Director, startDirector } from './director.ts';
import { buildVersion, install, offerOf, remove, tempDir } from './fixture.ts';

class Killed extends Error {}

/** Dies at the n-th call, before or after it took effect; `calls` counts. */
interface Bomb {
  at: number;
  when: 'before' | 'after';
  calls: number;
}

const READS = new Set(['running', 'facts', 'localFault', 'missing', 'skipped', 'knownGood', 'platform']);

function armed(host: Host, bomb: Bomb): Host {
  return new Proxy(host, {
    get(target, name: keyof Host & string) {
      const value = target[name] as unknown;
      if (typeof value !== 'function' || READS.has(name)) return value;
      return (...args: unknown[]) => {
        bomb.calls += 1;
        const isHit = bomb.calls === bomb.at;
        if (isHit && bomb.when === 'before') throw new Killed(`before ${name}`);
        const result = (value as (...all: unknown[]) => unknown)(...args);
        if (!isHit) return result;
        if (!(result instanceof Promise)) throw new Killed(`after ${name}`);
        return result.then(() => {
          throw new Killed(`after ${name}`);
        });
      };
    },
  });
}

/** The launcher's part in the story, without a process: counts a start of a version on trial, or goes back. */
function launcherLooks(paths: Paths): void {
  const marker = readMarker(paths.state);
  if (marker.kind !== 'trial' || basename(readLink(paths.current) ?? '') !== marker.trial.version) return;
  if (marker.left > 0) {
    renameMarker(paths.state, marker, `trial+${marker.left - 1}`);
    return;
  }
  renameMarker(paths.state, marker, 'undoing+crash_loop');
  renameDurable(paths.rollback, paths.current);
  renameMarker(paths.state, readMarker(paths.state), 'undone+crash_loop');
}

/** One life of the agent's process, from the launcher's look to its end. */
async function live(paths: Paths, bomb: Bomb | undefined, signal: AbortSignal): Promise<void> {
  launcherLooks(paths);
  const config = readAgentConfig(paths.config);
  using connection = openConnection(undefined);
  const client = createAgentClient({ baseUrl: config.server, fetch: connection.fetch });
  let link: Link | undefined;
  const real = createPosixHost({
    paths,
    config,
    ownDir: join(paths.root, readLink(paths.current) ?? ''),
    log: () => {},
    fetch: connection.fetch,
    token: () => link?.enrolled().sessionToken ?? '',
    renewSession: async () => await link?.renew(),
  });
  const host = bomb === undefined ? real : armed(real, bomb);
  link = createLink(paths, client, await ensureEnrolled(paths, config, client, real), () => {});
  await runLoop({
    host,
    link,
    policy: config.policy,
    compare: (a, b) => a.localeCompare(b),
    log: () => {},
    nowMs: () => Math.floor(performance.now()),
    random: () => 0,
    signal,
  });
}

describe('an update that is killed at any point', () => {
  const work = tempDir();
  let old: BuiltArtifact;
  let next: BuiltArtifact;
  before(async () => {
    [old, next] = await Promise.all([buildVersion(work, '1.0.0'), buildVersion(work, '1.1.0')]);
  });
  after(() => remove(work));

  /** Returns how many calls a life had, so that the sweep knows where it ends. */
  async function story(bomb: Bomb): Promise<void> {
    const root = join(work, `${bomb.when}-${bomb.at}`);
    const paths = pathsOf(root);
    const director = await startDirector();
    try {
      await install(root, old, director);
      const attempt = director.offer(offerOf('1.1.0', next, { stableForMs: 20 }));
      const end = new AbortController();
      const ended = director.until('an outcome', () => director.outcomes.length > 0).then(() => quiet(director));
      let isOver = false;
      const over = ended.finally(() => {
        isOver = true;
        end.abort();
      });
      over.catch(() => {});
      for (let lives = 0; !isOver && lives < 12; lives += 1) {
        await live(paths, bomb, end.signal).catch((error: unknown) => {
          if (!(error instanceof Killed)) throw error;
        });
        assert.ok(readLink(paths.current) !== undefined, 'current is there');
        assert.equal(faultOfSealed(paths.current), undefined);
      }
      await over;
      check(paths, director, attempt);
    } finally {
      await director.close();
      remove(root);
    }
  }

  /** A check-in without the attempt: the agent has let go of it. */
  async function quiet(director: Director): Promise<void> {
    await director.until('idle', () => director.checkIns.at(-1)?.attempts.length === 0);
  }

  function check(paths: Paths, director: Director, attempt: string): void {
    assert.deepEqual(
      director.outcomes.map(({ id }) => id),
      [attempt],
    );
    assert.deepEqual(director.contradictions, []);
    const isNew = director.outcomes[0]?.state === 'succeeded';
    assert.equal(basename(readLink(paths.current) ?? ''), isNew ? '1.1.0' : '1.0.0', JSON.stringify(director.outcomes));
    assert.equal(director.checkIns.at(-1)?.products[0]?.version, isNew ? '1.1.0' : '1.0.0');
    assert.equal(readMarker(paths.state).kind, 'none');
  }

  // Enough for every call of an undisturbed update; beyond it nothing dies and the story is the plain one.
  const bomb: Bomb = { at: Number.POSITIVE_INFINITY, when: 'before', calls: 0 };

  it('sweeps over all of them', { concurrency: 4 }, async (t) => {
    await story(bomb);
    assert.ok(bomb.calls > 15, `only ${bomb.calls} calls`);
    const stories: Promise<void>[] = [];
    for (const when of ['before', 'after'] as const) {
      for (let at = 1; at <= bomb.calls; at += 1) {
        const one: Bomb = { at, when, calls: 0 };
        const test = t.test(`killed ${when} call ${at} of ${bomb.calls}`, async () => {
          await story(one);
          assert.ok(one.calls > at, 'it was killed and lived on');
        });
        stories.push(test);
      }
    }
    await Promise.all(stories);
  });
});
