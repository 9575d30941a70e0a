// `status --watch`: redraws in place on a terminal; elsewhere one line for every thing that changed.
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import type { StatusReply } from '../protocol/operator.ts';
import type { OperatorClient } from '../protocol/operator-client.ts';
import { failureLines } from './failure.ts';
import { clean, instant } from './render.ts';
import { progress, scopeName, statusPage } from './status-page.ts';
import type { Terminal } from './terminal.ts';

const INTERVAL_MS = 2000;
/** The other screen, without cursor; and back. */
const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';

/**
 * Until the signal aborts. A server that goes away while it is watched is waited for; the first look must succeed.
 * Throws what the client throws, except for `unreachable`, `timeout` and `overloaded` later on.
 */
export async function watchStatus(
  client: OperatorClient,
  terminal: Terminal,
  signal: AbortSignal,
  intervalMs = INTERVAL_MS,
): Promise<void> {
  const view = terminal.isTerminal ? screenView(terminal) : lineView(terminal);
  try {
    view.show(await client.status());
    while (!signal.aborted) {
      await sleep(intervalMs, undefined, { signal });
      try {
        view.show(await client.status());
      } catch (error) {
        if (!isPassing(error)) throw error;
        view.fail(error);
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    view.end();
  }
}

interface View {
  show(status: StatusReply): void;
  fail(error: AppError): void;
  end(): void;
}

function isPassing(error: unknown): error is AppError {
  return error instanceof AppError && ['unreachable', 'timeout', 'overloaded'].includes(error.code);
}

function screenView(terminal: Terminal): View {
  let last: string[] = [];
  let entered = false;
  function draw(lines: readonly string[]): void {
    if (!entered) terminal.write(ENTER);
    entered = true;
    const shown = lines.slice(0, Math.max(1, terminal.rows - 1));
    terminal.write(`\u001b[H${shown.map((line) => `${line}\u001b[K\n`).join('')}\u001b[J`);
  }
  return {
    show(status) {
      last = statusPage(status, terminal);
      draw(last);
    },
    fail: (error) => draw([...failureLines(error, terminal), ...last]),
    end() {
      if (!entered) return;
      terminal.write(LEAVE);
      terminal.print(last);
    },
  };
}

function lineView(terminal: Terminal): View {
  let before = new Map<string, string>();
  return {
    show(status) {
      const facts = factsOf(status);
      const changed = [...facts].filter(([key, text]) => before.get(key) !== text).map(([, text]) => text);
      const released = [...before].filter(([key]) => key.startsWith('brake ') && !facts.has(key));
      const lines = [...changed, ...released.map(([, text]) => `released: ${text}`)];
      terminal.print(lines.map((line) => `${instant(status.now)} ${clean(line)}`));
      before = facts;
    },
    fail(error) {
      const [text = ''] = failureLines(error, terminal);
      if (before.get('error') !== text) terminal.print(text);
      before.set('error', text);
    },
    end: () => {},
  };
}

/** What a line is worth printing for when it changes, by what it is about. */
function factsOf(status: StatusReply): Map<string, string> {
  const { enrolled, present } = status.agents;
  const facts = new Map([['agents', `agents: ${enrolled} enrolled, ${present} present`]]);
  for (const brake of status.brakes) {
    facts.set(`brake ${brake.scope}`, `brake on ${scopeName(brake.scope)} by ${brake.actor}: ${brake.reason}`);
  }
  for (const product of status.products) {
    facts.set(`newest ${product.name}`, `${product.name}: newest release ${product.newest ?? 'none'}`);
    const trouble = product.source.errorCode;
    for (const { tag, state, why } of product.pending) {
      facts.set(`release ${product.name} ${tag}`, `${product.name}: ${tag} is ${state}: ${why}`);
    }
    for (const { tag, why } of product.rejected) {
      facts.set(`tag ${product.name} ${tag}`, `${product.name}: tag ${tag} is rejected: ${why}`);
    }
    if (trouble !== null) facts.set(`source ${product.name}`, `${product.name}: polling fails (${trouble})`);
  }
  for (const rollout of status.rollouts) {
    for (const lane of rollout.lanes) {
      const step = lane.steps.find((one) => one.step === lane.step);
      const detail = step === undefined ? '' : `, ${progress(step)}`;
      const hold = lane.hold === null ? '' : `, held (${lane.hold.reason})`;
      const name = `${rollout.product}@${rollout.version} ${lane.region}`;
      facts.set(`lane ${lane.id}`, `${name} ${lane.state}: ${lane.sentence}${detail}${hold}`);
    }
  }
  return facts;
}
