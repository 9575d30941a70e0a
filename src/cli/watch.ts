// `status --watch`: swim lanes that change in place on a terminal; elsewhere one line for every thing that changed.
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import type { LaneView, StatusReply } from '../protocol/operator.ts';
import type { OperatorClient } from '../protocol/operator-client.ts';
import { failureLines } from './failure.ts';
import { clean, instant } from './render.ts';
import { progress, sayDoubted, scopeName, troubleOf } from './status-page.ts';
import { swimLanes } from './swim-lanes.ts';
import type { Terminal } from './terminal.ts';

const INTERVAL_MS = 2000;
/** The other screen, without cursor and without breaking lines that are taken for too long; and back. */
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l';
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l';
const CLEAR = '\u001b[2J';

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
  const view = terminal.canDraw ? screenView(terminal) : lineView(terminal);
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
  let status: StatusReply | undefined;
  let failed: AppError | undefined;
  let drawn: string[] = [];
  let entered = false;
  let cleared = false;

  function picture(): string[] {
    const { width, rows } = terminal.size();
    const trouble = failed === undefined ? [] : failureLines(failed, { isTerminal: true, width });
    const top = trouble.slice(0, rows).map((line) => terminal.paint('red', line));
    if (status === undefined) return top;
    return [...top, ...swimLanes(status, { width, rows: rows - top.length }, terminal.paint)];
  }
  function draw(): void {
    const lines = picture();
    const changes = changedLines(cleared ? drawn : [], lines);
    const before = `${entered ? '' : ENTER}${cleared ? '' : CLEAR}`;
    if (before !== '' || changes !== '') terminal.write(before + changes);
    entered = true;
    cleared = true;
    drawn = lines;
  }
  const forget = terminal.onResize(() => {
    // A terminal moves lines about when its size changes: what stands where is not known any more.
    cleared = false;
    if (entered) draw();
  });
  return {
    show(reply) {
      status = reply;
      failed = undefined;
      draw();
    },
    fail(error) {
      failed = error;
      draw();
    },
    end() {
      forget();
      if (!entered) return;
      terminal.write(LEAVE);
      terminal.print(drawn);
    },
  };
}

/** Moves to each line that is another now, and writes it; the screen is as `before` says. */
function changedLines(before: readonly string[], lines: readonly string[]): string {
  const height = Math.max(before.length, lines.length);
  return Array.from({ length: height }, (_, index) => {
    const line = lines[index] ?? '';
    return line === (before[index] ?? '') ? '' : `\u001b[${index + 1};1H${line}\u001b[K`;
  }).join('');
}

function lineView(terminal: Terminal): View {
  let before = new Map<string, string>();
  return {
    show(status) {
      const facts = factsOf(status);
      const changed = [...facts].filter(([key, text]) => before.get(key) !== text).map(([, text]) => text);
      const gone = [...before].filter(([key]) => !facts.has(key));
      const lines = [...changed, ...gone.flatMap(([key, text]) => overLine(key, text))];
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

/** For what is over and worth a line. */
function overLine(key: string, text: string): string[] {
  if (key === 'error') return ['the server answers again'];
  if (key.startsWith('brake ')) return [`released: ${text}`];
  return key === 'clock' || key.startsWith('source ') || key.startsWith('baseline ') ? [`over: ${text}`] : [];
}

/** What a line is worth printing for when it changes, by what it is about. */
function factsOf(status: StatusReply): Map<string, string> {
  const { enrolled, present } = status.agents;
  const facts = new Map([['agents', `agents: ${enrolled} enrolled, ${present} present`]]);
  if (status.clock != null) facts.set('clock', `the clock is doubted: ${sayDoubted(status.clock)}`);
  for (const brake of status.brakes) {
    facts.set(`brake ${brake.scope}`, `brake on ${scopeName(brake.scope)} by ${brake.actor}: ${brake.reason}`);
  }
  for (const product of status.products) {
    facts.set(`newest ${product.name}`, `${product.name}: ${newestOf(product)}`);
    const trouble = product.source.errorCode;
    for (const release of product.pending) {
      facts.set(`release ${product.name} ${release.tag}`, `${product.name}: ${troubleOf(release)}`);
    }
    for (const { tag, why } of product.rejected) {
      facts.set(`tag ${product.name} ${tag}`, `${product.name}: tag ${tag} is rejected: ${why}`);
    }
    for (const { region, version, state } of product.baselines ?? []) {
      if (state !== 'halted') continue;
      const text = `${product.name}: baseline ${version} in ${region} is halted, newcomers are not brought to it`;
      facts.set(`baseline ${product.name} ${region}`, text);
    }
    if (trouble !== null) facts.set(`source ${product.name}`, `${product.name}: polling fails (${trouble})`);
  }
  for (const rollout of status.rollouts) {
    for (const lane of rollout.lanes) {
      const step = lane.steps.find((one) => one.step === lane.step);
      const detail = step === undefined ? '' : `, ${progress(step)}`;
      const hold = lane.hold === null ? '' : `, held (${lane.hold.reason})`;
      const name = `${rollout.product}@${rollout.version} ${lane.region}`;
      facts.set(`lane ${lane.id}`, `${name} ${stateAnd(lane)}${detail}${hold}`);
    }
  }
  return facts;
}

/** The words of the status. */
function newestOf({ newest }: StatusReply['products'][number]): string {
  return newest === null ? 'no release to let out' : `newest release ${newest}`;
}

/** `completed: there was nothing to do`: some sentences begin with the state. */
function stateAnd({ state, sentence }: LaneView): string {
  return sentence === state || sentence.startsWith(`${state}:`) ? sentence : `${state}: ${sentence}`;
}
