// The host port on a POSIX system: directories, links and renames under the agent's root.
import { accessSync, constants, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, statfsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { AppError } from '../errors.ts';
import type { RunningProduct } from '../protocol/agent.ts';
import type { FetchLike } from '../protocol/agent-client.ts';
import { sha256Hex } from '../protocol/envelope.ts';
import { MANIFEST_FILE, type Manifest, unpackArtifact } from './archive.ts';
import type { AgentConfig } from './config.ts';
import { readCounters, writeCounters } from './counters.ts';
import { download } from './download.ts';
import { linkDurable, readIfThere, readLink, removeDurable, renameDurable } from './durable.ts';
import { createFacts, missingOf } from './facts.ts';
import { faultOf } from './faults.ts';
import type { Fault, Host } from './host.ts';
import { readJournal, writeJournal } from './journal.ts';
import type { Log } from './log.ts';
import { type Marker, readMarker, removeMarkers, renameMarker, type UndoCause, writeTrial } from './marker.ts';
import { openMetadataService } from './metadata-service.ts';
import { type Order, type Outcome, type TrialResult, trialOf } from './order.ts';
import { LAUNCHER_CONTRACT, type Paths } from './paths.ts';
import { faultOfSealed, readSeal, type Seal, sealDirectory } from './sealed.ts';
import { lastSpokenLine, selfTest } from './self-test.ts';
import { addKnownGood, addSkipped, readKnownGood, readSkipped, removeSkipped } from './version-lists.ts';

export interface PosixHostOptions {
  paths: Paths;
  config: AgentConfig;
  /** The sealed directory that this process runs from. */
  ownDir: string;
  log: Log;
  fetch: FetchLike;
  /** For the server's own artifacts. */
  token(): string;
  renewSession(): Promise<void>;
}

/** Throws `state_damaged` when this process does not run from a sealed version. */
export function createPosixHost(options: PosixHostOptions): Host {
  const { paths, log } = options;
  const own = readSeal(options.ownDir);
  if (own === undefined) {
    throw new AppError('state_damaged', 'this agent does not run from a sealed version', {
      where: options.ownDir,
      hint: 'Install it with `tidegate agent install`, and start the launcher.',
    });
  }
  const running: RunningProduct = { product: own.product, version: own.version, digest: own.digest };
  const { metadataService: url } = options.config;
  const facts = createFacts({
    own: { 'agent.version': own.version, 'agent.launcher_contract': String(LAUNCHER_CONTRACT) },
    declared: options.config.facts,
    dir: paths.root,
    metadata: url === null ? null : openMetadataService({ url, nowMs: () => performance.now() }),
  });
  return {
    platform: own.platform,
    running: () => [running],
    facts,
    missing: () => missingOf(options.config.prerequisites, facts()),
    localFault: () => localFault(paths, options.ownDir),
    loadJournal: () => readJournal(paths, log),
    saveJournal: (journal) => writeJournal(paths, journal),
    loadCounters: () => readCounters(paths),
    saveCounters: (counters) => writeCounters(paths, counters),
    skipped: (product) => readSkipped(paths, product),
    knownGood: (product) => readKnownGood(paths, product),
    trialResult: (attempt) => trialResult(paths, attempt),
    hasSealed: (order) => isSealedAs(versionDir(paths, order.version), order),
    download: (order, signal) => bring(options, order, signal),
    unpack: (order) => unpack(paths, order, own.platform),
    selfTest: (order) => testStaged(paths, order),
    seal: (order) => attemptTo(() => seal(paths, order)),
    discard: (order) => discard(paths, order),
    prepare: (order) => prepare(paths, order),
    unprepare: (order) => unprepare(paths, order),
    flip: (order) => flip(paths, order),
    confirm: (order) => confirm(paths, order),
    undo: (order, cause) => undo(paths, order, cause),
    settle: (order, outcome, keep) => settle(paths, running, order, outcome, keep),
  };
}

function versionDir(paths: Paths, version: string): string {
  return join(paths.versions, version);
}

function partFile(paths: Paths, order: Order): string {
  return join(paths.staging, `${order.attempt}.part`);
}

function unpackDir(paths: Paths, order: Order): string {
  return join(paths.staging, order.attempt);
}

function localFault(paths: Paths, ownDir: string): string | undefined {
  try {
    accessSync(paths.state, constants.W_OK);
    if (statfsSync(paths.state).bavail === 0) return 'the disk is full';
    if (realpathSync(paths.current) !== realpathSync(ownDir))
      return 'another version is current than the one that runs';
    return undefined;
  } catch (error) {
    return `the state directory: ${(error as NodeJS.ErrnoException).code}`;
  }
}

function trialResult(paths: Paths, attempt: string): TrialResult {
  const marker = readMarker(paths.state);
  if (marker.kind === 'none' || marker.trial.attempt !== attempt) return { kind: 'none' };
  if (marker.kind === 'trial' || marker.kind === 'proven') return { kind: marker.kind };
  // Asked for and not done yet: as long as `current` names the version on trial, the trial is not over.
  const pending = marker.kind === 'undoing' && currentVersion(paths) === marker.trial.version;
  if (pending) return { kind: 'trial' };
  return { kind: 'undone', cause: marker.cause, detail: lastSpokenLine(readIfThere(paths.lastCrash) ?? '') ?? null };
}

function currentVersion(paths: Paths): string | undefined {
  const target = readLink(paths.current);
  return target === undefined ? undefined : basename(target);
}

function isSealedAs(dir: string, order: Order): boolean {
  const seal = readSeal(dir);
  return seal?.digest === order.digest && seal.product === order.product && faultOfSealed(dir) === undefined;
}

async function bring(options: PosixHostOptions, order: Order, signal: AbortSignal): Promise<Fault | undefined> {
  const { paths, config } = options;
  const started = attemptTo(() => {
    rmSync(paths.staging, { recursive: true, force: true });
    mkdirSync(paths.staging, { mode: 0o700 });
  });
  if (started !== undefined) return started;
  return await download({
    urls: order.urls,
    size: order.size,
    digest: order.digest,
    file: partFile(paths, order),
    server: config.server,
    allowedHosts: config.allowedHosts,
    fetch: options.fetch,
    token: options.token,
    renewSession: options.renewSession,
    signal,
  });
}

async function unpack(paths: Paths, order: Order, platform: string): Promise<Fault | undefined> {
  try {
    const { manifest } = await unpackArtifact(partFile(paths, order), unpackDir(paths, order));
    const wrong = mismatch(manifest, order, platform);
    if (wrong === undefined) return undefined;
    discard(paths, order);
    return { cause: 'archive_rejected', detail: wrong };
  } catch (error) {
    rmSync(paths.staging, { recursive: true, force: true });
    return faultOf(error);
  }
}

function mismatch(manifest: Manifest, order: Order, platform: string): string | undefined {
  if (manifest.product !== order.product) return `the manifest is of the product ${manifest.product}`;
  if (manifest.version !== order.version) return `the manifest is of version ${manifest.version}`;
  if (manifest.platform !== platform) return `the manifest is for ${manifest.platform}`;
  if (manifest.launcherContract !== LAUNCHER_CONTRACT) {
    return `the manifest wants launcher contract ${manifest.launcherContract}`;
  }
  return undefined;
}

async function testStaged(paths: Paths, order: Order): Promise<Fault | undefined> {
  const sealed = versionDir(paths, order.version);
  const fault = await selfTest(isSealedAs(sealed, order) ? sealed : unpackDir(paths, order), order);
  if (fault !== undefined) discard(paths, order);
  return fault;
}

/** The seal says what the manifest announced, so a self-test that changed a file is found out before the swap. */
function seal(paths: Paths, order: Order): void {
  const dir = unpackDir(paths, order);
  const target = versionDir(paths, order.version);
  sealDirectory(dir, sealOf(dir, order));
  // Only a directory that nothing points at can stand here: an unsealed or damaged one, or an older build.
  if (readLink(paths.previous) === join('versions', order.version)) removeDurable(paths.previous);
  removeDurable(target);
  renameDurable(dir, target);
  rmSync(paths.staging, { recursive: true, force: true });
}

function sealOf(dir: string, order: Order): Seal {
  const text = readFileSync(join(dir, MANIFEST_FILE), 'utf8');
  const { files } = JSON.parse(text) as Manifest;
  const manifest = { path: MANIFEST_FILE, size: Buffer.byteLength(text), sha256: sha256Hex(text) };
  const { product, version, digest, platform } = order;
  return { product, version, digest, platform, files: [manifest, ...files] };
}

function discard(paths: Paths, order: Order): void {
  rmSync(paths.staging, { recursive: true, force: true });
  const named = [paths.current, paths.previous, paths.rollback].map(readLink);
  if (!named.includes(join('versions', order.version))) removeDurable(versionDir(paths, order.version));
}

function prepare(paths: Paths, order: Order): Fault | undefined {
  const dir = versionDir(paths, order.version);
  const broken = faultOfSealed(dir);
  if (broken !== undefined || !isSealedAs(dir, order)) {
    return { cause: 'digest_mismatch', detail: broken ?? 'the sealed version is another one' };
  }
  return attemptTo(() => {
    rmSync(paths.lastCrash, { force: true });
    linkDurable(paths.rollback, join('versions', order.from.version));
    writeTrial(paths.state, trialOf(order));
  });
}

function unprepare(paths: Paths, order: Order): void {
  const marker = readMarker(paths.state);
  if (marker.kind === 'trial' && marker.trial.attempt === order.attempt) removeMarkers(paths.state);
  removeDurable(paths.rollback);
}

function flip(paths: Paths, order: Order): Fault | undefined {
  const target = join('versions', order.version);
  const fault = attemptTo(() => linkDurable(paths.current, target));
  // The rename may have gone through before the directory could not be synced: then it counts.
  return readLink(paths.current) === target ? undefined : fault;
}

function confirm(paths: Paths, order: Order): void {
  const marker = readMarker(paths.state);
  if (marker.kind === 'proven' && marker.trial.attempt === order.attempt) return;
  moveMarker(paths, order, marker, 'proven');
}

function undo(paths: Paths, order: Order, cause: UndoCause): void {
  const marker = readMarker(paths.state);
  if (marker.kind === 'undoing') return;
  moveMarker(paths, order, marker, `undoing+${cause}`);
}

/** Where the marker was lost, it is written anew: the journal still knows the trial. */
function moveMarker(paths: Paths, order: Order, marker: Marker, to: string): void {
  if (marker.kind === 'trial' && marker.trial.attempt === order.attempt) {
    renameMarker(paths.state, marker, to);
    return;
  }
  writeTrial(paths.state, trialOf(order));
  renameMarker(paths.state, readMarker(paths.state), to);
}

function settle(paths: Paths, own: RunningProduct, order: Order, outcome: Outcome, keep: readonly string[]): void {
  const { product, version, digest, from } = order;
  if (outcome.state === 'rolled_back') addSkipped(paths, product, digest);
  if (outcome.state === 'succeeded') {
    addKnownGood(paths, product, { version, digest });
    removeSkipped(paths, product, digest);
    // Only while the new version is what runs: a version must not become its own way back.
    if (own.version === version) linkDurable(paths.previous, join('versions', from.version));
  }
  const marker = readMarker(paths.state);
  // Another product's attempt is on trial: its marker and way back are not ours to remove.
  if (marker.kind === 'undoing' || (marker.kind !== 'none' && marker.trial.attempt !== order.attempt)) return;
  removeMarkers(paths.state);
  removeDurable(paths.rollback);
  rmSync(paths.staging, { recursive: true, force: true });
  removeUnnamed(paths, [own.version, ...keep]);
}

/** Keeps what the links name, what runs, and what the journal names. */
function removeUnnamed(paths: Paths, keep: readonly string[]): void {
  const linked = [paths.current, paths.previous].map(readLink).map((target) => target && basename(target));
  const kept = new Set([...keep, ...linked]);
  for (const version of readdirSync(paths.versions)) {
    if (!kept.has(version)) removeDurable(versionDir(paths, version));
  }
}

function attemptTo(act: () => void): Fault | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return faultOf(error);
  }
}
