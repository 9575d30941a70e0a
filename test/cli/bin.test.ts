// The commands and the real bin against the real server: exit codes, what stands where, 80 columns, hostile text, the end.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { v7 as uuidv7 } from 'uuid';
import { columns } from '../../src/cli/render.ts';
import type { Release } from '../../src/domain/release.ts';
import { formatEnrolToken, readEnrolToken } from '../../src/protocol/agent.ts';
import { deleteBrake, putBrake } from '../../src/store/controls.ts';
import { transaction } from '../../src/store/database.ts';
import { type SourceState, saveRelease, saveSource } from '../../src/store/releases.ts';
import { T0 } from '../api/harness.ts';
import { run, runBin, type Served, serveSeeded, start } from './bin.ts';

/** Newer than what goes out, and without a file. */
const RELEASE: Omit<Release, 'id'> = {
  product: 'collector',
  sourceId: '150',
  tag: 'v1.5.0',
  version: '1.5.0',
  sortKey: '1.5.0',
  prerelease: false,
  state: 'announced',
  why: null,
  publishedAt: T0,
  firstSeenAt: T0,
  artifacts: [],
  missing: [{ platform: 'linux-x64', reason: 'no_assets' }],
};
const SOURCE: Omit<SourceState, 'rejectedTags' | 'rejectedCount'> = {
  notice: 'GitHub lists more than 40 pages; what is not among them stays as it is',
  product: 'collector',
  etag: null,
  lastAttemptAt: T0,
  lastSuccessAt: T0,
  nextPollAt: null,
  failures: 0,
  errorCode: null,
  error: null,
};

let served: Served;
let dir: string;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'tidegate-cli-'));
  served = await serveSeeded();
  const { operator, database } = served.harness;
  await transaction(database, async (tx) => {
    await saveRelease(tx, { ...RELEASE, id: uuidv7() });
    const rejectedTags = Array.from({ length: 7 }, (_, index) => ({ tag: `nightly-${index}`, why: 'not a version' }));
    await saveSource(tx, { ...SOURCE, rejectedTags, rejectedCount: 7 });
  });
  operator.running = [{ product: 'collector', region: 'eu-central', version: '1.3.0', agents: 3, present: 2 }];
  operator.onBrake = async ({ scope, on, actor, reason }) =>
    await transaction(database, (tx) =>
      on ? putBrake(tx, { scope, actor, reason, at: T0 }, 0) : deleteBrake(tx, scope),
    );
  operator.explained = [
    {
      product: 'collector',
      answer: 'hold',
      sentence: `a person has set the brake: ${'very '.repeat(30)}urgent \u001b[2J\u001b]0;owned\u0007`,
      hold: { since: T0 - 7_200_000, until: T0 + 3_600_000 },
      trace: [
        { rule: 'assigned', result: 'pass', sentence: 'collector in eu-central is looked after' },
        { rule: 'brake', result: 'hold', sentence: `a person has set the brake: \u001b[5m${'smoke '.repeat(30)}` },
      ],
    },
  ];
});
after(async () => {
  await served[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});

const TOKEN = formatEnrolToken({ id: uuidv7(), secret: 'A'.repeat(43), fingerprint: 'B'.repeat(43) });

/** Control characters but the line break, and marks that turn the direction of writing. */
const UNSAFE = /[[\p{Cc}\u202a-\u202e]--[\n]]/v;

/** Fits 80 columns and holds nothing that a terminal would act on. */
function assertPlain(text: string): void {
  assert.ok(text.endsWith('\n'));
  for (const line of text.split('\n')) assert.ok(columns(line) <= 80, `${columns(line)} columns: ${line}`);
  assert.doesNotMatch(text, UNSAFE);
}

describe('reading', { concurrency: 3 }, () => {
  const rows: [args: string[], says: RegExp[]][] = [
    [
      ['status'],
      [
        /^3 agents enrolled, 2 present at 2026-01-05 12:00:00Z$/m,
        /eu-central {2}1\.3\.0 {2}3 agents/,
        /step 2\/3 {2}12\/40 ok, bad 1 of budget 1, 2 hot {2}since 5m$/m,
        /held 1m 30s: .*/,
        /^ {2}v1\.5\.0 is announced: the release has no files yet$/m,
        /^ {2}tag nightly-1 is rejected: not a version$/m,
        /^ {2}and 2 more tags rejected$/m,
      ],
    ],
    [
      ['rollout', 'list'],
      [
        /^ROLLOUT +STATE +REGIONS DONE +BEGUN +ID BEGINS WITH$/m,
        /^collector@1\.4\.0 +active +0\/2 +\S.* ago +[0-9a-f-]{13}$/m,
      ],
    ],
    [
      ['rollout', 'show', 'collector@1.4.0'],
      [/^eu-central, wave 1: open since/m, /^ok: .*hot: /m, /time in holds: limit at a time 1m 30s/],
    ],
    [
      ['rollout', 'show', 'collector@1.3.9'],
      [/superseded by collector@1\.4\.0/, /halted by system: too many failed/],
    ],
    [
      ['explain', 'edge-01'],
      [
        /^collector would be held: a person has set the brake/m,
        /^ {2}pass {2}assigned {2}collector in/m,
        /^ {2}hold {2}brake /m,
        /rolled_back/,
        /crash_loop: Error: no such module/,
      ],
    ],
  ];
  for (const [args, says] of rows) {
    it(`${args.join(' ')}`, async () => {
      const { code, out, err } = await runBin(args, served.env);
      assert.equal(err, '');
      assert.equal(code, 0);
      assertPlain(out);
      for (const pattern of says) assert.match(out, pattern);
    });

    it(`${args.join(' ')} --json`, async () => {
      const { code, out } = await run([...args, '--json'], { ...served.env, NO_COLOR: '1' });
      assert.equal(code, 0);
      assert.equal(typeof JSON.parse(out), 'object');
      assert.doesNotMatch(out, UNSAFE);
    });
  }

  it('flags come before the environment, a token before its file', async () => {
    const tokenFile = join(served.harness.dir, 'operator.token');
    const wrong = { TIDEGATE_SERVER: 'http://127.0.0.1:9', TIDEGATE_TOKEN: `tgo1.${'x'.repeat(60)}` };
    const flags = ['--server', served.url, '--token-file', tokenFile];
    assert.equal((await run(['rollout', 'list', ...flags], wrong)).code, 0);
    const environment = { TIDEGATE_SERVER: served.url, TIDEGATE_TOKEN_FILE: tokenFile };
    assert.equal((await runBin(['rollout', 'list'], environment)).code, 0);
  });

  it('a rollout by the beginning of its id', async () => {
    const { id } = served.seeded.rollout;
    const { code, out } = await run(['rollout', 'show', id.slice(0, 30)], served.env);
    assert.equal(code, 0);
    assert.match(out, new RegExp(id));
  });

  it('a reader that stops reading is no error', async () => {
    const child = start(['status'], served.env);
    child.stdout.destroy();
    let err = '';
    child.stderr.setEncoding('utf8').on('data', (chunk) => {
      err += chunk;
    });
    const [code] = await once(child, 'close');
    assert.deepEqual([code, err], [0, '']);
  });
});

describe('changing', () => {
  it('rollout halt', async () => {
    const args = [
      'rollout',
      'halt',
      'collector@1.4.0',
      '--region',
      'eu-central',
      '--release',
      '--reason',
      'it crashes',
    ];
    const { code, out } = await runBin(args, served.env);
    assert.equal(code, 0);
    assert.match(out, /^collector 1\.4\.0 is halted in .*; the release is vetoed$/m);
    assert.deepEqual(served.harness.operator.calls.verb, [
      {
        id: served.seeded.rollout.id,
        verb: 'halt',
        region: 'eu-central',
        expectedStep: null,
        vetoRelease: true,
        actor: 'operator',
        reason: 'it crashes',
      },
    ]);
    served.harness.operator.onVerb = async () => false;
    const again = await run(args, served.env);
    assert.equal(again.code, 0);
    assert.match(again.out, /^nothing was left to halt/);
  });

  it('clock trust, and what status says of clock and ceilings', async () => {
    const { operator } = served.harness;
    const doubt = { since: T0, why: 'it went 2 h forward', until: T0 + 300_000 };
    let doubted: typeof doubt | null = doubt;
    operator.clockDoubt = () => doubted;
    operator.trustClock = async () => {
      const changed = doubted !== null;
      doubted = null;
      return changed;
    };
    operator.ceilings = () => [{ window: 'hour', max: 20, count: 3, leavesAt: T0 }];
    const { out } = await run(['status'], served.env);
    assert.match(out, /^CLOCK doubted: it went 2 h forward; nothing starts until 2026-01-05 12:05:00Z,$/m);
    assert.match(out, /^3 of 20 updates within an hour$/m);
    const trust = ['clock', 'trust', '--reason', 'mended'];
    assert.match((await run(trust, served.env)).out, /^the clock is trusted again: it is 2026-/);
    assert.match((await run(trust, served.env)).out, /^nobody doubts the clock; nothing is changed: it is 2026-/);
    assert.doesNotMatch((await run(['status'], served.env)).out, /CLOCK/);
    assert.equal((await run(['clock', 'trust'], served.env)).code, 2);
  });

  it('brake on and off', async () => {
    const region = ['--region', 'eu-central', '--reason', 'smoke'];
    assert.equal((await run(['brake', 'on', ...region], served.env)).out, 'the brake on region eu-central is on\n');
    assert.equal(
      (await run(['brake', 'on', ...region], served.env)).out,
      'the brake on region eu-central was already on since 2026-01-05 12:00:00Z, set by\n' +
        '  operator because: smoke; nothing is changed\n',
    );
    const regions = await run(['regions'], served.env);
    assert.match(regions.out, /^BRAKE on region eu-central, set by operator .* ?now: smoke$/m);
    const status = await run(['status'], served.env);
    assert.match(status.out, /^BRAKE on region eu-central, set by operator .* ?now: smoke$/m);
    const fleet = await run(['brake', 'on', '--reason', 'all'], served.env);
    assert.equal(fleet.out, 'the brake on the whole fleet is on; others are on: region eu-central\n');
    assert.equal((await run(['brake', 'off', '--reason', 'ok'], served.env)).code, 0);
    assert.equal((await run(['brake', 'off', ...region], served.env)).out, 'the brake on region eu-central is off\n');
  });

  it('enrol-token create prints the token alone on standard output', async () => {
    const labels = ['--label', 'ring=canary', '--label', 'site=a=b'];
    const args = ['enrol-token', 'create', '--region', 'us-east', '--uses', '3', '--expires-in', '2h', ...labels];
    const { code, out, err } = await run(args, served.env);
    assert.equal(code, 0);
    assert.ok(readEnrolToken(out.trim()) !== undefined);
    assert.equal(err, 'for 3 hosts in us-east, until 2026-01-05 14:00:00Z\n');
  });
});

// A port that was free a moment ago, and that the system does not give out again so soon.
const nobody = await closedPort();

describe('failing', { concurrency: 3 }, () => {
  const token = `tgo1.0197a000-0000-7000-8000-000000000001.${'A'.repeat(43)}`;
  const rows: [title: string, args: string[], env: () => Record<string, string>, code: number, says: RegExp][] = [
    [
      'unknown command',
      ['statsu'],
      () => ({}),
      2,
      /^error\[usage\]: unknown command 'statsu'\n {2}Did you mean status\?\n {2}Run the command with --help\./,
    ],
    ['unknown subcommand', ['rollout', 'hlat'], () => ({}), 2, /Did you mean halt\?/],
    ['unknown flag', ['status', '--wacth'], () => ({}), 2, /Did you mean --watch\?/],
    ['missing argument', ['explain'], () => ({}), 2, /missing required argument 'name'/],
    ['missing reason', ['rollout', 'halt', 'x'], () => ({}), 2, /required option '--reason/],
    [
      'brake on two scopes',
      ['brake', 'on', '--product', 'a', '--region', 'b', '--reason', 'x'],
      () => ({}),
      2,
      /cannot go together/,
    ],
    ['watch as JSON', ['status', '--watch', '--json'], () => served.env, 2, /cannot go together/],
    ['uses of 0', ['enrol-token', 'create', '--region', 'x', '--uses', '0'], () => ({}), 2, /'0' is invalid/],
    [
      'duration of another shape',
      ['enrol-token', 'create', '--region', 'x', '--expires-in', '2 weeks'],
      () => ({}),
      2,
      /90s, 30m, 24h or 7d/,
    ],
    ['label of another shape', ['enrol-token', 'create', '--region', 'x', '--label', 'a'], () => ({}), 2, /key=value/],
    ['no server', ['status'], () => ({}), 2, /no server is named\n {2}Set TIDEGATE_SERVER/],
    ['not an address', ['status', '--server', 'localhost:8420'], () => ({}), 2, /is not the address of a server/],
    [
      'plain http to another machine',
      ['status', '--server', 'http://example.com'],
      () => ({}),
      2,
      /plain http to example\.com/,
    ],
    [
      'password in the address',
      ['status', '--server', 'https://me:secret@example.com'],
      () => ({}),
      2,
      /^(?!.*secret)/,
    ],
    ['no token', ['status'], () => ({ TIDEGATE_SERVER: served.url }), 4, /^error\[auth_missing\]/],
    [
      'token file that is not there',
      ['status', '--token-file', '/nowhere'],
      () => served.env,
      4,
      /^error\[auth_missing\]: there is no file \/nowhere\n {2}Check the path/,
    ],
    ['token of another kind', ['status', '--token', 'abc'], () => served.env, 4, /begin with tgo1/],
    [
      'wrong token',
      ['status', '--token', token],
      () => served.env,
      4,
      /^error\[auth_invalid\]: the credentials are not valid\n {2}where: http.*\n {2}Check the token/,
    ],
    [
      'nobody listens',
      ['status', '--server', nobody, '--token', token],
      () => ({}),
      6,
      /^error\[unreachable\]: .*ECONNREFUSED.*that the server runs/s,
    ],
    ['unknown rollout', ['rollout', 'show', 'collector@9.9.9'], () => served.env, 3, /There are: 1\.4\.0, 1\.3\.9\./],
    ['prefix too short', ['rollout', 'show', '01a'], () => served.env, 2, /at least its first four characters/],
    ['unknown agent', ['explain', 'nobody'], () => served.env, 3, /there is no agent and no rollout nobody/],
    ['name of two agents', ['explain', 'edge-02'], () => served.env, 5, /^error\[conflict\]: .*by its id/s],
    [
      'unknown region',
      ['enrol-token', 'create', '--region', 'eu'],
      () => served.env,
      3,
      /There are: eu-central, us-east/,
    ],
    ['config that is not there', ['config', 'check', '/nowhere.yaml'], () => ({}), 3, /^error\[config_missing\]/],
  ];
  for (const [title, args, env, code, says] of rows) {
    it(`${title}: ${args.join(' ')} → ${code}`, async () => {
      const ran = await run(args, env());
      assert.equal(ran.code, code, ran.err);
      assert.equal(ran.out, '');
      assert.match(ran.err, says);
      assert.match(ran.err, /^error\[[a-z_]+\]: [^\n]+\n( {2}[^\n]+\n)+$/);
    });
  }

  // Ways in which the process can end, `agent install` has 7, with the reason on standard error alone.
  const ends: [args: string[], env: () => Record<string, string>, code: number][] = [
    [['statsu'], () => ({}), 2],
    [['config', 'check', '/nowhere.yaml'], () => ({}), 3],
    [['status'], () => ({ TIDEGATE_SERVER: served.url }), 4],
    [['explain', 'edge-02'], () => served.env, 5],
    [['status', '--server', nobody, '--token', token], () => ({}), 6],
  ];
  for (const [args, env, code] of ends) {
    it(`the process of ${args.slice(0, 2).join(' ')} ends with ${code}`, async () => {
      const ran = await runBin(args, env());
      assert.deepEqual([ran.code, ran.out], [code, ''], ran.err);
      assert.match(ran.err, /^error\[[a-z_]+\]: [^\n]+\n/);
    });
  }

  it('https to a server without TLS: one line that says so', async () => {
    const { code, err } = await run(['status'], {
      ...served.env,
      TIDEGATE_SERVER: served.url.replace('http:', 'https:'),
    });
    assert.equal(code, 6);
    assert.match(
      err,
      /^error\[unreachable\]: .*: the server does not speak TLS there\n {2}where: [^\n]*\n {2}[^\n]*\n$/,
    );
  });

  it('a prefix of two rollouts → 5, naming them', async () => {
    const common = served.seeded.rollout.id.slice(0, 5);
    const { code, err } = await run(['rollout', 'show', common], served.env);
    assert.equal(code, 5);
    assert.match(err, /Say which: collector@1\.4\.0, collector@1\.3\.9/);
  });

  it('without a command: the help, on standard error, and 2', async () => {
    const { code, out, err } = await runBin([]);
    assert.deepEqual([code, out], [2, '']);
    assertPlain(err);
    assert.match(err, /enrol-token/);
  });

  it('--help shows in the usage line what a command cannot do without, and defaults as people write them', async () => {
    assert.match(
      (await run(['brake', 'off', '--help'])).out,
      /^Usage: tidegate brake off --reason <text> \[options\]$/m,
    );
    assert.match((await run(['rollout', 'halt', '--help'])).out, /halt <rollout> --reason <text> \[options\]$/m);
    const { out } = await run(['enrol-token', 'create', '--help']);
    assert.match(out, /default: 24h/);
    assert.doesNotMatch(out, /86400000|\{\}/);
  });

  it('--help and --version → 0', async () => {
    const help = await run(['rollout', 'halt', '--help']);
    assert.equal(help.code, 0);
    assertPlain(help.out);
    const version = await runBin(['--version']);
    assert.match(version.out, /^\d+\.\d+\.\d+\n$/);
  });

  it('an answer that is not Tidegate’s, hostile and endless ones included', async () => {
    const replies: [status: number, body: string, code: number][] = [
      [200, '<html>', 3],
      [200, '{"now":1}', 3],
      [404, 'gone \u001b[2J', 3],
      [404, '<html>no such page</html>', 3],
      [502, 'bad gateway', 6],
      [
        500,
        '{"type":"x","title":"x","status":500,"code":"constructor","detail":"\\u001b[2J","hint":"x","requestId":"x"}',
        6,
      ],
    ];
    let next: [number, string, number] = [200, '', 0];
    const server = createServer((_request, response) => response.writeHead(next[0]).end(next[1])).listen(
      0,
      '127.0.0.1',
    );
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      for (const reply of replies) {
        next = reply;
        const { code, err } = await run(['status'], { ...served.env, TIDEGATE_SERVER: url });
        assert.equal(code, reply[2], err);
        assert.doesNotMatch(err, UNSAFE);
        if (reply[2] === 3) assert.match(err, /a Tidegate/);
      }
    } finally {
      server.close();
    }
  });
});

describe('config check', () => {
  it('says what the file holds, or every problem with its place', async () => {
    const file = join(dir, 'tidegate.yaml');
    writeFileSync(file, 'regions: 7\nnonsense: true\n');
    const bad = await run(['config', 'check', file]);
    assert.equal(bad.code, 3);
    assert.match(bad.err, /^error\[config_invalid\]/);
    assert.match(bad.err, /tidegate\.yaml:2:/);
    const good = await runBin(['config', 'check', join(import.meta.dirname, '../../config/tidegate.yaml')]);
    assert.equal(good.code, 0, good.err);
    assert.match(good.out, /is sound: \d+ products?, \d+ regions?, \d+ polic/);
    const flag = await run(['config', 'check', '--config', join(import.meta.dirname, '../../config/tidegate.yaml')]);
    assert.deepEqual([flag.code, flag.out], [0, good.out]);
    assert.equal((await run(['config', 'check', file, '--config', file])).code, 2);
  });
});

describe('agent', () => {
  it('install: what cannot be used is refused before anything is made', async () => {
    const artifact = join(dir, 'artifact.tar.gz');
    writeFileSync(artifact, 'not an archive');
    chmodSync(artifact, 0o600);
    const root = join(dir, 'root');
    const args = ['agent', 'install', '--root', root, '--artifact', artifact, '--product', 'collector'];
    const plain = await run([...args, '--server', 'http://example.com']);
    assert.equal(plain.code, 2);
    const twice = await run([...args, '--server', served.url, '--enrol-token', 'a', '--enrol-token-file', 'b']);
    assert.equal(twice.code, 2);
    const rows: [more: string[], code: number, says: RegExp][] = [
      [[], 4, /^error\[auth_missing\]: no enrolment token.*--enrol-token-file/s],
      [['--enrol-token', 'abc'], 4, /^error\[auth_invalid\]: .*begin with tge1/],
      [
        ['--enrol-token-file', join(dir, 'none.txt')],
        3,
        /^error\[file_unusable\]: .* is missing\n {2}where: .*none\.txt/,
      ],
      [['--enrol-token', TOKEN], 7, /^error\[archive_rejected\]/],
      [
        ['--enrol-token', TOKEN, '--artifact', join(dir, 'none.tgz')],
        3,
        /^error\[file_unusable\]: .*none\.tgz.*build:agent/s,
      ],
      [['--enrol-token', TOKEN, '--root', join(artifact, 'x')], 3, /^error\[file_unusable\]: .*not a directory/],
    ];
    for (const [more, code, says] of rows) {
      const refused = await run([...args, '--server', served.url, ...more]);
      assert.equal(refused.code, code, refused.err);
      assert.match(refused.err, says);
      assert.equal(existsSync(root), false, more.join(' '));
    }
    const ended = await runBin([...args, '--server', served.url, '--enrol-token', TOKEN]);
    assert.deepEqual([ended.code, ended.out, existsSync(root)], [7, '', false], ended.err);
  });
});

describe('agent run', () => {
  it('where nothing is installed: what, where, and how to mend it', async () => {
    const { code, err } = await runBin(['agent', 'run', '--root', join(dir, 'nowhere')]);
    assert.equal(code, 3);
    assert.match(err, /^error\[file_unusable\]: no agent is installed here\n {2}where: .*nowhere\n {2}Name the root/);
  });
});

describe('status --watch', () => {
  it('off a terminal: a line for everything, then for what changes, until SIGINT', { timeout: 30_000 }, async () => {
    const child = start(['status', '--watch'], served.env);
    try {
      await follow(child);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

async function follow(child: ReturnType<typeof start>): Promise<void> {
  const { database } = served.harness;
  const signal = AbortSignal.timeout(20_000);
  let out = '';
  child.stdout.setEncoding('utf8');
  async function until(pattern: RegExp): Promise<void> {
    while (!pattern.test(out)) out += ((await once(child.stdout, 'data', { signal })) as [string])[0];
  }
  await until(/collector@1\.3\.9 us-east halted: halted by .*\n/);
  assert.match(out, /^2026-01-05 12:00:00Z agents: 3 enrolled, 2 present$/m);
  const lines = out.split('\n').length;
  const brake = { scope: 'fleet', actor: 'anna', reason: 'stop\u001b[2J', at: T0 };
  await transaction(database, (tx) => putBrake(tx, brake, 0));
  await until(/brake on the whole fleet by anna: stop\n/);
  assert.equal(out.split('\n').length, lines + 1);
  await transaction(database, (tx) => deleteBrake(tx, 'fleet'));
  await until(/released: brake on the whole fleet/);
  child.kill('SIGINT');
  assert.deepEqual(await once(child, 'close'), [0, null]);
}

async function closedPort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return `http://127.0.0.1:${port}`;
}
