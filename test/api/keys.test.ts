// The server's key files: made once, private, read again the same, and refused when they are not what they should be.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createSecretFile, openServerKeys } from '../../src/api/keys.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tidegate-keys-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe('openServerKeys', () => {
  it('makes three private files, and reads the same keys the next time', () => {
    const first = openServerKeys(dir);
    const files = readdirSync(join(dir, 'keys')).sort();
    assert.deepEqual(files, ['director-current.pem', 'director-next.pem', 'session.key']);
    for (const file of files) assert.equal(statSync(join(dir, 'keys', file)).mode & 0o777, 0o600);
    assert.equal(statSync(join(dir, 'keys')).mode & 0o777, 0o700);
    const second = openServerKeys(dir);
    assert.equal(second.current.publicKey, first.current.publicKey);
    assert.equal(second.next.publicKey, first.next.publicKey);
    assert.ok(second.sessionSecret.equals(first.sessionSecret));
    assert.notEqual(first.current.keyId, first.next.keyId);
    assert.equal(first.sessionSecret.length, 32);
  });

  it('is not led astray by the umask', () => {
    const before = process.umask(0);
    try {
      openServerKeys(dir);
    } finally {
      process.umask(before);
    }
    assert.equal(statSync(join(dir, 'keys/session.key')).mode & 0o777, 0o600);
  });

  const rows: [title: string, damage: (file: (name: string) => string) => void, code: string, message: RegExp][] = [
    ['readable by others', (file) => chmodSync(file('director-next.pem'), 0o640), 'config_invalid', /mode 640/],
    ['not a key', (file) => writeFileSync(file('director-current.pem'), 'hello'), 'state_damaged', /Ed25519/],
    ['cut short', (file) => writeFileSync(file('session.key'), 'short'), 'state_damaged', /32 bytes/],
    ['current gone, next there', (file) => unlinkSync(file('director-current.pem')), 'state_damaged', /is gone/],
  ];
  for (const [title, damage, code, message] of rows) {
    it(`${title} → ${code}`, () => {
      openServerKeys(dir);
      damage((name) => join(dir, 'keys', name));
      assert.throws(
        () => openServerKeys(dir),
        (error: Error & { code: string; where: string; hint: string }) => {
          assert.equal(error.code, code);
          assert.match(error.message, message);
          assert.ok(error.where.startsWith(join(dir, 'keys')));
          return error.hint.length > 0;
        },
      );
    });
  }
});

describe('createSecretFile', () => {
  it('never replaces a file that is there, and leaves no draft', () => {
    const file = join(dir, 'secret');
    assert.equal(createSecretFile(file, 'one'), true);
    assert.equal(createSecretFile(file, 'two'), false);
    assert.deepEqual(readdirSync(dir), ['secret']);
  });
});
