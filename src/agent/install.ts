// The first installation of an agent on a host: the same checks as an update, then links, config and launcher.
import { createHash } from 'node:crypto';
import { chmodSync, createReadStream, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { AppError } from '../errors.ts';
import { unpackArtifact } from './archive.ts';
import { type AgentFile, checkAgentFile } from './config.ts';
import { linkDurable, readLink, removeDurable, renameDurable, writeDurable } from './durable.ts';
import { readIdentity } from './identity.ts';
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
 * Idempotent for the same artifact. Throws `archive_rejected`, `config_invalid`, `file_unusable`, `auth_missing` and
 * `auth_invalid` for the enrolment token, and `conflict` when another installation is there; nothing is changed then.
 */
export async function installAgent(options: InstallOptions): Promise<Installed> {
  try {
    return await install(options, pathsOf(resolve(options.root)));
  } catch (error) {
    const { syscall, path, message } = error as NodeJS.ErrnoException;
    if (error instanceof AppError || syscall === undefined) throw error;
    throw new AppError('file_unusable', message, { where: path ?? options.root, cause: error });
  }
}

async function install({ artifactFile, agentConfig }: InstallOptions, paths: Paths): Promise<Installed> {
  checkToken(agentConfig, paths);
  const digest = await hashOf(artifactFile);
  const present = readLink(paths.current);
  if (present !== undefined && readSeal(paths.current)?.digest !== digest) {
    throw new AppError('conflict', `another agent is installed here: ${present}`, {
      where: paths.root,
      hint: 'Updates come from the server; for a new installation choose another root.',
    });
  }
  const seal = await makingDirectories(paths, () => placeVersion(paths, artifactFile, digest, agentConfig.product));
  const { product, version } = seal;
  writeDurable(paths.config, `${JSON.stringify(agentConfig, null, 2)}\n`, 0o600);
  writeDurable(paths.launcher, readFileSync(join(paths.versions, version, LAUNCHER_FILE), 'utf8'), 0o755);
  addKnownGood(paths, product, { version, digest });
  // Last: from here on the launcher has something to start.
  if (present === undefined) linkDurable(paths.current, join('versions', version));
  return { product, version, digest, launcher: paths.launcher };
}

/** Without one the agent would start and never be taken in. A host that is enrolled needs none any more. */
function checkToken(agentConfig: AgentFile, paths: Paths): void {
  const config = checkAgentFile(agentConfig, paths.config);
  if ((readIdentity(paths)?.enrolled ?? null) !== null || config.readEnrolToken() !== undefined) return;
  throw new AppError('auth_missing', 'no enrolment token is given, and this root is not enrolled', {
    where: paths.root,
    hint: 'Create one with `tidegate enrol-token create --region R`, and give it with --enrol-token-file.',
  });
}

/** When `use` fails, those that were not there before are removed again. */
async function makingDirectories<T>(paths: Paths, use: () => Promise<T>): Promise<T> {
  const made: string[] = [];
  try {
    for (const [dir, mode] of [
      [paths.root, 0o755],
      [paths.versions, 0o755],
      [paths.state, 0o700],
    ] as const) {
      const first = mkdirSync(dir, { recursive: true, mode });
      if (first !== undefined) made.push(first);
    }
    chmodSync(paths.state, 0o700);
    return await use();
  } catch (error) {
    for (const dir of made) rmSync(dir, { recursive: true, force: true });
    throw error;
  }
}

async function placeVersion(paths: Paths, artifactFile: string, digest: string, wanted: string): Promise<Seal> {
  const staged = join(paths.staging, 'install');
  try {
    const { manifest, files } = await unpackArtifact(artifactFile, staged);
    const { product, version, platform } = manifest;
    const own = `${process.platform}-${process.arch}`;
    const where = artifactFile;
    if (product !== wanted) {
      const hint = `Say --product ${product}, or take an artifact of ${wanted}.`;
      throw new AppError('archive_rejected', `the artifact is of the product ${product}, not of ${wanted}`, {
        where,
        hint,
      });
    }
    if (!platform.startsWith(own)) {
      const hint = `Take the artifact for this machine: ${own}.`;
      throw new AppError('archive_rejected', `the artifact is for ${platform}`, { where, hint });
    }
    if (manifest.launcherContract !== LAUNCHER_CONTRACT || !existsSync(join(staged, LAUNCHER_FILE))) {
      const hint = 'Build it with the `npm run build:agent` of this Tidegate, and install it with the same.';
      throw new AppError('archive_rejected', 'the artifact does not bring the launcher that is wanted here', {
        where,
        hint,
      });
    }
    const fault = await selfTest(staged, { product, version });
    if (fault !== undefined) {
      const hint = 'It does not run on this host; see what it says, and mend the build.';
      throw new AppError('archive_rejected', `the self-test failed: ${fault.detail}`, { where, hint });
    }
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
  try {
    for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  } catch (error) {
    throw new AppError('file_unusable', `the artifact cannot be read: ${(error as Error).message}`, {
      where: file,
      hint: 'Name the file that `npm run build:agent` has written.',
      cause: error,
    });
  }
  return hash.digest('hex');
}
