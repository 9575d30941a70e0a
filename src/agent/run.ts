// The runner: checks in, hands what the server says to the attempts, and waits as long as it is told to.
import { AppError } from '../errors.ts';
import type { CheckInReply, Instruction } from '../protocol/agent.ts';
import { type Envelope, sha256Hex } from '../protocol/envelope.ts';
import { type Attempts, createAttempts } from './attempts.ts';
import { checkInBody, delayAfterFailure, delayAfterReply, dueIn, reportsOf, waitSecondsFor } from './check-in.ts';
import { newNonce } from './enrol.ts';
import type { Host } from './host.ts';
import { type HostPolicy, openInstruction } from './instruction.ts';
import { interpret } from './interpret.ts';
import type { Link } from './link.ts';
import type { Log } from './log.ts';
import { createPause, type Pause } from './pause.ts';

export interface RunnerOptions {
  host: Host;
  link: Link;
  policy: HostPolicy;
  /** Negative, 0 or positive; undefined when one of them is no version. */
  compare(a: string, b: string): number | undefined;
  log: Log;
  /** Monotonic, milliseconds. */
  nowMs(): number;
  /** 0–1. */
  random(): number;
  /** Ends the loop. */
  signal: AbortSignal;
}

/** `restart`: `current` or the marker has changed, so that the launcher must look. */
export type RunEnd = 'restart' | 'stopped';

/** Runs until the signal aborts or a restart is due. What is thrown is a bug, or `state_damaged`. */
export async function runLoop(options: RunnerOptions): Promise<RunEnd> {
  const { host, log, nowMs, signal } = options;
  const pause = createPause(signal);
  const attempts = createAttempts({ host, log, nowMs, onNews: pause.wake });
  const runner = createRunner(options, attempts, pause);
  // After a failure nothing makes the agent come earlier, also not what it has to tell: the server may have asked for it.
  let notBeforeMs = 0;
  try {
    await attempts.start();
    for (;;) {
      await attempts.catchUp();
      if (attempts.isRestartDue()) return 'restart';
      if (signal.aborted) return 'stopped';
      const restMs = notBeforeMs - nowMs();
      if (restMs > 0) {
        await pause.sleep(Math.min(restMs, dueIn(attempts.states().values(), nowMs())));
        continue;
      }
      const { failed, delayMs } = await runner.checkIn();
      if (failed) notBeforeMs = nowMs() + delayMs;
      else if (!attempts.isRestartDue() && !attempts.hasNews()) await pause.sleep(delayMs);
    }
  } finally {
    await attempts.stop();
  }
}

interface CheckedIn {
  failed: boolean;
  /** How long to wait before the next one, milliseconds. */
  delayMs: number;
}

function createRunner(options: RunnerOptions, attempts: Attempts, pause: Pause) {
  const { host, link, log, nowMs } = options;
  const boot = newNonce();
  let failures = 0;
  let isFirst = true;
  let wantFacts = true;
  /** The facts that the server has, as they were sent. */
  let toldFacts = '';

  /** One check-in with all that follows from it. */
  async function checkIn(): Promise<CheckedIn> {
    const states = attempts.states();
    const fault = host.localFault();
    const facts = JSON.stringify(host.facts());
    const withFacts = isFirst || wantFacts || facts !== toldFacts;
    const body = JSON.stringify(
      checkInBody({
        host,
        nonce: newNonce(),
        boot,
        counters: attempts.counters(),
        fault: fault ?? host.missing(),
        states: states.values(),
        withFacts,
      }),
    );
    const waitSeconds = waitSecondsFor(states.values(), isFirst);
    const interrupt = pause.interruptAfter(dueIn(states.values(), nowMs()), waitSeconds > 0);
    let reply: CheckInReply;
    try {
      reply = await link.checkIn(body, waitSeconds, interrupt.signal);
    } catch (error) {
      if (interrupt.signal.aborted) return { failed: false, delayMs: 0 };
      return { failed: true, delayMs: await fail(error) };
    } finally {
      interrupt[Symbol.dispose]();
    }
    failures = 0;
    isFirst = false;
    wantFacts = reply.wantFacts;
    if (withFacts) toldFacts = facts;
    const reported = JSON.stringify(reportsOf(states.values()));
    await handle(reply, body, fault === undefined);
    const isNews = JSON.stringify(reportsOf(states.values())) !== reported;
    return { failed: false, delayMs: isNews ? 0 : delayAfterReply(reply.nextInMs, states.values(), nowMs()) };
  }

  async function handle(reply: CheckInReply, body: string, healthy: boolean): Promise<void> {
    for (const { id, state } of reply.acknowledged) await attempts.acknowledge(id, state);
    await attempts.dispatchAll({ kind: 'checkedIn', healthy, nowMs: nowMs() });
    if (reply.answer.kind === 'instruction') await instruct(reply.answer.envelope, body);
  }

  async function instruct(envelope: Envelope, body: string): Promise<void> {
    const instruction = openTrusted(envelope, body);
    if (instruction === undefined) return;
    const { product, attempt, action } = instruction;
    const event = interpret(instruction, attempts.states(), nowMs(), {
      platform: host.platform,
      running: host.running().find((running) => running.product === product),
      policy: options.policy,
      skipped: host.skipped(product),
      knownGood: host.knownGood(product),
      compare: options.compare,
    });
    if (event === undefined) log('info', 'an instruction asks for nothing new', { attempt, action });
    else await attempts.dispatch(product, event);
  }

  /** Undefined for what is no instruction to this host: that is no attempt, and nothing is reported of it. */
  function openTrusted(envelope: Envelope, body: string): Instruction | undefined {
    const { agent, region, directorKeys } = link.enrolled();
    const requestSha256 = sha256Hex(body);
    const counters = attempts.counters();
    try {
      return openInstruction(envelope, {
        agent,
        region,
        directorKeys,
        requestSha256,
        counters,
        orders: attempts.orders(),
      });
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'trust_failure') throw error;
      log('error', 'an instruction was dropped', { error: error.message });
      return undefined;
    }
  }

  async function fail(error: unknown): Promise<number> {
    if (!(error instanceof AppError) || error.code === 'state_damaged') throw error;
    const { code, message, retryAfterMs } = error;
    const throttled = code === 'overloaded' || code === 'not_ready';
    failures += 1;
    log(code === 'trust_failure' ? 'error' : 'warn', 'the check-in failed', { code, error: message, failures });
    await attempts.dispatchAll({ kind: 'checkInFailed', throttled, nowMs: nowMs() });
    return delayAfterFailure(failures, retryAfterMs, attempts.states().values(), options.random());
  }

  return { checkIn };
}
