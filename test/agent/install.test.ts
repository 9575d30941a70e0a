// The first installation: sealed, idempotent, and never over another one.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { writeIdentity } from '../../src/agent/identity.ts';
import { installAgent } from '../../src/agent/install.ts';
import { pathsOf } from '../../src/agent/paths.ts';
import { faultOfSealed, readSeal } from '../../src/agent/sealed.ts';
import { type BuiltArtifact, buildAgentArtifact } from '../../src/demo/build-agent.ts';
import { AppError } from '../../src/errors.ts';
import { exportSigningKey, generateSigningKey } from '../../src/protocol/envelope.ts';
import { buildVersion, PRODUCT, remove, TOKEN, tempDir } from './fixture.ts';

describe('installAgent', () => {
  const work = tempDir();
  const agentConfig = { server: 'https://tidegate.example', product: PRODUCT, enrolToken: TOKEN };
  let built: BuiltArtifact;
  let other: BuiltArtifact;
  before(async () => {
    [built, other] = await Promise.all([buildVersion(work, '1.0.0'), buildVersion(work, '1.1.0')]);
  });
  after(() => remove(work));

  function hasCode(code: string): (error: unknown) => boolean {
    return (error) => error instanceof AppError && error.code === code;
  }

  it('places a sealed version, the launcher and a private config', async () => {
    const root = join(work, 'fresh');
    const installed = await installAgent({ root, artifactFile: built.file, agentConfig });
    assert.deepEqual(installed, {
      product: PRODUCT,
      version: '1.0.0',
      digest: built.sha256,
      launcher: join(root, 'launcher.mjs'),
    });
    assert.equal(readlinkSync(join(root, 'current')), 'versions/1.0.0');
    assert.equal(faultOfSealed(join(root, 'current')), undefined);
    assert.equal(readSeal(join(root, 'current'))?.digest, built.sha256);
    assert.equal(statSync(join(root, 'agent.json')).mode & 0o777, 0o600);
    assert.equal(statSync(join(root, 'state')).mode & 0o777, 0o700);
    assert.equal(existsSync(join(root, 'staging')), false);
  });

  it('does the same again without a change, and takes a new config', async () => {
    const root = join(work, 'again');
    const first = await installAgent({ root, artifactFile: built.file, agentConfig });
    const changed = { ...agentConfig, name: 'renamed' };
    assert.deepEqual(await installAgent({ root, artifactFile: built.file, agentConfig: changed }), first);
    assert.equal(JSON.parse(readFileSync(join(root, 'agent.json'), 'utf8')).name, 'renamed');
  });

  it('refuses another version over an installation', async () => {
    const root = join(work, 'other');
    await installAgent({ root, artifactFile: built.file, agentConfig });
    await assert.rejects(installAgent({ root, artifactFile: other.file, agentConfig }), hasCode('conflict'));
    assert.equal(readSeal(join(root, 'current'))?.version, '1.0.0');
  });

  const refusals: [string, object, () => Promise<string>, string][] = [
    ['plain http to another machine', { server: 'http://192.0.2.1' }, async () => built.file, 'config_invalid'],
    ['a config with a stranger key', { run: 'rm' }, async () => built.file, 'config_invalid'],
    ['a token that is none', { enrolToken: 'secret' }, async () => built.file, 'auth_invalid'],
    ['an artifact that is not there', {}, async () => join(work, 'none.tar.gz'), 'file_unusable'],
    ['an artifact of another product', { product: 'other' }, async () => built.file, 'archive_rejected'],
    ['an artifact that is none', {}, async () => notAnArchive(), 'archive_rejected'],
    ['an artifact for another platform', {}, async () => (await foreign()).file, 'archive_rejected'],
    [
      'a version that cannot start',
      {},
      async () => (await buildVersion(work, '1.0.9', 'throw 1;')).file,
      'archive_rejected',
    ],
  ];
  for (const [index, [name, config, file, code]] of refusals.entries()) {
    it(`refuses ${name} and leaves nothing behind`, async () => {
      const root = join(work, `refused-${index}`);
      const options = { root, artifactFile: await file(), agentConfig: { ...agentConfig, ...config } };
      await assert.rejects(installAgent(options), hasCode(code));
      assert.equal(existsSync(root), false);
    });
  }

  it('leaves a root that was there as it was, and says which product was meant', async () => {
    const root = join(work, 'present');
    mkdirSync(root);
    writeFileSync(join(root, 'note.txt'), 'mine');
    const options = { root, artifactFile: built.file, agentConfig: { ...agentConfig, product: 'other' } };
    await assert.rejects(installAgent(options), (error: AppError) => error.hint.includes(`--product ${PRODUCT}`));
    assert.deepEqual(readdirSync(root), ['note.txt']);
  });

  it('needs no token where the host is enrolled already', async () => {
    const root = join(work, 'enrolled');
    await installAgent({ root, artifactFile: built.file, agentConfig });
    const { enrolToken: _, ...bare } = agentConfig;
    await assert.rejects(installAgent({ root, artifactFile: built.file, agentConfig: bare }), hasCode('auth_missing'));
    const key = exportSigningKey(generateSigningKey());
    const enrolled = {
      agent: 'a',
      region: 'r',
      directorKeys: { current: 'A'.repeat(43), next: 'A'.repeat(43) },
      sessionToken: 's',
    };
    writeIdentity(pathsOf(root), { privateKey: key, enrolled });
    assert.equal((await installAgent({ root, artifactFile: built.file, agentConfig: bare })).version, '1.0.0');
  });

  function notAnArchive(): string {
    const file = join(work, 'no-archive');
    writeFileSync(file, 'no');
    return file;
  }

  function foreign(): Promise<BuiltArtifact> {
    return buildAgentArtifact({ product: PRODUCT, version: '1.0.0', platform: 'plan9-mips', outDir: work });
  }

  it('builds the same bytes from the same source', async () => {
    const again = await buildVersion(join(work, 'elsewhere'), '1.0.0');
    assert.deepEqual([again.sha256, again.size], [built.sha256, built.size]);
  });
});
