// Config files for tests: a small one to vary, written to a directory that is removed after the tests of the file.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { readConfig } from '../../src/config.ts';
import { AppError } from '../../src/errors.ts';

export const directory = mkdtempSync(join(tmpdir(), 'tidegate-config-'));
after(() => rmSync(directory, { recursive: true }));

export const SMALL = `
regions:
  - { name: eu, timeZone: Europe/Berlin }
  - { name: us, timeZone: America/New_York }
policies:
  plain:
    steps:
      - percent: 10
      - percent: 100
products:
  - name: collector
    repository: example/collector
    artifacts: [{ platform: linux-x64, asset: "collector-{version}.tar.gz" }]
    policy: plain
`;

export function write(text: string): string {
  const file = join(directory, 'tidegate.yaml');
  writeFileSync(file, text);
  return file;
}

/** The message with which the file is refused. */
export function refusal(file: string, env: Record<string, string> = {}): string {
  try {
    readConfig({ file, env });
  } catch (error) {
    assert.ok(error instanceof AppError && error.code === 'config_invalid', String(error));
    return error.message;
  }
  return assert.fail('the config was not refused');
}
