// What the agent's process tests share: real bundles, a real installation, and a real launcher in its own process.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { installAgent } from '../../src/agent/install.ts';
import { readSeal } from '../../src/agent/sealed.ts';
import { type BuiltArtifact, buildAgentArtifact } from '../../src/demo/build-agent.ts';
import { formatEnrolToken } from '../../src/protocol/agent.ts';
import type { Director, Offer } from './director.ts';

export const PRODUCT = 'demo-agent';
/** Has the shape of an enrolment token. */
export const TOKEN = formatEnrolToken({
  id: '0197a000-0000-7000-8000-000000000001',
  secret: 'A'.repeat(43),
  fingerprint: 'B'.repeat(43),
});
export const PLATFORM = `${process.platform}-${process.arch}`;

/** A new directory under the system's own; the caller removes it. */
export function tempDir(): string {
  return mkdtempSync(join(realpathSync(tmpdir()), 'tidegate-agent-'));
}

export async function buildVersion(outDir: string, version: string, banner?: string): Promise<BuiltArtifact> {
  const options = { product: PRODUCT, version, platform: PLATFORM, outDir };
  return await buildAgentArtifact(banner === undefined ? options : { ...options, banner });
}

/** Runs `code` unless it is the self-test, so that the version passes staging and fails on trial. */
export function onTrial(code: string): string {
  return `if (!process.argv.includes('--self-test')) { ${code} }`;
}

export function offerOf(version: string, built: BuiltArtifact, extra: Partial<Offer> = {}): Offer {
  return { version, sha256: built.sha256, size: built.size, file: built.file, ...extra };
}

export async function install(root: string, built: BuiltArtifact, director: Director): Promise<void> {
  const agentConfig = { server: director.url, product: PRODUCT, enrolToken: director.token, name: 'host-1' };
  await installAgent({ root, artifactFile: built.file, agentConfig });
}

export function startLauncher(root: string): ChildProcess {
  const verbose = process.env['TIDEGATE_TEST_VERBOSE'] === '1';
  return spawn(process.execPath, [join(root, 'launcher.mjs'), '--root', root], {
    stdio: ['ignore', 'ignore', verbose ? 'inherit' : 'ignore'],
  });
}

/** Ends what was started, the agent below it included. */
export async function stopLauncher(launcher: ChildProcess): Promise<void> {
  if (launcher.exitCode !== null || launcher.signalCode !== null) return;
  launcher.kill('SIGTERM');
  await exited(launcher);
}

export function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once('exit', () => resolve()));
}

/** Looks every 10 ms, for what no request tells of; bounded. */
export async function eventually(what: string, check: () => boolean, ms = 20_000): Promise<void> {
  const end = performance.now() + ms;
  while (!check()) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await sleep(10);
  }
}

export function currentVersion(root: string): string | undefined {
  return readSeal(join(root, 'current'))?.version;
}

export function remove(dir: string): void {
  rmSync(dir, { recursive: true, force: true });
}
