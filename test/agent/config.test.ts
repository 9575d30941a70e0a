// agent.json: what is taken, what is refused and where the message points.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { checkAgentFile, readAgentConfig } from '../../src/agent/config.ts';
import { isLoopback } from '../../src/agent/loopback.ts';
import { AppError } from '../../src/errors.ts';
import { remove, TOKEN, tempDir } from './fixture.ts';

const GOOD = { server: 'https://tidegate.example/', product: 'demo-agent' };

describe('checkAgentFile', () => {
  it('fills in what is not said', () => {
    const config = checkAgentFile(GOOD, '/x/agent.json');
    assert.equal(config.server, 'https://tidegate.example');
    assert.equal(config.scheme, 'semver');
    assert.deepEqual(config.policy, { hold: false, pin: null, allowDowngrade: false, maxArtifactBytes: 2_147_483_648 });
    assert.equal(config.allowedHosts, null);
  });

  const servers = ['http://127.0.0.1:8080', 'http://[::1]:1', 'http://localhost', 'https://192.0.2.1/path'];
  for (const server of servers) it(`takes ${server}`, () => assert.ok(checkAgentFile({ ...GOOD, server }, 'f')));

  const bad: [string, object, string][] = [
    ['plain http', { server: 'http://192.0.2.1' }, '#/server'],
    ['plain http to a name like loopback', { server: 'http://127.0.0.1.example' }, '#/server'],
    ['another scheme', { server: 'ftp://127.0.0.1' }, '#/server'],
    ['no URL', { server: 'tidegate' }, '#/server'],
    ['credentials in the URL', { server: 'https://a:b@tidegate.example' }, '#/server'],
    ['a query', { server: 'https://tidegate.example/?a=1' }, '#/server'],
    ['an unknown scheme of versions', { scheme: 'calver' }, '#/scheme'],
    ['an unknown policy', { policy: { never: true } }, '#/policy'],
    ['a policy of the wrong type', { policy: { hold: 'yes' } }, '#/policy/hold'],
    ['a fact whose name no server takes', { facts: { Rack: 'a' } }, '#/facts'],
    ['a fact that is no text', { facts: { rack: 7 } }, '#/facts/rack'],
    ['a fact that is a command', { facts: { rack: { run: 'hostname' } } }, '#/facts/rack'],
    ['a metadata service with a path', { metadataService: 'http://169.254.169.254/latest' }, '#/metadataService'],
    ['a prerequisite that is no text', { prerequisites: { rack: true } }, '#/prerequisites/rack'],
    ['a CA file that is not there', { caFile: 'missing.pem' }, '#/caFile'],
  ];
  for (const [name, change, place] of bad) {
    it(`refuses ${name}, pointing at ${place}`, () => {
      assert.throws(
        () => checkAgentFile({ ...GOOD, ...change }, '/x/agent.json'),
        (error) =>
          error instanceof AppError && error.code === 'config_invalid' && error.where?.includes(place) === true,
      );
    });
  }
});

describe('readAgentConfig', () => {
  const work = tempDir();
  after(() => remove(work));
  const file = join(work, 'agent.json');

  it('says that the file is missing', () => {
    assert.throws(
      () => readAgentConfig(file),
      (error) => error instanceof AppError && error.code === 'config_missing',
    );
  });

  it('refuses a key that stands twice', () => {
    writeFileSync(file, '{"server":"https://a.example","product":"p","product":"q"}');
    assert.throws(() => readAgentConfig(file), /stands twice/);
  });

  it('reads the enrolment token from its file when it is asked for', () => {
    writeFileSync(file, JSON.stringify({ ...GOOD, enrolTokenFile: 'token' }));
    const config = readAgentConfig(file);
    const hasPlace = (code: string) => (error: unknown) =>
      error instanceof AppError && error.code === code && error.where === join(work, 'token');
    assert.throws(() => config.readEnrolToken(), hasPlace('file_unusable'));
    writeFileSync(join(work, 'token'), 'tge1.x\n');
    assert.throws(() => config.readEnrolToken(), hasPlace('auth_invalid'));
    writeFileSync(join(work, 'token'), `${TOKEN}\n`);
    assert.equal(config.readEnrolToken(), TOKEN);
  });
});

describe('isLoopback', () => {
  const rows: [string, boolean][] = [
    ['localhost', true],
    ['127.0.0.1', true],
    ['127.9.9.9', true],
    ['[::1]', true],
    ['128.0.0.1', false],
    ['127.0.0.1.example', false],
    ['localhost.example', false],
    ['[::ffff:127.0.0.1]', false],
  ];
  for (const [name, expected] of rows)
    it(`isLoopback(${name}) → ${expected}`, () => assert.equal(isLoopback(name), expected));
});
