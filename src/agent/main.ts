// Composition of the agent process: config, identity, host, link, then the runner until it ends.
import { dirname, resolve } from 'node:path';
import { schemeOf } from '../domain/version/schemes.ts';
import { AppError } from '../errors.ts';
import { createAgentClient } from '../protocol/agent-client.ts';
import { BUILD } from './build-info.ts';
import { delayAfterFailure } from './check-in.ts';
import { type AgentConfig, readAgentConfig } from './config.ts';
import { openConnection } from './connection.ts';
import { ensureEnrolled } from './enrol.ts';
import { type Enrolled, readIdentity } from './identity.ts';
import { createLink, type Link } from './link.ts';
import { type Lock, takeLock } from './lock.ts';
import { createLog, type Log } from './log.ts';
import { EXIT_RESTART, pathsOf } from './paths.ts';
import { createPause } from './pause.ts';
import { createPosixHost } from './posix-host.ts';
import { runLoop } from './run.ts';

/** Another agent may still be on its way out when the launcher starts this one. */
const LOCK_TRIES = 100;
const LOCK_PAUSE_MS = 100;

export interface RunAgentOptions {
  /** The sealed directory that the code runs from. Default: where the script of this process lies. */
  ownDir?: string;
  /** Ends the agent. */
  signal: AbortSignal;
}

/** Runs the agent that is installed under `root`; resolves to the exit code for the launcher. Throws AppErrors. */
export async function runAgent(root: string, options: RunAgentOptions): Promise<number> {
  const paths = pathsOf(resolve(root));
  const log = createLog('agent');
  const config = readAgentConfig(paths.config);
  using _lock = await waitForLock(paths.root, options.signal);
  using connection = openConnection(config.ca);
  const client = createAgentClient({ baseUrl: config.server, fetch: connection.fetch });
  let link: Link | undefined;
  const host = createPosixHost({
    paths,
    config,
    ownDir: options.ownDir ?? dirname(process.argv[1] ?? ''),
    log,
    fetch: connection.fetch,
    token: () => link?.enrolled().sessionToken ?? '',
    renewSession: async () => await link?.renew(),
  });
  log('info', 'the agent starts', { version: BUILD.version, product: config.product, server: config.server });
  const wasEnrolled = (readIdentity(paths)?.enrolled ?? null) !== null;
  const enrolled = await enrolPatiently(() => ensureEnrolled(paths, config, client, host), log, options.signal);
  if (enrolled === undefined) return 0;
  const { agent, region } = enrolled;
  if (!wasEnrolled) log('info', 'this host is enrolled', { agent, region, server: config.server });
  link = createLink(paths, client, enrolled, log);
  const end = await runLoop({
    host,
    link,
    policy: config.policy,
    compare: compareBy(config),
    log,
    nowMs: () => Math.floor(performance.now()),
    random: Math.random,
    signal: options.signal,
  });
  return end === 'restart' ? EXIT_RESTART : 0;
}

async function waitForLock(root: string, signal: AbortSignal): Promise<Lock> {
  const pause = createPause(signal);
  for (let tries = 0; tries < LOCK_TRIES && !signal.aborted; tries += 1) {
    const lock = await takeLock(root, 'agent');
    if (lock !== undefined) return lock;
    await pause.sleep(LOCK_PAUSE_MS);
  }
  throw new AppError('conflict', 'another agent runs under this root', { where: root, hint: 'Stop it first.' });
}

/** Undefined when the signal aborted first. */
async function enrolPatiently(
  enrol: () => Promise<Enrolled>,
  log: Log,
  signal: AbortSignal,
): Promise<Enrolled | undefined> {
  const pause = createPause(signal);
  for (let failures = 1; !signal.aborted; failures += 1) {
    try {
      return await enrol();
    } catch (error) {
      if (!(error instanceof AppError) || error.code === 'state_damaged') throw error;
      const { code, message, where, hint } = error;
      log('error', 'this host could not be enrolled', { code, error: message, where, hint });
      await pause.sleep(delayAfterFailure(failures, error.retryAfterMs, [], Math.random()));
    }
  }
  return undefined;
}

function compareBy(config: AgentConfig): (a: string, b: string) => number | undefined {
  const scheme = schemeOf(config.scheme);
  return (a, b) => (scheme.parse(a) === undefined || scheme.parse(b) === undefined ? undefined : scheme.compare(a, b));
}
