// Hostile and broken archives: each is refused as a whole, and nothing is left in the directory or beside it.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { unpackArtifact } from '../../src/agent/archive.ts';
import { AppError } from '../../src/errors.ts';
import { remove, tempDir } from './fixture.ts';

interface File {
  name: string;
  text?: string;
  type?: string;
  mode?: number;
  linkname?: string;
  pax?: Record<string, string>;
  /** Claimed in the manifest instead of what is true. */
  claim?: { size?: number; sha256?: string };
  undeclared?: boolean;
}

const ENTRY: File = { name: 'agent.mjs', text: 'run();' };
const work = tempDir();
after(() => remove(work));

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function manifestOf(files: File[], extra: object = {}): string {
  const declared = files.filter(({ undeclared }) => undeclared !== true);
  return JSON.stringify({
    product: 'demo-agent',
    version: '1.0.0',
    platform: 'linux-x64',
    entry: 'agent.mjs',
    launcherContract: 1,
    files: declared.map(({ name, text = '', claim }) => ({
      path: name,
      size: claim?.size ?? Buffer.byteLength(text),
      sha256: claim?.sha256 ?? sha256(text),
    })),
    ...extra,
  });
}

async function tar(files: File[]): Promise<Buffer> {
  const stream = pack();
  for (const { name, text = '', type = 'file', mode = 0o644, linkname, pax } of files) {
    const header = { name, type, mode, mtime: new Date(0), ...(linkname && { linkname }), ...(pax && { pax }) };
    if (type === 'file') stream.entry(header as never, text);
    else stream.entry(header as never);
  }
  stream.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function good(files: File[], extra: object = {}): Promise<Buffer> {
  return gzipSync(await tar([{ name: 'manifest.json', text: manifestOf(files, extra) }, ...files]));
}

let number = 0;

/** Unpacks in a directory of its own and says what came of it. */
async function unpack(archive: Buffer, maxUnpackedBytes?: number) {
  number += 1;
  const around = join(work, String(number));
  mkdirSync(around);
  const file = join(around, 'artifact.tar.gz');
  writeFileSync(file, archive);
  const dir = join(around, 'stage', 'unpacked');
  const options = maxUnpackedBytes === undefined ? {} : { maxUnpackedBytes };
  try {
    return { dir, around, unpacked: await unpackArtifact(file, dir, options), error: undefined };
  } catch (error) {
    return { dir, around, unpacked: undefined, error };
  }
}

describe('unpackArtifact', () => {
  it('writes what the manifest says, with plain modes, whatever the umask of the archive', async () => {
    const files = [
      ENTRY,
      { name: 'bin', type: 'directory', undeclared: true },
      { name: 'bin/tool', text: 'x', mode: 0o777 },
    ];
    const { dir, unpacked } = await unpack(await good(files));
    assert.deepEqual(
      unpacked?.files.map(({ path }) => path),
      ['manifest.json', 'agent.mjs', 'bin/tool'],
    );
    assert.equal(readFileSync(join(dir, 'agent.mjs'), 'utf8'), 'run();');
    assert.equal(lstatSync(join(dir, 'bin/tool')).mode & 0o7777 & 0o111, 0o111);
    assert.equal(lstatSync(join(dir, 'agent.mjs')).mode & 0o133, 0);
  });

  const rows: Record<string, () => Promise<Buffer>> = {
    'climbs out with ..': () => good([ENTRY, { name: '../evil', text: 'x' }]),
    'climbs out further in': () => good([ENTRY, { name: 'a/../../evil', text: 'x' }]),
    'climbs out, not declared': () => good([ENTRY, { name: '../evil', text: 'x', undeclared: true }]),
    'an absolute path, not declared': () => good([ENTRY, { name: '/tmp/evil', text: 'x', undeclared: true }]),
    'an absolute path': () => good([ENTRY, { name: '/tmp/evil', text: 'x' }]),
    'a segment .': () => good([ENTRY, { name: 'a/./b', text: 'x' }]),
    'an empty segment': () => good([ENTRY, { name: 'a//b', text: 'x' }]),
    'a backslash': () => good([ENTRY, { name: 'a\\b', text: 'x' }]),
    'a colon': () => good([ENTRY, { name: 'c:x', text: 'x' }]),
    'a control character': () => good([ENTRY, { name: 'a\nb', text: 'x' }]),
    'the name of the seal': () => good([ENTRY, { name: '.sealed', text: '{}' }]),
    'too deep': () => good([ENTRY, { name: `${'d/'.repeat(12)}x`, text: 'x' }]),
    'a symbolic link': () => good([ENTRY, { name: 'l', type: 'symlink', linkname: '/etc', undeclared: true }]),
    'a hard link': () => good([ENTRY, { name: 'l', type: 'link', linkname: 'agent.mjs', undeclared: true }]),
    'a fifo': () => good([ENTRY, { name: 'f', type: 'fifo', undeclared: true }]),
    'a device': () => good([ENTRY, { name: 'd', type: 'character-device', undeclared: true }]),
    setuid: () => good([ENTRY, { name: 's', text: 'x', mode: 0o4755 }]),
    sticky: () => good([ENTRY, { name: 's', text: 'x', mode: 0o1755 }]),
    'a name twice': () => good([ENTRY, { name: 'agent.mjs', text: 'run();', undeclared: true }]),
    'two names that differ in case': () => good([ENTRY, { name: 'AGENT.mjs', text: 'x' }]),
    'two names that normalise to one': () =>
      good([ENTRY, { name: 'caf\u00e9', text: 'x' }, { name: 'cafe\u0301', text: 'y' }]),
    'a file that is also a directory': () => good([ENTRY, { name: 'a', text: 'x' }, { name: 'a/b', text: 'y' }]),
    'a file that is not declared': () => good([ENTRY, { name: 'extra', text: 'x', undeclared: true }]),
    'a directory that no file lies in': () => good([ENTRY, { name: 'e', type: 'directory', undeclared: true }]),
    'a declared file that is missing': async () =>
      gzipSync(await tar([{ name: 'manifest.json', text: manifestOf([ENTRY, { name: 'b' }]) }, ENTRY])),
    'a file longer than declared': () => good([{ ...ENTRY, claim: { size: 1 } }]),
    'a file of another digest': () => good([{ ...ENTRY, claim: { sha256: sha256('other') } }]),
    'no manifest': async () => gzipSync(await tar([ENTRY])),
    'the manifest not first': async () =>
      gzipSync(await tar([ENTRY, { name: 'manifest.json', text: manifestOf([ENTRY]) }])),
    'a manifest without the entry': () => good([{ name: 'other.mjs', text: 'x' }]),
    'a manifest with a key twice': async () => {
      const text = manifestOf([ENTRY]).replace('{', '{"product":"evil",');
      return gzipSync(await tar([{ name: 'manifest.json', text }, ENTRY]));
    },
    'a manifest with a stranger key': () => good([ENTRY], { run: 'rm' }),
    'a manifest that is not JSON': async () => gzipSync(await tar([{ name: 'manifest.json', text: 'no' }, ENTRY])),
    'an extended header that renames': () => good([ENTRY, { name: 'a', text: 'x', pax: { path: '../evil' } }]),
    'a sparse file': () => good([ENTRY, { name: 'a', text: 'x', pax: { 'GNU.sparse.realsize': '1' } }]),
    'more than 2000 entries': () =>
      good([ENTRY, ...Array.from({ length: 2000 }, (_, i) => ({ name: `f${i}`, text: '' }))]),
    'a gzip that is cut off': async () => (await good([ENTRY])).subarray(0, -12),
    'a tar that is cut off': async () => {
      const whole = await tar([{ name: 'manifest.json', text: manifestOf([ENTRY]) }, ENTRY]);
      return gzipSync(whole.subarray(0, 512 + 512 + 512 + 100));
    },
    'entries behind the end': async () => {
      const first = await tar([{ name: 'manifest.json', text: manifestOf([ENTRY]) }, ENTRY]);
      return gzipSync(Buffer.concat([first, await tar([{ name: 'late', text: 'x' }])]));
    },
    'a second gzip member': async () =>
      Buffer.concat([await good([ENTRY]), gzipSync(await tar([{ name: 'late', text: 'x' }]))]),
    'a header with a wrong checksum': async () => {
      const whole = await tar([{ name: 'manifest.json', text: manifestOf([ENTRY]) }, ENTRY]);
      whole[3] = (whole[3] ?? 0) ^ 1;
      return gzipSync(whole);
    },
    'a bomb': async () => {
      const text = '\0'.repeat(20_000_000);
      return await good([ENTRY, { name: 'zeros', text }]);
    },
    'bytes that are no gzip': async () => Buffer.from('<html>sign in</html>'),
    'nothing at all': async () => Buffer.alloc(0),
    'an empty archive': async () => gzipSync(await tar([])),
  };
  for (const [name, make] of Object.entries(rows)) {
    it(`refuses ${name}`, async () => {
      const { around, dir, error } = await unpack(await make());
      assert.ok(error instanceof AppError, String(error));
      assert.equal(error.code, 'archive_rejected', error.message);
      assert.equal(existsSync(dir), false);
      const left = readdirSync(around, { recursive: true }).map(String).sort();
      assert.deepEqual(
        left.filter((path) => path !== 'stage'),
        ['artifact.tar.gz'],
      );
    });
  }

  it('refuses files that are too large together', async () => {
    const archive = await good([ENTRY, { name: 'a', text: 'x'.repeat(600) }, { name: 'b', text: 'y'.repeat(600) }]);
    const { error } = await unpack(archive, 1000);
    assert.match((error as Error).message, /larger than allowed/);
  });
});
