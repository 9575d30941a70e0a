// Config files that are broken, enormous or made to deceive: each is refused in bounded time, with its place and a way out.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readConfig } from '../../src/config.ts';
import { AppError } from '../../src/errors.ts';
import { directory, refusal, SMALL, write } from './files.ts';

const MIB = 1_048_576;

function failure(file: string): AppError {
  try {
    readConfig({ file, env: {} });
  } catch (error) {
    assert.ok(error instanceof AppError, String(error));
    return error;
  }
  return assert.fail('the config was not refused');
}

/** Fits into 1 MiB. */
function many(piece: string, count = Math.floor((MIB - 10) / piece.length)): string {
  return piece.repeat(count);
}

const freeze = (reason: string) => `${SMALL}freezes: [{ from: 2026-12-20, to: 2026-12-21, reason: ${reason} }]\n`;
const bomb = Array.from({ length: 20 }, (_, level) => `a${level}: &a${level} [${`*a${level - 1}, `.repeat(9)}]`);

const REFUSED: [title: string, text: string, says: RegExp][] = [
  ['aliases that unfold to 9^20 values', `a: &a-1 x\n${bomb.join('\n')}\n`, /aliases \(\*\) are not read here/],
  ['a merge key', `${SMALL}limits: { <<: { fleet: 1 } }\n`, /limits\.<<: unknown key/],
  [
    'a merge key of an alias',
    `x: &x { fleet: 1 }\n${SMALL}limits:\n  <<: *x\n`,
    /:17:7: aliases \(\*\) are not read here/,
  ],
  [
    'a key that stands twice',
    `${SMALL}products: []\n`,
    /the key "products" stands twice, in lines 10 and 15; remove one/,
  ],
  ['a __proto__', `__proto__: { polluted: 1 }\n${SMALL}`, /1:1: __proto__: unknown key/],
  ['a __proto__ as a policy', SMALL.replace('  plain:', '  __proto__:'), /policies\.__proto__: expected a name/],
  ['a __proto__ as a label', step('labels: { __proto__: x }'), /labels\.__proto__: expected a label name/],
  ['a constructor as a key', `constructor: 1\n${SMALL}`, /1:1: constructor: unknown key/],
  [
    'a timestamp with its tag',
    freeze('x').replace('2026-12-20', '!!timestamp 2026-12-20'),
    /tags \(!\) are not read here/,
  ],
  [
    'a timestamp in place of a date',
    freeze('x').replace('2026-12-20', '2026-12-20T00:00:00Z'),
    /expected a date as YYYY-MM-DD/,
  ],
  ['a day that there is not', freeze('x').replace('2026-12-20', '2026-02-30'), /there is no day 2026-02-30/],
  ['a year that is none', freeze('x').replace('2026-12-20', '0000-01-01'), /expected a date/],
  [
    'a number where a text belongs',
    SMALL.replace('name: eu', 'name: 1.10'),
    /got the number 1\.10; put it in quotes: "1\.10"/,
  ],
  [
    'a version that is a number',
    SMALL.replace('policy: plain', 'policy: plain\n    accept: 1.10'),
    /put it in quotes: "1\.10"/,
  ],
  [
    'a text where a number belongs',
    `limits: { fleet: "5" }\n${SMALL}`,
    /expected a whole number from 1 to 1000000, got the text "5"/,
  ],
  [
    'an enormous integer',
    `limits: { fleet: 9${'0'.repeat(400)} }\n${SMALL}`,
    /1:18: limits\.fleet: expected a whole number/,
  ],
  ['an integer beyond 2^53', `limits: { fleet: 9007199254740993 }\n${SMALL}`, /limits\.fleet: expected a whole number/],
  ['infinity', `limits: { fleet: .inf }\n${SMALL}`, /limits\.fleet: expected a whole number .* got the number \.inf/],
  ['no number at all', `limits: { fleet: .nan }\n${SMALL}`, /limits\.fleet: expected a whole number/],
  [
    'a duration that overflows',
    `agents: { pollInterval: 999999999999d }\n${SMALL}`,
    /expected a duration from 100ms to 1d/,
  ],
  [
    'a duration of too many digits',
    `agents: { pollInterval: 9${'9'.repeat(300)}d }\n${SMALL}`,
    /write a whole number and one of ms/,
  ],
  ['a negative duration', `agents: { pollInterval: -5s }\n${SMALL}`, /write a whole number and one of ms/],
  ['1001 regions', `regions:\n${regions(1001)}`, /regions: more than 1000 regions; remove some/],
  ['an indentation by tabs', 'regions:\n\t- name: eu\n', /indent with blanks/],
  ['a NUL byte', `${SMALL}# \u0000\n`, /is not UTF-8 text/],
  [
    'a name with a mark that turns',
    SMALL.replace('name: eu', 'name: e\u202eu'),
    /:3:14: the character U\+202E stands here/,
  ],
  [
    'a reason with such a mark',
    freeze('"year\u2066 end"'),
    /:15:\d+: the character U\+2066 stands here, .*; remove it/,
  ],
  ['a reason with an escape for it', freeze('"year\\u202e end"'), /:15:\d+: this text has the character U\+202E/],
  ['a reason with a terminal escape', freeze('"\\e[2Jyear end"'), /this text has the character U\+001B/],
  ['a reason with half a character', freeze('"\\ud800"'), /this text has the character U\+D800/],
  ['a comment with a mark that turns', `${SMALL}# \u202e } x {\n`, /:15:3: the character U\+202E stands here/],
  ['a key with a terminal escape', `"\\x9b2J\\u2067x": 1\n${SMALL}`, /<U\+009B>2J<U\+2067>x: unknown key/],
  ['a byte order mark in the middle', SMALL.replace('policies', '\ufeffpolicies'), /the character U\+FEFF stands here/],
  ['a key of a megabyte', `${many('k', 900_000)}: 1\n`, /a key is longer than 1024 characters/],
  [
    'a text of a megabyte',
    SMALL.replace('Europe/Berlin', many('x', 900_000)),
    /expected an IANA time zone, got "x{60}…"/,
  ],
];

for (const [title, text, says] of REFUSED) {
  test(`readConfig refuses ${title}`, () => {
    const message = refusal(write(text));
    assert.match(message, says);
    assert.match(message, /^(?:[^\p{Cc}\p{Cf}]|\n)*$/u, 'fit for a terminal');
    assert.ok(message.length < 20_000, `${message.length} characters`);
    assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false);
  });
}

describe('readConfig takes no more than seconds, whatever the file is made of', () => {
  const pieces = ['[', '{', '- ', '? ', ': ', '"', '&a ', '*a,', '!a ', '%a\n', ']', ',', '[],', '#\n', '\n', 'a:\n'];
  for (const piece of pieces) {
    test(`1 MiB of ${JSON.stringify(piece)}`, () => {
      const start = performance.now();
      const error = failure(write(many(piece)));
      assert.equal(error.code, 'config_invalid');
      assert.ok(performance.now() - start < 30_000);
    });
  }
  for (const depth of [500, 3000, 100_000]) {
    test(`lists ${depth} deep`, () => {
      assert.equal(failure(write('['.repeat(depth) + ']'.repeat(depth))).code, 'config_invalid');
      assert.equal(failure(write('- '.repeat(depth))).code, 'config_invalid');
    });
  }
  test('10 MB', () => {
    const error = failure(write(`#${'x'.repeat(10_000_000)}\n${SMALL}`));
    assert.match(error.message, /is larger than 1 MiB/);
    assert.notEqual(error.hint, '');
  });
  test('a thousand regions and a thousand products, which are sound', () => {
    const products = Array.from({ length: 1000 }, (_, index) => product(index)).join('');
    const text = `regions:\n${regions(1000)}policies: { p: { steps: [{ percent: 100 }] } }\nproducts:\n${products}`;
    const config = readConfig({ file: write(text), env: {} });
    assert.deepEqual([config.regions.length, config.products.length], [1000, 1000]);
  });
});

describe('readConfig takes', () => {
  const config = () => readConfig({ file: write(SMALL), env: {} });
  const same: [title: string, text: string | Buffer][] = [
    ['a byte order mark at the beginning', `\ufeff${SMALL}`],
    ['CRLF', SMALL.replaceAll('\n', '\r\n')],
    ['tabs between words', SMALL.replace('policy: plain', 'policy:\tplain\t# x')],
    [
      'comments in any script',
      `# \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u{1f468}\u200d\u{1f4bb}\n${SMALL}`,
    ],
  ];
  for (const [title, text] of same) {
    test(title, () => {
      const expected = config();
      assert.deepEqual(readConfig({ file: write(String(text)), env: {} }), expected);
    });
  }
  test('dates without quotes, as they stand', () => {
    const [first] = readConfig({ file: write(freeze('x')), env: {} }).freezes;
    assert.equal(first !== undefined && 'from' in first && first.from, '2026-12-20');
  });
});

describe('readConfig refuses in place of a file', () => {
  const cases: [title: string, make: (path: string) => void, code: string, says: RegExp, hint: RegExp][] = [
    ['nothing', () => {}, 'config_missing', /there is no such file/, /config\/tidegate\.yaml/],
    ['a directory', mkdirSync, 'config_missing', /is not a file/, /Name the file itself/],
    [
      'a named pipe',
      (path) => execFileSync('mkfifo', [path]),
      'config_missing',
      /is not a file/,
      /Name the file itself/,
    ],
    ['a device without end', (path) => symlinkSync('/dev/zero', path), 'config_missing', /is not a file/, /device/],
    ['a link to itself', (path) => symlinkSync(path, path), 'config_missing', /links lead in a circle/, /link/],
    ['UTF-16 with its mark', utf16('\ufeff'), 'config_invalid', /is not UTF-8/, /Save the file as UTF-8/],
    ['UTF-16 without', utf16(''), 'config_invalid', /is not UTF-8/, /Save the file as UTF-8/],
    [
      'other bytes',
      (path) => writeFileSync(path, Buffer.from([0x61, 0xff])),
      'config_invalid',
      /is not UTF-8/,
      /UTF-8/,
    ],
  ];
  for (const [index, [title, make, code, says, hint]] of cases.entries()) {
    test(title, () => {
      const path = join(directory, `hostile-${index}`);
      make(path);
      const error = failure(path);
      assert.equal(error.code, code);
      assert.match(error.message, says);
      assert.match(error.hint, hint);
      assert.equal(error.where, path);
    });
  }
  test('a file that this user may not read', { skip: process.getuid?.() === 0 && 'root may read everything' }, () => {
    const path = join(directory, 'closed');
    writeFileSync(path, SMALL, { mode: 0o000 });
    assert.match(failure(path).message, /this user may not read it/);
  });
});

function utf16(mark: string): (path: string) => void {
  return (path) => writeFileSync(path, Buffer.from(mark + SMALL, 'utf16le'));
}

function regions(count: number): string {
  return Array.from({ length: count }, (_, index) => `  - { name: r${index}, timeZone: UTC }\n`).join('');
}

function product(index: number): string {
  const artifacts = '[{ platform: linux-x64, asset: "x-{version}" }, { platform: linux-arm64, asset: "a-{version}" }]';
  return `  - name: p${index}\n    repository: acme/p${index}\n    artifacts: ${artifacts}\n    policy: p\n`;
}

/** SMALL with this as its first step. */
function step(text: string): string {
  return SMALL.replace('- percent: 10\n', `- ${text}\n`);
}
