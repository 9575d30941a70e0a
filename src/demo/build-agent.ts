// Builds the agent's artifact: two bundles and a manifest in a tar.gz that comes out the same, byte for byte, every time.
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { pack } from 'tar-stream';
import { AppError } from '../errors.ts';

export interface BuildAgentOptions {
  product: string;
  version: string;
  /** `os-arch[-libc]`, e.g. linux-x64. */
  platform: string;
  /** Made when it is not there. */
  outDir: string;
  /** JavaScript to put before the agent's bundle. */
  banner?: string;
}

export interface BuiltArtifact {
  /** `<outDir>/<product>-<version>-<platform>.tar.gz` */
  file: string;
  /** Lower-case hex. */
  sha256: string;
  /** Bytes. */
  size: number;
}

const SOURCE = join(import.meta.dirname, '..');
/** CommonJS packages in an ES module bundle still ask for `require` of node's own modules. */
const REQUIRE =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";

export async function buildAgentArtifact(options: BuildAgentOptions): Promise<BuiltArtifact> {
  const { product, version, platform, outDir, banner = '' } = options;
  const [agent, launcher] = await Promise.all([
    bundle('agent.ts', { product, version, banner: `${REQUIRE}\n${banner}` }),
    bundle('launcher.ts', { product, version, banner: '' }),
  ]);
  const files = [
    { path: 'agent.mjs', bytes: agent, mode: 0o644 },
    { path: 'launcher.mjs', bytes: launcher, mode: 0o755 },
  ];
  const manifest = {
    product,
    version,
    platform,
    entry: 'agent.mjs',
    launcherContract: 1,
    files: files.map(({ path, bytes }) => ({ path, size: bytes.length, sha256: sha256(bytes) })),
  };
  const manifestBytes = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
  const archive = gzipSync(await tar([{ path: 'manifest.json', bytes: manifestBytes, mode: 0o644 }, ...files]));
  await mkdir(outDir, { recursive: true });
  const file = join(outDir, `${product}-${version}-${platform}.tar.gz`);
  await writeFile(file, archive);
  return { file, sha256: sha256(archive), size: archive.length };
}

interface BundleOptions {
  product: string;
  version: string;
  banner: string;
}

async function bundle(entry: string, { product, version, banner }: BundleOptions): Promise<Buffer> {
  const result = await build({
    entryPoints: [join(SOURCE, entry)],
    absWorkingDir: join(SOURCE, '..'),
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    // A crash of minified code prints its one line of 200 kB on stderr.
    minify: false,
    define: { __TIDEGATE_PRODUCT__: JSON.stringify(product), __TIDEGATE_VERSION__: JSON.stringify(version) },
    banner: { js: banner },
    logLevel: 'silent',
  });
  const [output] = result.outputFiles;
  if (output === undefined) throw new Error(`assertion failed: no bundle of ${entry}`);
  return Buffer.from(output.contents);
}

interface TarFile {
  path: string;
  bytes: Buffer;
  mode: number;
}

/** Fixed times, owners and modes; the order is the caller's. */
async function tar(files: readonly TarFile[]): Promise<Buffer> {
  const stream = pack();
  for (const { path, bytes, mode } of files) {
    stream.entry({ name: path, mode, mtime: new Date(0), uid: 0, gid: 0, uname: '', gname: '' }, bytes);
  }
  stream.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

if (import.meta.main) {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ options: { product: text, version: text, platform: text, out: text } });
  const { product, version, platform, out } = values;
  if (product === undefined || version === undefined || out === undefined) {
    throw new AppError('usage', 'npm run build:agent -- --product P --version V [--platform linux-x64] --out DIR');
  }
  const built = await buildAgentArtifact({
    product,
    version,
    platform: platform ?? `${process.platform}-${process.arch}`,
    outDir: out,
  });
  process.stdout.write(`${JSON.stringify(built)}\n`);
}
