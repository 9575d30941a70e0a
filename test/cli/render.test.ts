// Durations, ages, widths, tables, and what is left of hostile text.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { explainPage } from '../../src/cli/explain-page.ts';
import { failureLines } from '../../src/cli/failure.ts';
import {
  age,
  bar,
  clean,
  columns,
  count,
  duration,
  fit,
  json,
  readDuration,
  since,
  table,
  wrap,
} from '../../src/cli/render.ts';
import { createTerminal } from '../../src/cli/terminal.ts';
import { AppError } from '../../src/errors.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

describe('duration', () => {
  const rows: [ms: number, text: string][] = [
    [-5, '0s'],
    [0, '0s'],
    [499, '0s'],
    [500, '1s'],
    [59_499, '59s'],
    [59_500, '1m'],
    [MINUTE, '1m'],
    [2 * MINUTE + 5 * SECOND, '2m 5s'],
    [HOUR - 1, '1h'],
    [HOUR, '1h'],
    [3 * HOUR + 20 * MINUTE + 59 * SECOND, '3h 20m'],
    [DAY, '1d'],
    [12 * DAY + 4 * HOUR, '12d 4h'],
    [400 * DAY, '400d'],
  ];
  for (const [ms, text] of rows) it(`duration(${ms}) → ${text}`, () => assert.equal(duration(ms), text));
});

describe('age', () => {
  const now = 1_000_000_000;
  const rows: [then: number | null, text: string][] = [
    [null, 'never'],
    [now, 'now'],
    [now - 999, 'now'],
    [now - 12_000, '12s ago'],
    [now + 5 * MINUTE, 'in 5m'],
  ];
  for (const [then, text] of rows) it(`age(${then}) → ${text}`, () => assert.equal(age(then, now), text));
});

describe('readDuration', () => {
  const rows: [text: string, ms: number | undefined][] = [
    ['90s', 90_000],
    ['30m', 30 * MINUTE],
    ['24h', DAY],
    ['7d', 7 * DAY],
    ['0s', undefined],
    ['24', undefined],
    ['1.5h', undefined],
    ['-1h', undefined],
    ['1h 30m', undefined],
    ['99999999d', undefined],
    ['', undefined],
  ];
  for (const [text, ms] of rows) it(`readDuration(${text}) → ${ms}`, () => assert.equal(readDuration(text), ms));
});

describe('clean', () => {
  const rows: [title: string, text: string, cleaned: string][] = [
    ['colour', '\u001b[31mred\u001b[0m', 'red'],
    ['title of the window', 'a\u001b]0;owned\u0007b', 'ab'],
    ['eight-bit escape', 'a\u009b2Jb', 'ab'],
    ['line breaks', 'one\r\ntwo', 'one two'],
    ['bell and backspace', 'a\u0007\u0008b', 'a b'],
    ['turned writing', 'abc\u202etxt.exe', 'abc txt.exe'],
    ['nothing wrong', 'Zürich – 東京', 'Zürich – 東京'],
  ];
  for (const [title, text, cleaned] of rows) it(title, () => assert.equal(clean(text), cleaned));
});

describe('columns and fit', () => {
  const rows: [text: string, width: number][] = [
    ['abc', 3],
    ['東京', 4],
    ['e\u0301', 1],
    ['🚀', 2],
    ['', 0],
  ];
  for (const [text, width] of rows) it(`columns(${text}) → ${width}`, () => assert.equal(columns(text), width));
  it('fit', () => {
    assert.equal(fit('abcdef', 6), 'abcdef');
    assert.equal(fit('abcdefg', 6), 'abc...');
    assert.equal(fit('東京東京', 6), '東...');
    assert.equal(fit('abc', 2), '..');
  });
});

describe('wrap', () => {
  it('breaks between words, indents what follows, cuts what is too long', () => {
    assert.deepEqual(wrap('one two three', 8), ['one two', 'three']);
    assert.deepEqual(wrap('one two three', 8, '  '), ['one two', '  three']);
    assert.deepEqual(wrap('aaaaaaaaaaaaaaaaaaaa b', 10), ['aaaaaaaaaa', 'aaaaaaaaaa', 'b']);
    assert.deepEqual(wrap('', 10), ['']);
  });

  it('never goes beyond the width', () => {
    const text = 'a person has set the brake: '.repeat(9) + 'x'.repeat(300);
    for (const width of [20, 40, 80]) {
      for (const line of wrap(text, width, '    ')) assert.ok(columns(line) <= width, line);
    }
  });
});

describe('table', () => {
  it('aligns, and keeps to the width at 40, 80 and 120 columns', () => {
    assert.deepEqual(
      table(
        [
          ['a', 'bbb', 'c'],
          ['aaa', 'b', 'cc'],
        ],
        80,
      ),
      ['  a    bbb  c', '  aaa  b    cc'],
    );
    const row = [
      'eu-central-with-a-long-name',
      'soaking',
      'step 2/3',
      '[###-------] 12/40 ok, 1/1 bad, 2 hot',
      '5m ago',
    ];
    for (const width of [40, 80, 120]) {
      for (const line of table([row, ['us', 'open', '', '', 'now']], width)) assert.ok(columns(line) <= width, line);
    }
    assert.deepEqual(table([], 80), []);
  });
});

it('since', () => assert.deepEqual([since(0, 25_000), since(5, 0)], ['since 25s', 'since 0s']));

it('explainPage: the last rule for an agent that is asked nothing is the end, not a refusal', () => {
  const agent = {
    id: 'a',
    name: 'edge',
    region: 'eu',
    platform: 'linux-x64',
    products: [],
    attempts: [],
    enrolledAt: 0,
  };
  const trace = [
    { rule: 'brake', result: 'deny', sentence: 'one' },
    { rule: 'version', result: 'deny', sentence: 'runs 1.1.0 already' },
  ];
  const page = (answer: string) =>
    explainPage(
      {
        agent: { ...agent, health: { status: 'ok', reason: null }, lastSeenAt: null },
        facts: { os: 'debian', kernel: '6.1\u001b[2J' },
        troubles: ['it runs p 1.1.0, which is vetoed by dana: it burns'],
        products: [{ product: 'p', answer, sentence: 's', trace }],
        history: [],
      },
      0,
      { width: 80, paint: (_, text) => text },
    ).join('\n');
  assert.match(page('none'), /deny {2}brake.*\n {2}end {3}version {2}runs 1\.1\.0 already/);
  assert.match(page('hold'), /deny {2}version/);
  assert.match(page('none'), /^ {2}it runs p 1\.1\.0, which is vetoed by dana: it burns$/m);
  assert.match(page('none'), /^ {2}facts kernel 6\.1\P{Cc}*, os debian$/mu);
});

it('bar', () => {
  assert.equal(bar(0, 0), '[----------]');
  assert.equal(bar(1, 3), '[###-------]');
  assert.equal(bar(39, 40), '[#########-]');
  assert.equal(bar(5, 4), '[##########]');
});

it('count', () => assert.deepEqual([count(1, 'host'), count(0, 'host')], ['1 host', '0 hosts']));

it('json escapes what a terminal would act on, and reads back the same', () => {
  const value = { text: '\u001b[2J \u009b31m \u202e \u007f ü' };
  assert.doesNotMatch(json(value), /[[\p{Cc}\u202e]--[\n]]/v);
  assert.deepEqual(JSON.parse(json(value)), value);
});

describe('createTerminal', () => {
  const sink = { write: () => true };
  const rows: [title: string, out: object, noColor: boolean, painted: boolean, width: number][] = [
    ['a pipe', {}, false, false, 80],
    ['a terminal', { isTTY: true, columns: 100, rows: 30 }, false, true, 100],
    ['a terminal with NO_COLOR', { isTTY: true, columns: 80 }, true, false, 80],
    ['a narrow terminal', { isTTY: true, columns: 20 }, false, true, 40],
    ['a wide terminal', { isTTY: true, columns: 300 }, false, true, 120],
  ];
  for (const [title, out, noColor, painted, width] of rows) {
    it(title, () => {
      const terminal = createTerminal({ ...sink, ...out }, sink, noColor);
      assert.equal(terminal.paint('red', 'x'), painted ? '\u001b[31mx\u001b[0m' : 'x');
      assert.equal(terminal.width, width);
    });
  }
});

describe('failureLines', () => {
  const pipe = { isTerminal: false, width: 80 };
  it('what, then where, when and hint below', () => {
    const error = new AppError('overloaded', 'too many \u001b[31mrequests', { where: '/x', retryAfterMs: 2100 });
    assert.deepEqual(failureLines(error, pipe), [
      'error[overloaded]: too many requests',
      '  where: /x',
      '  try again in 3 s',
      '  Try again after the time in the Retry-After header.',
    ]);
  });
  it('keeps the lines of a listing', () => {
    const error = new AppError('config_invalid', 'two problems\n  a.yaml:1:2: x\n  a.yaml:3:4: y');
    const lines = failureLines(error, pipe);
    assert.deepEqual(lines.slice(0, 3), ['error[config_invalid]: two problems', '  a.yaml:1:2: x', '  a.yaml:3:4: y']);
    assert.equal(lines.length, 4);
  });
  it('breaks into the width of a terminal', () => {
    const error = new AppError('unreachable', 'the server cannot be reached: '.repeat(6));
    for (const line of failureLines(error, { isTerminal: true, width: 40 })) assert.ok(columns(line) <= 40, line);
  });
});
