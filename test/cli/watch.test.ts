// `status --watch`: changes in place, survives a server that goes away, and leaves the terminal as it was, with the picture.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createTerminal } from '../../src/cli/terminal.ts';
import { watchStatus } from '../../src/cli/watch.ts';
import { AppError } from '../../src/errors.ts';
import type { StatusReply } from '../../src/protocol/operator.ts';
import type { OperatorClient } from '../../src/protocol/operator-client.ts';
import { startFleetServer } from './fleet-server.ts';
import { HAS_PTY, screenOf, startOnPty } from './pty.ts';

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
  it('writes again only the lines that have changed, and prints the last picture after leaving the screen', async () => {
    const brakes = [{ scope: 'fleet', actor: 'anna', reason: 'stop', at: 0 }];
    const text = await watch(
      [
        { ...reply(1), brakes },
        { ...reply(1), brakes },
        { ...reply(2), brakes },
      ],
      TERMINAL,
    );
    assert.ok(text.startsWith('\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[2J\u001b[1;1H3 agents enrolled, 1 present'));
    assert.deepEqual(text.split('\u001b[1;1H').length, 3);
    assert.equal(text.split('\u001b[2;1H').length, 2);
    const [, after = ''] = text.split('\u001b[?7h\u001b[?25h\u001b[?1049l');
    assert.match(after, /^3 agents enrolled, 2 present .*\nBRAKE on the whole fleet, .*: stop\n$/);
  });

  it('takes away what is over', async () => {
    const brakes = [{ scope: 'fleet', actor: 'anna', reason: 'stop', at: 0 }];
    const text = await watch([{ ...reply(1), brakes }, reply(2)], TERMINAL);
    assert.equal(screenOf(text)[1], '');
    assert.ok(text.includes('\u001b[2;1H\u001b[K'));
  });

  it('never draws more rows than the terminal has', async () => {
    const brakes = Array.from({ length: 50 }, (_, index) => ({
      scope: 'fleet',
      actor: 'a',
      reason: `r${index} ${'x '.repeat(200)}`,
      at: 0,
    }));
    const gone = new AppError('unreachable', 'the server cannot be reached');
    const text = await watch([{ ...reply(1), brakes }, gone, gone], { ...TERMINAL, rows: 5 });
    assert.equal(screenOf(text).length, 5);
    assert.match(screenOf(text)[0] ?? '', /^error\[unreachable\]/);
  });

  it('says that the server is away, and goes on', async () => {
    const gone = new AppError('unreachable', 'the server cannot be reached');
    const text = await watch([reply(1), gone, reply(3)], TERMINAL);
    assert.match(text, /error\[unreachable\]/);
    assert.match(text, /3 present/);
    const lines = await watch([reply(1), gone, gone, reply(1), reply(2)], {});
    assert.equal(lines.split('error[unreachable]').length, 2);
    assert.match(lines, /the server answers again\n.*2 present\n$/);
  });

  it('ends when the first look fails, or when the token is refused later', async () => {
    await assert.rejects(watch([new AppError('unreachable', 'x'), reply(1), reply(1)], {}), { code: 'unreachable' });
    await assert.rejects(watch([reply(1), new AppError('auth_invalid', 'x'), reply(1)], {}), { code: 'auth_invalid' });
  });
});

const POLICY =
  '{ careful: { waves: [[eu], [us]], steps: [{ count: 1, soak: 0s, promotion: manual }, { percent: 100, soak: 0s }] } }';

describe('status --watch on a pseudo-terminal', { skip: HAS_PTY ? false : 'no script(1) here' }, () => {
  it('shows a rollout as it goes, follows the size, and leaves the picture', { timeout: 120_000 }, async () => {
    await using server = await startFleetServer(POLICY);
    server.publish('1.0.0');
    await server.until(['status'], /newest release 1\.0\.0/);
    const agent = await server.enrol('a', 'eu');
    const env = { ...server.env, TERM: 'xterm' };
    await using dumb = await startOnPty(['status', '--watch'], { ...env, TERM: 'dumb' }, 80, 24);
    await using pty = await startOnPty(['status', '--watch'], env, 80, 24);
    const shows = async (what: RegExp) => await pty.until((written) => what.test(screenOf(written).join('\n')));
    await shows(/^agentd: nothing goes on, no baseline, 1 agent, newest release 1\.0\.0$/m);

    server.publish('1.1.0');
    await shows(/^ {2}1 {2}eu .* {2}0% {2}open [\s\S]*^ {2}2 {2}us .*no agents.* waiting /m);
    await server.update(agent, '1.1.0');
    await shows(/^ {2}1 {2}eu .* 100% {2}to promote .* 1\/1 /m);
    await shows(/^ {2}do: tidegate rollout promote agentd@1\.1\.0 --region eu --step 1 --reason TEXT$/m);

    pty.resize(160, 50);
    await shows(/^ {2}WAVE {2}REGION {2}.*AGENTS THAT RUN IT/m);
    pty.resize(40, 6);
    await pty.until((written) => screenOf(written).length === 6);
    pty.press('\u0003');
    assert.equal(await pty.ended, 0);
    const [, left = ''] = pty.written().split('\u001b[?7h\u001b[?25h\u001b[?1049l');
    assert.match(left, /agentd 1\.1\.0: active/);
    assert.equal(left.replaceAll('^C', '').trimEnd().split('\r\n').length, 6);

    await dumb.until((written) => /Z agentd@1\.1\.0 eu approval: /.test(written));
    dumb.press('\u0003');
    assert.equal(await dumb.ended, 0);
    assert.ok(!dumb.written().includes('\u001b'), dumb.written());
  });
});
