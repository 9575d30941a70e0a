// One agent in this process against a real server that lies: what it drops, what it refuses, and what it keeps doing.
import assert from 'node:assert/strict';
import { readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { readCounters } from '../../src/agent/counters.ts';
import { readIdentity } from '../../src/agent/identity.ts';
import { runAgent } from '../../src/agent/main.ts';
import { type Paths, pathsOf } from '../../src/agent/paths.ts';
import type { BuiltArtifact } from '../../src/demo/build-agent.ts';
import { AppError } from '../../src/errors.ts';
import { formatEnrolToken, readEnrolToken } from '../../src/protocol/agent.ts';
import { generateSigningKey, INSTRUCTION_TYPE, seal } from '../../src/protocol/envelope.ts';
import { type Director, startDirector } from './director.ts';
import { buildVersion, install, offerOf, PRODUCT, remove, tempDir } from './fixture.ts';

describe('runAgent', () => {
  const work = tempDir();
  let old: BuiltArtifact;
  let next: BuiltArtifact;
  let director: Director;
  let paths: Paths;
  let end: AbortController;
  let running: Promise<number> | undefined;
  let round = 0;

  before(async () => {
    [old, next] = await Promise.all([buildVersion(work, '1.0.0'), buildVersion(work, '1.1.0')]);
  });
  after(() => remove(work));

  beforeEach(async () => {
    round += 1;
    paths = pathsOf(join(work, `root-${round}`));
    director = await startDirector();
    end = new AbortController();
    await install(paths.root, old, director);
  });
  afterEach(async () => {
    await stop();
    await director.close();
  });

  function start(): void {
    end = new AbortController();
    running = runAgent(paths.root, { ownDir: realpathSync(paths.current), signal: end.signal });
    running.catch(() => {});
  }

  async function stop(): Promise<void> {
    end.abort();
    await running?.catch(() => {});
    running = undefined;
  }

  function more(count: number): Promise<void> {
    const from = director.checkIns.length;
    return director.until(`${count} more check-ins`, () => director.checkIns.length >= from + count);
  }

  function editConfig(change: object): void {
    const config = JSON.parse(readFileSync(paths.config, 'utf8'));
    writeFileSync(paths.config, JSON.stringify({ ...config, ...change }));
  }

  it('keeps its key for itself, made before it asks', async () => {
    director.fail(503);
    start();
    await director.until(
      'the failing request',
      () => statSync(paths.identity, { throwIfNoEntry: false }) !== undefined,
    );
    const before = readIdentity(paths);
    assert.equal(before?.enrolled, null);
    assert.equal(statSync(paths.identity).mode & 0o777, 0o600);
    await stop();
    director.fail(undefined);
    start();
    await director.until('a check-in', () => director.checkIns.length > 0);
    assert.equal(readIdentity(paths)?.privateKey, before?.privateKey);
    assert.deepEqual(readCounters(paths), { epoch: 1, sequence: 0 });
  });

  it('does not enrol with a server that lacks the key that the token names', async () => {
    const token = readEnrolToken(director.token);
    assert.ok(token);
    editConfig({ enrolToken: formatEnrolToken({ ...token, fingerprint: generateSigningKey().keyId }) });
    start();
    // The server would deny such a token; what matters is that the agent has nothing of it.
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(readIdentity(paths)?.enrolled, null);
    assert.equal(director.checkIns.length, 0);
  });

  it('opens a new session when the old one is not taken any more, and learns the next key', async () => {
    start();
    await more(1);
    const before = readIdentity(paths)?.enrolled?.directorKeys;
    director.rotateKeys();
    director.voidSessions();
    director.offer(offerOf('1.1.0', next));
    await director.until('staged', () => director.checkIns.at(-1)?.attempts[0]?.state === 'staged', 30_000);
    const after = readIdentity(paths)?.enrolled?.directorKeys;
    assert.equal(after?.current, before?.next);
    assert.notEqual(after?.next, before?.next);
  });

  const stranger = generateSigningKey();
  const lies: Record<string, (liar: Director) => void> = {
    'signed by a stranger': (liar) =>
      liar.tamper((envelope) =>
        seal(stranger, INSTRUCTION_TYPE, JSON.parse(Buffer.from(envelope.payload, 'base64url').toString())),
      ),
    'for another agent': (liar) => liar.alter((it) => ({ ...it, agent: '00000000-0000-4000-8000-000000000009' })),
    'for another region': (liar) => liar.alter((it) => ({ ...it, region: 'r2' })),
    'that answers another request': (liar) => liar.alter((it) => ({ ...it, requestSha256: 'd'.repeat(64) })),
    'of an older epoch': (liar) => liar.alter((it) => ({ ...it, epoch: 0 })),
    'of an older sequence': (liar) => liar.alter((it) => ({ ...it, sequence: 0 })),
  };
  for (const [name, lie] of Object.entries(lies)) {
    it(`drops an instruction ${name}, reports no attempt and goes on checking in`, async () => {
      lie(director);
      director.offer(offerOf('1.1.0', next));
      start();
      await director.until('check-ins', () => director.checkIns.length >= 3);
      assert.deepEqual(
        director.checkIns.flatMap(({ attempts }) => attempts),
        [],
      );
      assert.deepEqual(readCounters(paths), { epoch: 1, sequence: 0 });
    });
  }

  it('drops a replayed instruction', async () => {
    director.mayActivate(false);
    const envelopes: unknown[] = [];
    director.tamper((envelope) => {
      envelopes.push(envelope);
      return envelope;
    });
    director.offer(offerOf('1.1.0', next));
    start();
    await director.until('staged', () => director.checkIns.at(-1)?.attempts[0]?.state === 'staged');
    director.withdraw();
    await director.until('withdrawn', () => director.checkIns.at(-1)?.attempts.length === 0);
    const [first] = envelopes;
    director.tamper(() => first as never);
    director.offer(offerOf('1.1.0', next));
    await more(3);
    assert.deepEqual(
      director.checkIns.slice(-2).flatMap(({ attempts }) => attempts),
      [],
    );
    assert.equal(readCounters(paths).sequence, 1);
  });

  it('remembers a raised epoch, and takes no session of an older one', async () => {
    director.setEpoch(2);
    director.mayActivate(false);
    director.offer(offerOf('1.1.0', next));
    start();
    await director.until('staged', () => director.checkIns.at(-1)?.attempts[0]?.state === 'staged');
    assert.deepEqual(readCounters(paths), { epoch: 2, sequence: 1 });
    const token = readIdentity(paths)?.enrolled?.sessionToken;
    director.setEpoch(1);
    director.voidSessions();
    const before = director.sessions();
    await director.until('a session was offered', () => director.sessions() > before, 30_000);
    await stop();
    assert.equal(readIdentity(paths)?.enrolled?.sessionToken, token);
  });

  const declines: [string, object, Parameters<Director['offer']>[0], string][] = [
    [
      'while the owner holds',
      { policy: { hold: true } },
      offerOf('1.1.0', { file: '', sha256: 'b'.repeat(64), size: 9 }),
      'host_policy',
    ],
    ['a lower version', {}, offerOf('0.9.0', { file: '', sha256: 'b'.repeat(64), size: 9 }), 'downgrade'],
    [
      'another platform',
      {},
      offerOf('1.1.0', { file: '', sha256: 'b'.repeat(64), size: 9 }, { platform: 'plan9-mips' }),
      'unsupported',
    ],
    [
      'a product that is not declared',
      {},
      offerOf('1.1.0', { file: '', sha256: 'b'.repeat(64), size: 9 }, { product: 'other' }),
      'unsupported',
    ],
  ];
  for (const [name, config, offer, cause] of declines) {
    it(`declines ${name}, until it is acknowledged`, async () => {
      editConfig(config);
      const attempt = director.offer(offer);
      start();
      await director.until('the outcome', () => director.outcomes.length > 0);
      assert.deepEqual(
        [director.outcomes[0]?.id, director.outcomes[0]?.state, director.outcomes[0]?.cause],
        [attempt, 'declined', cause],
      );
      await director.until('idle', () => director.checkIns.at(-1)?.attempts.length === 0);
    });
  }

  it('fails an attempt whose bytes are others, and keeps nothing of them', async () => {
    director.offer(offerOf('1.1.0', next, { sha256: 'b'.repeat(64) }));
    start();
    await director.until('the outcome', () => director.outcomes.length > 0);
    assert.deepEqual([director.outcomes[0]?.state, director.outcomes[0]?.cause], ['failed', 'digest_mismatch']);
  });

  it('fails an attempt whose archive is of another version', async () => {
    director.offer(offerOf('1.5.0', next));
    start();
    await director.until('the outcome', () => director.outcomes.length > 0);
    assert.equal(director.outcomes[0]?.cause, 'archive_rejected');
    assert.match(director.outcomes[0]?.detail ?? '', /of version 1\.1\.0/);
  });

  it('waits as long as a throttling server says', async () => {
    start();
    await more(1);
    director.fail(429, { 'retry-after': '1' });
    await director.until('the refusal', () => director.refused() > 0);
    director.fail(undefined);
    const before = performance.now();
    await more(1);
    assert.ok(performance.now() - before > 900, 'it came back too early');
  });

  it('refuses to go on when its counters are damaged', async () => {
    start();
    await more(1);
    await stop();
    for (const file of [paths.countersA, paths.countersB]) writeFileSync(file, 'x');
    start();
    await assert.rejects(running!, (error) => error instanceof AppError && error.code === 'state_damaged');
  });

  it('refuses to run twice under one root', async () => {
    start();
    await more(1);
    const own = new AbortController();
    const second = runAgent(paths.root, { ownDir: realpathSync(paths.current), signal: own.signal });
    const timer = setTimeout(() => own.abort(), 20_000);
    await assert.rejects(second, (error) => error instanceof AppError && error.code === 'conflict');
    clearTimeout(timer);
  });

  it('runs the product that it was installed with', async () => {
    start();
    await more(1);
    assert.equal(director.checkIns[0]?.products[0]?.product, PRODUCT);
  });
});
