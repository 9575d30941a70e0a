// The first installation of an agent on a host: the same checks as an update, then links, config and launcher.
import { createHash } from 'node:crypto';
import { chmodSync, createReadStream, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { AppError } from '../errors.ts';
import { unpackArtifact } from './archive.ts';
import { type AgentFile, checkAgentFile } from './config.ts';
import { linkDurable, readLink, removeDurable, renameDurable, writeDurable } from './durable.ts';
import { LAUNCHER_CONTRACT, LAUNCHER_FILE, type Paths, pathsOf } from './paths.ts';
import { faultOfSealed, readSeal, type Seal, sealDirectory } from './sealed.ts';
import { selfTest } from './self-test.ts';
import { addKnownGood } from './version-lists.ts';

export interface InstallOptions {
  /** Made when it is not there. */
  root: string;
  artifactFile: string;
  agentConfig: AgentFile;
}

export interface Installed {
  product: string;
  version: string;
  digest: string;
  /** To be started by the service manager: `node <launcher> --root <root>`. */
  launcher: string;
}

/**
 * Idempotent for the same artifact. Throws `archive_rejected`, `config_invalid`, and `conflict` when another installation
 * is there; nothing is changed then.
 */
export async function installAgent({ root, artifactFile, agentConfig }: InstallOptions): Promise<Installed> {
  const paths = pathsOf(resolve(root));
  checkAgentFile(agentConfig, paths.config);
  const digest = await hashOf(artifactFile);
  const present = readLink(paths.current);
  if (present !== undefined && readSeal(paths.current)?.digest !== digest) {
    throw new AppError('conflict', `another agent is installed here: ${present}`, {
      where: paths.root,
      hint: 'Updates come from the server; for a new installation choose another root.',
    });
  }
  for (const [dir, mode] of [
    [paths.root, 0o755],
    [paths.versions, 0o755],
    [paths.state, 0o700],
  ] as const) {
    mkdirSync(dir, { recursive: true, mode });
  }
  chmodSync(paths.state, 0o700);
  const seal = await placeVersion(paths, artifactFile, digest, agentConfig.product);
  const { product, version } = seal;
  writeDurable(paths.config, `${JSON.stringify(agentConfig, null, 2)}\n`, 0o600);
  writeDurable(paths.launcher, readFileSync(join(paths.versions, version, LAUNCHER_FILE), 'utf8'), 0o755);
  addKnownGood(paths, product, { version, digest });
  // Last: from here on the launcher has something to start.
  if (present === undefined) linkDurable(paths.current, join('versions', version));
  return { product, version, digest, launcher: paths.launcher };
}

async function placeVersion(paths: Paths, artifactFile: string, digest: string, wanted: string): Promise<Seal> {
  const staged = join(paths.staging, 'install');
  try {
    const { manifest, files } = await unpackArtifact(artifactFile, staged);
    const { product, version, platform } = manifest;
    if (product !== wanted) reject(`the artifact is of the product ${product}, agent.json says ${wanted}`);
    if (manifest.launcherContract !== LAUNCHER_CONTRACT) reject('the artifact wants another launcher contract');
    if (!platform.startsWith(`${process.platform}-${process.arch}`)) reject(`the artifact is for ${platform}`);
    if (!existsSync(join(staged, LAUNCHER_FILE))) reject(`the artifact holds no ${LAUNCHER_FILE}`);
    const fault = await selfTest(staged, { product, version });
    if (fault !== undefined) reject(`the self-test failed: ${fault.detail}`);
    const seal = { product, version, digest, platform, files };
    const target = join(paths.versions, version);
    if (readSeal(target)?.digest !== digest || faultOfSealed(target) !== undefined) {
      sealDirectory(staged, seal);
      removeDurable(target);
      renameDurable(staged, target);
    }
    return seal;
  } finally {
    rmSync(paths.staging, { recursive: true, force: true });
  }
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

function reject(why: string): never {
  throw new AppError('archive_rejected', why);
}
