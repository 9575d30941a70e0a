// How an agent spaces its check-ins, and what it sends.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Compile } from 'typebox/compile';
import { checkInBody, delayAfterFailure, delayAfterReply, dueIn, waitSecondsFor } from '../../src/agent/check-in.ts';
import { toDetail } from '../../src/agent/faults.ts';
import type { State } from '../../src/agent/machine.ts';
import { CheckInRequest } from '../../src/protocol/agent.ts';
import { OLD, STATES } from './sample.ts';

const proving = (goodSinceMs: number | null): State => ({ ...STATES.proving, goodSinceMs }) as State;

describe('delayAfterReply', () => {
  const rows: [string, number, State[], number, number][] = [
    ['what the server says', 5000, [], 0, 5000],
    ['never faster than 200 ms', 0, [], 0, 200],
    ['never slower than a day', 1e12, [], 0, 86_400_000],
    ['the end of the stable time before that', 60_000, [proving(100)], 600, 500],
    ['the deadline before that', 60_000, [STATES.staging], 9000, 1000],
  ];
  for (const [name, nextInMs, states, nowMs, expected] of rows) {
    it(`delayAfterReply(${nextInMs}) → ${expected}: ${name}`, () => {
      assert.equal(delayAfterReply(nextInMs, states, nowMs), expected);
    });
  }
});

describe('delayAfterFailure', () => {
  it('doubles to five minutes, with jitter over the upper half', () => {
    const most = [1, 2, 3, 10, 11, 12, 5000].map((failures) => delayAfterFailure(failures, undefined, [], 1));
    assert.deepEqual(most, [500, 1000, 2000, 256_000, 300_000, 300_000, 300_000]);
    assert.equal(delayAfterFailure(3, undefined, [], 0), 1000);
  });
  it('waits at least as long as Retry-After, on trial too', () => {
    assert.equal(delayAfterFailure(1, 30_000, [], 0), 30_000);
    assert.equal(delayAfterFailure(1, 30_000, [proving(null)], 0), 30_000);
  });
  it('pauses at most 5 s on trial', () => assert.equal(delayAfterFailure(50, undefined, [proving(null)], 1), 5000));
});

describe('dueIn', () => {
  it('is never without a deadline', () => assert.equal(dueIn([STATES.idle, STATES.staged], 0), Infinity));
  it('leaves out what is past', () => assert.equal(dueIn([proving(0)], 5000), Infinity));
});

describe('waitSecondsFor', () => {
  const rows: [State[], boolean, number][] = [
    [[], true, 0],
    [[], false, 25],
    [[STATES.staging], false, 25],
    [[STATES.staged], false, 25],
    [[STATES.proving], false, 0],
    [[STATES.judging], false, 0],
    [[STATES.staged, STATES.ended], false, 0],
  ];
  for (const [states, isFirst, expected] of rows) {
    it(`waitSecondsFor(${states.map(({ kind }) => kind)}, ${isFirst ? 'first' : 'later'}) → ${expected}`, () => {
      assert.equal(waitSecondsFor(states, isFirst), expected);
    });
  }
});

describe('checkInBody', () => {
  it('is what the wire says, whatever the states and the fault', () => {
    const schema = Compile(CheckInRequest);
    const body = checkInBody({
      host: { platform: 'linux-x64', running: () => [OLD], facts: () => ({ 'os.platform': 'linux' }) },
      nonce: 'n'.repeat(22),
      boot: 'b'.repeat(22),
      counters: { epoch: 1, sequence: 2 },
      fault: `disk\u0000 full \u202e ${'x'.repeat(600)}`,
      states: Object.values(STATES),
      withFacts: true,
    });
    assert.ok(schema.Check(body), JSON.stringify(schema.Errors(body)[0]));
    assert.equal(body.attempts.length, 6);
  });
});

describe('toDetail', () => {
  const rows: [string, string][] = [
    ['plain', 'plain'],
    ['two\nlines\tand a tab', 'two lines and a tab'],
    ['\u001b[31mred\u001b[0m', '[31mred [0m'],
    ['right\u202eleft', 'right left'],
    ['x'.repeat(600), 'x'.repeat(500)],
    ['\ud800 alone', 'alone'],
  ];
  for (const [text, expected] of rows) {
    it(`toDetail(${JSON.stringify(text.slice(0, 20))})`, () => assert.equal(toDetail(text), expected));
  }
});
