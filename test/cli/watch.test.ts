// `status --watch` on a terminal: redraws in place, survives a server that goes away, and leaves the screen as it was.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createTerminal } from '../../src/cli/terminal.ts';
import { watchStatus } from '../../src/cli/watch.ts';
import { AppError } from '../../src/errors.ts';
import type { StatusReply } from '../../src/protocol/operator.ts';
import type { OperatorClient } from '../../src/protocol/operator-client.ts';

function reply(present: number): StatusReply {
  return { now: 0, agents: { enrolled: 3, present }, brakes: [], products: [], rollouts: [] };
}

/** Runs until the answers are used up; returns what was written. */
async function watch(answers: (StatusReply | AppError)[], out: object): Promise<string> {
  const end = new AbortController();
  let text = '';
  const left = [...answers];
  // Stands for the network alone: the watcher is what is tested.
  const client = {
    async status() {
      const next = left.shift();
      if (left.length === 0) end.abort();
      if (next instanceof AppError || next === undefined) throw next;
      return next;
    },
  } as unknown as OperatorClient;
  const sink = {
    write: (part: string) => {
      text += part;
    },
  };
  await watchStatus(client, createTerminal({ ...sink, ...out }, sink, true), end.signal, 1);
  return text;
}

const TERMINAL = { isTTY: true, columns: 80, rows: 24 };

describe('watchStatus', () => {
  it('draws each look over the one before, and prints the last one after leaving the screen', async () => {
    const text = await watch([reply(1), reply(2)], TERMINAL);
    assert.ok(text.startsWith('\u001b[?1049h\u001b[?25l\u001b[H3 agents enrolled, 1 present'));
    assert.equal(text.split('\u001b[H').length, 3);
    const [, after = ''] = text.split('\u001b[?25h\u001b[?1049l');
    assert.match(after, /^3 agents enrolled, 2 present/);
    assert.ok(!after.includes('\u001b'));
  });

  it('never draws more rows than the terminal has', async () => {
    const brakes = Array.from({ length: 50 }, (_, index) => ({
      scope: 'fleet',
      actor: 'a',
      reason: `r${index}`,
      at: 0,
    }));
    const text = await watch([{ ...reply(1), brakes }], { ...TERMINAL, rows: 10 });
    const drawn = text.split('\u001b[?25h')[0] ?? '';
    assert.equal(drawn.split('\n').length - 1, 9);
  });

  it('says that the server is away, and goes on', async () => {
    const gone = new AppError('unreachable', 'the server cannot be reached');
    const text = await watch([reply(1), gone, reply(3)], TERMINAL);
    assert.match(text, /error\[unreachable\]/);
    assert.match(text, /3 present/);
    const lines = await watch([reply(1), gone, gone, reply(1), reply(2)], {});
    assert.equal(lines.split('error[unreachable]').length, 2);
    assert.match(lines, /2 present\n$/);
  });

  it('ends when the first look fails, or when the token is refused later', async () => {
    await assert.rejects(watch([new AppError('unreachable', 'x'), reply(1), reply(1)], {}), { code: 'unreachable' });
    await assert.rejects(watch([reply(1), new AppError('auth_invalid', 'x'), reply(1)], {}), { code: 'auth_invalid' });
  });
});
