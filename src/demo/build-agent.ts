// Builds the agent's artifact: two bundles and a manifest in a tar.gz that comes out the same, byte for byte, every time.
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { pack } from 'tar-stream';
import { AppError, ERROR_RULES } from '../errors.ts';

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

/**
 * Runs before everything else of a bundle: hosts have Nodes of their own. Under an older one an agent would come to
 * rest half-way, or two launchers would not see each other.
 */
const NODE_CHECK = `if (Number.parseInt(process.versions.node, 10) < 24) {
  process.stderr.write("tidegate needs Node 24 or newer, this is v" + process.versions.node + "; install Node 24 on this host and start it with that\\n");
  process.exit(${ERROR_RULES.node_too_old.exit});
}`;

/** Throws `usage` for names that no server and no agent would take. */
export async function buildAgentArtifact(options: BuildAgentOptions): Promise<BuiltArtifact> {
  const { product, version, platform, outDir, banner = '' } = options;
  checkNames(options);
  const [agent, launcher] = await Promise.all([
    bundle('agent.ts', { product, version, banner: `${NODE_CHECK}\n${REQUIRE}\n${banner}` }),
    bundle('launcher.ts', { product, version, banner: NODE_CHECK }),
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

const PRODUCT = /^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$/;
const PLATFORM = /^[a-z0-9]{1,16}-[a-z0-9_]{1,16}(-[a-z0-9]{1,16})?$/;
// SemVer 2.0.0, the expression that semver.org suggests; at most 128 characters, as the manifest has it.
const SEMVER =
  /^(?=.{1,128}$)(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-((0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(\+([0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*))?$/;

function checkNames({ product, version, platform }: BuildAgentOptions): void {
  const said = (flag: string, text: string, wanted: string) =>
    new AppError('usage', `${flag} ${JSON.stringify(text)} is not ${wanted}`);
  if (!PRODUCT.test(product)) {
    throw said('--product', product, 'a name of lower-case letters, digits and . _ - (at most 64)');
  }
  if (!SEMVER.test(version)) throw said('--version', version, 'a version as semver writes it, e.g. 1.0.0 (without v)');
  if (!PLATFORM.test(platform)) {
    throw said('--platform', platform, 'os-arch or os-arch-libc, e.g. linux-x64 or linux-arm64-musl');
  }
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

const USAGE = `usage: npm run build:agent -- --product P --version V [--platform linux-x64] --out DIR

  --product   what the server's config calls the agent
  --version   the version of this build, the same as the release's tag without its prefix
  --platform  os-arch or os-arch-libc; default: this machine's
  --out       directory for <product>-<version>-<platform>.tar.gz; made when missing
`;

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));

/** Returns the exit code. One line of JSON on standard output; an error is one line on standard error. */
async function main(args: string[]): Promise<number> {
  try {
    const options = readFlags(args);
    const text = options === 'help' ? USAGE : `${JSON.stringify(await buildAgentArtifact(options))}\n`;
    process.stdout.write(text);
    return 0;
  } catch (error) {
    if (error instanceof AppError) {
      process.stderr.write(`error[${error.code}]: ${error.message}\n`);
      return error.exit;
    }
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    process.stderr.write(`error[file_unusable]: ${(error as Error).message}\n`);
    return ERROR_RULES.file_unusable.exit;
  }
}

/** Throws `usage`. */
function readFlags(args: string[]): BuildAgentOptions | 'help' {
  const text = { type: 'string' } as const;
  const help = { type: 'boolean', short: 'h' } as const;
  const options = { product: text, version: text, platform: text, out: text, help };
  const { product, version, platform, out, help: asked } = parse();
  if (asked) return 'help';
  if (product === undefined || version === undefined || out === undefined) {
    throw new AppError('usage', '--product, --version and --out are needed; --help says what they are');
  }
  return { product, version, platform: platform ?? `${process.platform}-${process.arch}`, outDir: out };

  function parse() {
    try {
      return parseArgs({ args, options }).values;
    } catch (error) {
      const [what] = (error as Error).message.split('\n');
      throw new AppError('usage', `${what}; --help says what there is`, { cause: error });
    }
  }
}
