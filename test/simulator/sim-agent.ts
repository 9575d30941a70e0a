// One modelled agent: the real machines, journal keeper and trust checks on a modelled host that can die at every effect.
import { type Attempts, createAttempts } from '../../src/agent/attempts.ts';
import {
  checkInBody,
  delayAfterFailure,
  delayAfterReply,
  dueIn,
  reportsOf,
  waitSecondsFor,
} from '../../src/agent/check-in.ts';
import { isSystemError } from '../../src/agent/faults.ts';
import type { Host } from '../../src/agent/host.ts';
import { acceptInstruction } from '../../src/agent/instruction.ts';
import { interpret } from '../../src/agent/interpret.ts';
import { schemeOf } from '../../src/domain/version/schemes.ts';
import { AppError } from '../../src/errors.ts';
import type { CheckInRequest, Instruction, RunningProduct } from '../../src/protocol/agent.ts';
import { sha256Hex } from '../../src/protocol/envelope.ts';
import type { Random } from './random.ts';
import { createSimHost, currentOf, type Disk, type HostWorld } from './sim-host.ts';
import { createSimLauncher, type SimLauncher } from './sim-launcher.ts';
import type { VirtualTime } from './virtual-time.ts';

export interface Identity {
  id: string;
  handle: number;
  name: string;
  region: string;
}

/** The reply as the agent gets it: the instruction is text, as if its signature had just been found right. */
export interface AgentReply {
  instruction: string | undefined;
  acknowledged: readonly { id: string; state: string }[];
  nextInMs: number;
  wantFacts: boolean;
}

export interface AgentWorld {
  time: VirtualTime;
  random: Random;
  /** Virtual milliseconds per millisecond of this host. */
  scale: number;
  identity: Identity;
  host: Omit<HostWorld, 'effect'>;
  /** Decides whether this effect goes through: may throw `PowerLost`, or an error of a full disk. */
  effect(name: string): void;
  /** How the version that has just been started will fare. */
  fateOf(running: readonly RunningProduct[]): Fate;
  send(body: string, waitMs: number, signal: AbortSignal): Promise<AgentReply>;
  /** The server refused what an agent said. */
  refused(error: AppError): void;
  wentBack(attempt: string): void;
  lastStart(): void;
  ended(attempt: string, product: string, state: string): void;
  bug(error: unknown): void;
}

export interface Fate {
  /** Host's milliseconds after which the process dies; null: it runs on. */
  diesAfterMs: number | null;
  /** Its check-ins do not leave the host. */
  mute: boolean;
}

/** Ends a process in the middle of an effect. */
export class PowerLost extends Error {}

export interface SimAgent {
  readonly identity: Identity;
  readonly disk: Disk;
  platform(): string;
  isOn(): boolean;
  /** Milliseconds for which the running process has been up, in the host's time. */
  upMs(): number;
  running(): RunningProduct[];
  powerOn(): void;
  powerOff(): void;
  /** Kills the process; the launcher starts it again. */
  kill(): void;
}

interface Process {
  dead: boolean;
  startedMs: number;
  fate: Fate;
  /** Ends the present sleep, or the long poll. */
  wake(): void;
}

export function createSimAgent(disk: Disk, world: AgentWorld): SimAgent {
  const { time, scale, identity } = world;
  let process: Process | undefined;
  let launcher: SimLauncher | undefined;
  let cancelWake = (): void => {};
  const nowMs = () => Math.floor(time.now() / scale);

  function powerOn(): void {
    if (launcher !== undefined) return;
    launcher = createSimLauncher(disk, {
      nowMs,
      wakeAt(instant, run) {
        cancelWake();
        if (instant === null) return;
        const mine = launcher;
        cancelWake = time.at(Math.max(time.now() + scale, instant * scale), () => {
          if (launcher === mine) run();
        });
      },
      startProcess: () => startProcess(),
      endProcess: () => end(null),
      wentBack: world.wentBack,
      lastStart: world.lastStart,
    });
    launcher.begin();
  }

  function powerOff(): void {
    if (process !== undefined) process.dead = true;
    process = undefined;
    launcher = undefined;
    cancelWake();
  }

  /** The process ends and its launcher hears of it, a little later. */
  function end(code: number | null): void {
    if (process === undefined) return;
    process.dead = true;
    process.wake();
    process = undefined;
    const mine = launcher;
    time.after(scale, () => {
      if (launcher === mine) mine?.exited(code);
    });
  }

  function startProcess(): void {
    const mine: Process = { dead: false, startedMs: nowMs(), fate: world.fateOf(currentOf(disk)), wake: () => {} };
    process = mine;
    const { diesAfterMs } = mine.fate;
    if (diesAfterMs !== null)
      time.after(diesAfterMs * scale, () => {
        if (process === mine) end(1);
      });
    run(mine).catch((error: unknown) => {
      if (error instanceof PowerLost || mine.dead) return;
      // A full disk at the start ends the process; its launcher tries again.
      if (isSystemError(error)) end(1);
      else world.bug(error);
    });
  }

  function hostOf(mine: Process): Host {
    return createSimHost(disk, {
      ...world.host,
      effect(name) {
        if (mine.dead) throw new PowerLost('the process has ended');
        try {
          world.effect(name);
        } catch (error) {
          if (error instanceof PowerLost) mine.dead = true;
          throw error;
        }
      },
    });
  }

  /** The agent's loop, as in src/agent/run.ts, with the world's time. */
  async function run(mine: Process): Promise<void> {
    const host = hostOf(mine);
    let sleeping: (() => void) | undefined;
    mine.wake = () => sleeping?.();
    const attempts = createAttempts({ host, log: () => {}, nowMs, onNews: () => mine.wake() });
    const sleep = (ms: number) =>
      new Promise<void>((resolve) => {
        const done = () => {
          sleeping = undefined;
          cancel();
          resolve();
        };
        const cancel = time.after(Math.max(1, ms) * scale, done);
        sleeping = done;
      });
    const talk = createTalk(mine, host, attempts, (abort) => {
      sleeping = abort;
    });
    await attempts.start();
    let notBeforeMs = 0;
    for (;;) {
      if (mine.dead) return;
      await attempts.catchUp();
      if (mine.dead) return;
      if (attempts.isRestartDue()) return end(86);
      const restMs = notBeforeMs - nowMs();
      if (restMs > 0) {
        await sleep(Math.min(restMs, dueIn(attempts.states().values(), nowMs())));
        continue;
      }
      const { failed, delayMs } = await talk();
      if (mine.dead) return;
      if (failed) notBeforeMs = nowMs() + delayMs;
      else if (!attempts.isRestartDue() && !attempts.hasNews()) await sleep(delayMs);
    }
  }

  /** One check-in with all that follows from it. */
  function createTalk(mine: Process, host: Host, attempts: Attempts, interruptible: (abort: () => void) => void) {
    const boot = `${nonceOf(world.random)}`;
    let failures = 0;
    let isFirst = true;
    let wantFacts = true;
    return async (): Promise<{ failed: boolean; delayMs: number }> => {
      const states = attempts.states();
      const fault = host.localFault();
      const request: CheckInRequest = checkInBody({
        host,
        nonce: nonceOf(world.random),
        boot,
        counters: attempts.counters(),
        fault: fault ?? host.missing(),
        states: states.values(),
        withFacts: isFirst || wantFacts,
      });
      const body = JSON.stringify(request);
      const waitSeconds = waitSecondsFor(states.values(), isFirst);
      const abort = new AbortController();
      let cancelDue = (): void => {};
      if (waitSeconds > 0) {
        interruptible(() => abort.abort(INTERRUPTED));
        cancelDue = time.after(dueIn(states.values(), nowMs()) * scale, () => abort.abort(INTERRUPTED));
      }
      let reply: AgentReply;
      try {
        const sent = mine.fate.mute
          ? new Promise<never>((_, reject) => {
              time.after(10_000 * scale, () => reject(new AppError('unreachable', 'nothing leaves this host')));
            })
          : world.send(body, waitSeconds * 1000, abort.signal);
        reply = await Promise.race([sent, aborted(abort.signal)]);
      } catch (error) {
        if (mine.dead) return { failed: true, delayMs: 0 };
        if (abort.signal.aborted) return { failed: false, delayMs: 0 };
        if (!(error instanceof AppError)) throw error;
        failures += 1;
        world.refused(error);
        const throttled = error.code === 'overloaded' || error.code === 'not_ready';
        await attempts.dispatchAll({ kind: 'checkInFailed', throttled, nowMs: nowMs() });
        const delayMs = delayAfterFailure(failures, error.retryAfterMs, states.values(), world.random.next());
        return { failed: true, delayMs };
      } finally {
        cancelDue();
        interruptible(() => {});
      }
      if (mine.dead) return { failed: true, delayMs: 0 };
      failures = 0;
      isFirst = false;
      wantFacts = reply.wantFacts;
      const reported = JSON.stringify(reportsOf(states.values()));
      for (const { id, state } of reply.acknowledged) await attempts.acknowledge(id, state);
      await attempts.dispatchAll({ kind: 'checkedIn', healthy: fault === undefined, nowMs: nowMs() });
      if (reply.instruction !== undefined) await instruct(reply.instruction, body, host, attempts);
      const isNews = JSON.stringify(reportsOf(states.values())) !== reported;
      return { failed: false, delayMs: isNews ? 0 : delayAfterReply(reply.nextInMs, states.values(), nowMs()) };
    };
  }

  async function instruct(text: string, body: string, host: Host, attempts: Attempts): Promise<void> {
    const instruction = trusted(text, body, attempts);
    if (instruction === undefined) return;
    const { product } = instruction;
    const event = interpret(instruction, attempts.states(), nowMs(), {
      platform: host.platform,
      running: host.running().find((running) => running.product === product),
      policy: { hold: false, pin: null, allowDowngrade: false, maxArtifactBytes: 1_000_000 },
      skipped: host.skipped(product),
      knownGood: host.knownGood(product),
      compare: (a, b) => schemeOf('semver').compare(a, b),
    });
    if (event === undefined) return;
    await attempts.dispatch(product, event);
    const state = attempts.states().get(product);
    if (state?.kind === 'ended') world.ended(state.order.attempt, product, state.outcome.state);
  }

  function trusted(text: string, body: string, attempts: Attempts): Instruction | undefined {
    const { id, region } = identity;
    try {
      return acceptInstruction(text, {
        agent: id,
        region,
        requestSha256: sha256Hex(body),
        counters: attempts.counters(),
        orders: attempts.orders(),
      });
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'trust_failure') throw error;
      world.refused(error);
      return undefined;
    }
  }

  return {
    identity,
    disk,
    platform: () => world.host.platform,
    isOn: () => launcher !== undefined,
    upMs: () => (process === undefined ? 0 : nowMs() - process.startedMs),
    running: () => currentOf(disk),
    powerOn,
    powerOff,
    kill: () => end(null),
  };
}

/** Made once: each would bring a stack. */
const INTERRUPTED = new Error('interrupted');

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(INTERRUPTED), { once: true });
  });
}

function nonceOf(random: Random): string {
  return random.hex(22);
}
