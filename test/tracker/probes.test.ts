// The prober over real sockets: mirrors that have, lack, fail and change, and the rows that come of it in a real SQLite.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { type Mirror, startMirror } from '../../src/demo/mirror.ts';
import type { Availability } from '../../src/domain/availability.ts';
import type { MirroredRegion } from '../../src/domain/mirror.ts';
import type { Release } from '../../src/domain/release.ts';
import { schemeOf } from '../../src/domain/version/schemes.ts';
import { type Database, transaction } from '../../src/store/database.ts';
import { listAvailability, saveAvailability, saveRelease } from '../../src/store/releases.ts';
import type { ProbedProduct } from '../../src/tracker/probe-plan.ts';
import { openProber, type Prober, type ProberDeps } from '../../src/tracker/probes.ts';
import { assetName, type LogLine, memoryDatabase, NOW, readableLogger, sha256 } from './world.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const SETTINGS = { everyMs: 30 * SECOND, timeoutMs: 5 * SECOND, maxAgeMs: 10 * MINUTE, perHost: 4, total: 16 };
const AGENT: ProbedProduct = { name: 'agent', scheme: 'semver', accept: null, prereleases: false };
const TEMPLATE = '/{product}/{version}/{asset}';
const SIZE = 64;

interface Setup extends AsyncDisposable {
  mirror: Mirror;
  database: Database;
  prober: Prober;
  lines: LogLine[];
  /** What the rows of the region eu say about linux-x64 of 1.0.0. */
  row(): Promise<Availability | undefined>;
  /** One round so many seconds after NOW. */
  round(seconds: number): Promise<{ changed: boolean }>;
}

interface Options {
  regions?: (mirror: Mirror) => MirroredRegion[];
  settings?: Partial<typeof SETTINGS>;
  products?: ProbedProduct[];
}

/** One release 1.0.0, one region eu whose mirror has nothing. */
async function setUp(options: Options = {}): Promise<Setup> {
  const mirror = await startMirror();
  const { database, ...store } = await memoryDatabase();
  const { logger, lines } = readableLogger();
  const regions = options.regions?.(mirror) ?? [{ name: 'eu', mirror: mirror.url + TEMPLATE }];
  const deps: ProberDeps = {
    database,
    products: options.products ?? [AGENT],
    regions,
    settings: { ...SETTINGS, ...options.settings },
    version: '0.0.0-test',
    logger,
  };
  const prober = openProber(deps);
  await save(database, release('1.0.0'));
  return {
    mirror,
    database,
    prober,
    lines,
    async row() {
      const rows = await listAvailability(database.db, 'agent', ['1.0.0']);
      return rows.find((one) => one.region === 'eu' && one.platform === 'linux-x64');
    },
    round: (seconds) => prober.round(NOW + seconds * SECOND, []),
    async [Symbol.asyncDispose]() {
      await prober.close();
      await mirror.close();
      await store[Symbol.asyncDispose]();
    },
  };
}

function release(version: string, changes: Partial<Release> = {}): Release {
  const parsed = schemeOf('semver').parse(version);
  assert.ok(parsed);
  return {
    id: `id-${version}`,
    product: 'agent',
    sourceId: `source-${version}`,
    tag: `v${version}`,
    version,
    sortKey: parsed.sortKey,
    prerelease: parsed.prerelease,
    state: 'complete',
    why: null,
    publishedAt: NOW - MINUTE,
    firstSeenAt: NOW - MINUTE,
    artifacts: [artifact(version, 'linux-x64')],
    missing: [],
    ...changes,
  };
}

function artifact(version: string, platform: string) {
  const name = assetName(version, platform);
  return { platform, name, size: SIZE, sha256: sha256(Buffer.from(name)), assetId: name };
}

async function save(database: Database, ...releases: Release[]): Promise<void> {
  await transaction(database, async (tx) => {
    for (const one of releases) await saveRelease(tx, one);
  });
}

function put(mirror: Mirror, version = '1.0.0', platform = 'linux-x64', size = SIZE): void {
  mirror.put(`/agent/${version}/${assetName(version, platform)}`, Buffer.alloc(size));
}

const ADDRESS = /^http:\/\/127\.0\.0\.1:\d+\/agent\/1\.0\.0\/agent-1\.0\.0-linux-x64\.tar\.gz: /;

/** What a row says, without the address. */
function said(row: Availability | undefined): string {
  assert.match(row?.why ?? '', ADDRESS);
  return `${row?.status}: ${row?.why.replace(ADDRESS, '')}`;
}

const ANSWERS: { title: string; arrange: (mirror: Mirror) => void; expected: string; timeoutMs?: number }[] = [
  { title: 'has the file', arrange: (mirror) => put(mirror), expected: 'available: there, 64 bytes' },
  {
    title: 'has the file and does not say its length',
    arrange(mirror) {
      put(mirror);
      mirror.fail({ kind: 'unsized' });
    },
    expected: 'available: there, length not given',
  },
  {
    title: 'has the file behind three redirects',
    arrange(mirror) {
      mirror.put('/elsewhere', Buffer.alloc(SIZE));
      mirror.fail({ kind: 'redirect', to: `${mirror.url}/elsewhere` }, 3);
    },
    expected: 'available: there, 64 bytes',
  },
  {
    title: 'has a part of the file',
    arrange: (mirror) => put(mirror, '1.0.0', 'linux-x64', 10),
    expected: 'absent: 10 bytes, 64 were published',
  },
  { title: 'answers 404', arrange: () => {}, expected: 'absent: answers 404' },
  {
    title: 'answers 410',
    arrange: (mirror) => mirror.fail({ kind: 'status', status: 410 }),
    expected: 'absent: answers 410',
  },
  // Only a mirror that says so lacks a file.
  ...[400, 401, 403, 408, 429, 451, 500, 502, 503, 504, 204].map((status) => ({
    title: `answers ${status}`,
    arrange: (mirror: Mirror) => mirror.fail({ kind: 'status', status }),
    expected: `unknown: answers ${status}`,
  })),
  {
    title: 'answers compressed, with another length',
    arrange: (mirror) =>
      mirror.fail({
        kind: 'status',
        status: 200,
        headers: { 'content-encoding': 'gzip', 'content-length': '10' },
      }),
    expected: 'available: there, length not given',
  },
  {
    title: 'cuts the connection',
    arrange: (mirror) => mirror.fail({ kind: 'reset' }),
    expected: 'unknown: the connection breaks off',
  },
  {
    title: 'does not answer in time',
    arrange(mirror) {
      put(mirror);
      mirror.pause();
    },
    expected: 'unknown: no answer within 150 ms',
    timeoutMs: 150,
  },
  {
    title: 'redirects without end',
    arrange: (mirror) => mirror.fail({ kind: 'redirect', to: '/again' }),
    expected: 'unknown: more than 3 redirects',
  },
  ...['https://127.0.0.1/x', 'http://mirror.example/x'].map((to) => ({
    title: `redirects to ${to}`,
    arrange: (mirror: Mirror) => mirror.fail({ kind: 'redirect', to }),
    expected: 'unknown: redirects to another scheme, or away from this machine over plain http',
  })),
];
for (const { title, arrange, expected, timeoutMs } of ANSWERS) {
  test(`a mirror that ${title}: ${expected}`, async () => {
    await using setup = await setUp(timeoutMs === undefined ? {} : { settings: { timeoutMs } });
    arrange(setup.mirror);
    assert.deepEqual(await setup.round(0), { changed: true });
    const row = await setup.row();
    assert.equal(said(row), expected);
    assert.deepEqual([row?.since, row?.checkedAt], [NOW, NOW]);
    assert.ok(setup.mirror.requests.every((one) => one.method === 'HEAD'));
  });
}

type Get = (response: ServerResponse, request: IncomingMessage) => void;
const PART: Get = (response) => {
  response.writeHead(206, { 'content-range': `bytes 0-0/${SIZE}`, 'content-length': 1 }).end('x');
};
const WITHOUT_HEAD: [title: string, status: number, get: Get, expected: string][] = [
  ['gives the first byte', 405, PART, 'available: there, 64 bytes'],
  ['gives the first byte, and does not know HEAD at all', 501, PART, 'available: there, 64 bytes'],
  [
    'gives the first byte of an unknown length',
    405,
    (response) => void response.writeHead(206, { 'content-range': 'bytes 0-0/*' }).end('x'),
    'available: there, length not given',
  ],
  [
    'gives the first byte of another file',
    405,
    (response) => void response.writeHead(206, { 'content-range': 'bytes 0-0/65' }).end('x'),
    'absent: 65 bytes, 64 were published',
  ],
  [
    'ignores the range and never ends',
    405,
    // Nobody waits for the rest: the headers have said it.
    (response) => void response.writeHead(200, { 'content-length': SIZE }).write('x'),
    'available: there, 64 bytes',
  ],
  [
    'redirects once',
    405,
    (response, { url }) =>
      url === '/moved'
        ? PART(response, {} as IncomingMessage)
        : void response.writeHead(302, { location: '/moved' }).end(),
    'available: there, 64 bytes',
  ],
  ['answers 404', 405, (response) => void response.writeHead(404).end(), 'absent: answers 404'],
  ['refuses GET, too', 405, (response) => void response.writeHead(405).end(), 'unknown: answers 405'],
  ['has no such range', 405, (response) => void response.writeHead(416).end(), 'unknown: answers 416'],
];
for (const [title, status, get, expected] of WITHOUT_HEAD) {
  test(`a mirror that refuses HEAD with ${status} and by GET ${title}: ${expected}`, async () => {
    const asked: string[] = [];
    const server = createHttpServer((request, response) => {
      asked.push(`${request.method} ${request.headers.range ?? ''}`.trim());
      if (request.method === 'HEAD') response.writeHead(status).end();
      else get(response, request);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    try {
      await using setup = await setUp({
        regions: () => [{ name: 'eu', mirror: `http://127.0.0.1:${port}${TEMPLATE}` }],
      });
      await setup.round(0);
      assert.equal(said(await setup.row()), expected);
      assert.deepEqual([...new Set(asked)], ['HEAD', 'GET bytes=0-0']);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
}

test('a mirror that refuses connections, and one that does not speak TLS: unknown', async () => {
  const port = await closedPort();
  await using refused = await setUp({
    regions: () => [{ name: 'eu', mirror: `http://127.0.0.1:${port}${TEMPLATE}` }],
  });
  await refused.round(0);
  assert.equal(said(await refused.row()), 'unknown: the connection is refused');
  await using plain = await setUp({
    regions: (mirror) => [{ name: 'eu', mirror: mirror.url.replace('http:', 'https:') + TEMPLATE }],
  });
  await plain.round(0);
  const row = await plain.row();
  assert.equal(row?.status, 'unknown');
  assert.match(row?.why ?? '', /: TLS fails \([A-Z_0-9]+\)$/);
});

test('a release that arrives becomes available by itself; since is when the status turned', async () => {
  await using setup = await setUp();
  await setup.round(0);
  assert.deepEqual(await setup.round(29), { changed: false });
  assert.equal(setup.mirror.requests.length, 1, 'not due');
  setup.mirror.fail({ kind: 'status', status: 410 }, 1);
  assert.deepEqual(await setup.round(30), { changed: true }, 'another reason');
  let row = await setup.row();
  assert.deepEqual([said(row), row?.since, row?.checkedAt], ['absent: answers 410', NOW, NOW + 30 * SECOND]);
  put(setup.mirror);
  assert.deepEqual(await setup.round(60), { changed: true });
  row = await setup.row();
  assert.deepEqual([said(row), row?.since], ['available: there, 64 bytes', NOW + 60 * SECOND]);
  const turns = setup.lines.filter((line) => line.msg === 'availability has changed');
  assert.deepEqual(
    turns.map((line) => [line.level, line['region'], line['status']]),
    [
      [30, 'eu', 'absent'],
      [30, 'eu', 'available'],
    ],
  );
});

test('a release that vanishes turns absent, one whose mirror fails unknown; both are seen within half of maxAge', async () => {
  await using setup = await setUp();
  put(setup.mirror);
  await setup.round(0);
  setup.mirror.remove('/agent/1.0.0/agent-1.0.0-linux-x64.tar.gz');
  assert.deepEqual(await setup.round(299), { changed: false });
  assert.equal(setup.mirror.requests.length, 1, 'what is available is asked for less often');
  assert.deepEqual(await setup.round(300), { changed: true });
  assert.equal(said(await setup.row()), 'absent: answers 404');
  assert.equal(setup.lines.at(-1)?.level, 40);
  setup.mirror.fail({ kind: 'status', status: 500 });
  await setup.round(330);
  assert.equal(said(await setup.row()), 'unknown: answers 500');
});

test('a mirror that gives no answer is asked ever more seldom, and every 30 s again once it answers', async () => {
  await using setup = await setUp();
  setup.mirror.fail({ kind: 'status', status: 503 });
  const asked: number[] = [];
  const during = async (from: number, to: number) => {
    for (let seconds = from; seconds < to; seconds += 10) {
      const before = setup.mirror.requests.length;
      await setup.round(seconds);
      if (setup.mirror.requests.length > before) asked.push(seconds);
    }
  };
  await during(0, 1200);
  assert.deepEqual(asked, [0, 30, 60, 120, 240, 480, 780, 1080]);
  assert.equal((await setup.row())?.since, NOW, 'since stays, whatever else is seen');
  setup.mirror.heal();
  asked.length = 0;
  await during(1200, 1500);
  assert.deepEqual(asked, [1380, 1410, 1440, 1470]);
  assert.equal(said(await setup.row()), 'absent: answers 404');
  assert.equal((await setup.row())?.since, NOW + 1380 * SECOND);
});

test('a platform that a release gets later, and a region that the config gets later, are asked for at once', async () => {
  await using setup = await setUp();
  put(setup.mirror);
  await setup.round(0);
  const platforms = ['linux-x64', 'linux-arm64'];
  await save(setup.database, release('1.0.0', { artifacts: platforms.map((one) => artifact('1.0.0', one)) }));
  put(setup.mirror, '1.0.0', 'linux-arm64');
  assert.deepEqual(await setup.round(1), { changed: true });
  const restarted = openProber({
    database: setup.database,
    products: [AGENT],
    regions: ['eu', 'us'].map((name) => ({
      name,
      mirror: `${setup.mirror.url}/${name === 'us' ? 'us' : '.'}${TEMPLATE}`,
    })),
    settings: SETTINGS,
    version: '0.0.0-test',
    logger: readableLogger().logger,
  });
  try {
    assert.deepEqual(await restarted.round(NOW + 2 * SECOND, []), { changed: true });
  } finally {
    await restarted.close();
  }
  const rows = await listAvailability(setup.database.db, 'agent');
  assert.deepEqual(
    rows.map((row) => `${row.region} ${row.platform} ${row.status} ${(row.since - NOW) / SECOND}`),
    ['eu linux-arm64 available 1', 'eu linux-x64 available 0', 'us linux-arm64 absent 2', 'us linux-x64 absent 2'],
  );
  assert.equal(setup.mirror.requests.length, 4, 'the words of the known region are still fresh');
});

test('a slow host keeps no place from the others', async () => {
  const fast = await startMirror();
  await using setup = await setUp({
    settings: { perHost: 2, total: 3 },
    regions: ({ url }) => [
      { name: 'eu', mirror: url + TEMPLATE },
      { name: 'us', mirror: fast.url + TEMPLATE },
    ],
  });
  try {
    await save(setup.database, ...['1.1.0', '1.2.0', '1.3.0', '1.4.0'].map((version) => release(version)));
    const resume = setup.mirror.pause();
    const round = setup.round(0);
    while (fast.requests.length < 5) await new Promise((next) => setImmediate(next));
    await setup.mirror.reached(2);
    assert.equal(setup.mirror.requests.length, 2, 'all five of the fast one, while the first two of the slow one wait');
    resume();
    await round;
    assert.equal(setup.mirror.requests.length, 5);
    assert.deepEqual([setup.mirror.inFlight.peak, fast.inFlight.peak <= 2], [2, true]);
  } finally {
    await fast.close();
  }
});

test('an answer that stays the same is confirmed once a minute, and since stays', async () => {
  await using setup = await setUp();
  const checked: number[] = [];
  for (const seconds of [0, 30, 45, 60, 90, 120]) {
    const { changed } = await setup.round(seconds);
    assert.equal(changed, seconds === 0);
    const row = await setup.row();
    assert.equal(row?.since, NOW);
    checked.push(((row?.checkedAt ?? 0) - NOW) / SECOND);
  }
  assert.deepEqual(checked, [0, 0, 0, 60, 60, 120]);
  assert.equal(setup.mirror.requests.length, 5, 'but asked every 30 s, whatever the row says');
});

test('a clock that is put back asks anew, and then as usual', async () => {
  await using setup = await setUp();
  await setup.round(0);
  await setup.round(-3600);
  assert.equal((await setup.row())?.checkedAt, NOW - 3600 * SECOND);
  await setup.round(-3599);
  assert.equal(setup.mirror.requests.length, 2);
});

test('asks for the newest five, for what is wanted, for each complete platform, and for nothing that cannot go out', async () => {
  await using setup = await setUp({ products: [{ ...AGENT, accept: '<2' }] });
  const pending: Partial<Release> = {
    state: 'pending',
    artifacts: ['linux-x64', 'linux-arm64'].map((platform) => artifact('1.7.0', platform)),
  };
  await save(
    setup.database,
    ...['1.1.0', '1.2.0', '1.3.0', '1.4.0', '1.5.0', '1.8.0-rc.1', '2.0.0'].map((version) => release(version)),
    release('1.6.0', { state: 'withdrawn', why: 'deleted' }),
    release('1.7.0', pending),
  );
  await setup.prober.round(NOW, [
    { product: 'agent', version: '1.1.0' },
    { product: 'agent', version: '1.6.0' },
    { product: 'other', version: '1.0.0' },
  ]);
  const asked = setup.mirror.requests.map((one) => one.path.split('/').slice(2).join(' ')).sort();
  assert.deepEqual(
    asked,
    [
      ...['1.1.0', '1.2.0', '1.3.0', '1.4.0', '1.5.0'].map((version) => `${version} ${assetName(version)}`),
      `1.7.0 ${assetName('1.7.0', 'linux-arm64')}`,
      `1.7.0 ${assetName('1.7.0')}`,
    ].sort(),
  );
});

test('regions that share an address are asked once, those without a mirror never', async () => {
  await using setup = await setUp({
    regions: ({ url }) => [
      { name: 'eu', mirror: url + TEMPLATE },
      { name: 'us', mirror: url + TEMPLATE },
      { name: 'lab', mirror: null },
    ],
  });
  put(setup.mirror);
  await setup.round(0);
  assert.equal(setup.mirror.requests.length, 1);
  const rows = await listAvailability(setup.database.db, 'agent');
  assert.deepEqual(
    rows.map((row) => `${row.region} ${row.status}`),
    ['eu available', 'us available'],
  );
});

test('settle takes back what was available without the word of the present mirror, before anybody is asked', async () => {
  await using setup = await setUp({
    regions: ({ url }) => [
      { name: 'eu', mirror: url + TEMPLATE },
      { name: 'us', mirror: url + TEMPLATE },
      { name: 'lab', mirror: null },
    ],
  });
  const { url } = setup.mirror;
  const row = { product: 'agent', version: '1.0.0', platform: 'linux-x64', status: 'available' as const };
  const times = { since: NOW - MINUTE, checkedAt: NOW - SECOND };
  const mirrored = `${url}/agent/1.0.0/${assetName('1.0.0')}: there, 64 bytes`;
  await transaction(setup.database, (tx) =>
    saveAvailability(tx, [
      { ...row, ...times, region: 'eu', why: 'uploaded on GitHub' },
      { ...row, ...times, region: 'us', why: mirrored },
      { ...row, ...times, region: 'lab', why: 'uploaded on GitHub' },
    ]),
  );
  assert.deepEqual(await setup.prober.settle(NOW), { changed: true });
  assert.equal(setup.mirror.requests.length, 0);
  const rows = await listAvailability(setup.database.db, 'agent');
  assert.deepEqual(
    rows.map((one) => `${one.region} ${one.status} ${(one.since - NOW) / SECOND}`),
    ['eu unknown 0', 'lab available -60', 'us available -60'],
  );
  put(setup.mirror);
  await setup.round(0);
  assert.equal(said(await setup.row()), 'available: there, 64 bytes');
  assert.equal(setup.mirror.requests.length, 1, 'the other row is fresh');
});

test('at most perHost requests reach a host at a time, and at most total reach all', async () => {
  const other = await startMirror();
  const versions = ['1.1.0', '1.2.0', '1.3.0', '1.4.0'];
  await using setup = await setUp({
    settings: { perHost: 3, total: 5 },
    regions: ({ url }) => [
      { name: 'eu', mirror: `${url}/{region}${TEMPLATE}` },
      { name: 'us', mirror: `${url}/{region}${TEMPLATE}` },
      { name: 'ap', mirror: `${other.url}/{region}${TEMPLATE}` },
    ],
  });
  try {
    await save(setup.database, ...versions.map((version) => release(version)));
    const resume = [setup.mirror.pause(), other.pause()];
    const round = setup.round(0);
    await Promise.race([
      setup.mirror.reached(3).then(() => other.reached(2)),
      other.reached(3).then(() => setup.mirror.reached(2)),
    ]);
    // Whoever came too many would be there before this connection, made later, is.
    for (const { url } of [setup.mirror, other]) await connectTo(url);
    assert.equal(setup.mirror.inFlight.now + other.inFlight.now, 5);
    for (const open of resume) open();
    await round;
    assert.equal(setup.mirror.requests.length + other.requests.length, 15);
    assert.ok(setup.mirror.inFlight.peak <= 3 && other.inFlight.peak <= 3);
    assert.ok(Math.max(setup.mirror.inFlight.peak, other.inFlight.peak) === 3, 'and the limit is used');
  } finally {
    await other.close();
  }
});

test('a round does not overlap itself, and close ends it without a word about the mirror', async () => {
  await using setup = await setUp();
  setup.mirror.pause();
  const first = setup.round(0);
  await setup.mirror.reached(1);
  const second = setup.round(3600);
  // A second question would be there before this connection, made later, is.
  await setup.row();
  await connectTo(setup.mirror.url);
  await setup.prober.close();
  assert.deepEqual(await Promise.all([first, second]), [{ changed: false }, { changed: false }]);
  assert.equal(setup.mirror.requests.length, 1);
  assert.equal(await setup.row(), undefined);
  assert.deepEqual(await setup.round(7200), { changed: false });
});

test('a release that is withdrawn while its mirror answers does not become available', async () => {
  await using setup = await setUp();
  put(setup.mirror);
  const resume = setup.mirror.pause();
  const round = setup.round(0);
  await setup.mirror.reached(1);
  await save(setup.database, release('1.0.0', { state: 'withdrawn', why: 'deleted' }));
  resume();
  assert.deepEqual(await round, { changed: false });
  assert.equal(await setup.row(), undefined);
});

test('an address that is too long is unknown', async () => {
  await using setup = await setUp({
    regions: ({ url }) => [{ name: 'eu', mirror: `${url}/${'{asset}'.repeat(80)}` }],
  });
  await setup.round(0);
  const row = await setup.row();
  assert.deepEqual([row?.status, row?.why], ['unknown', 'the address of the file on the mirror is too long']);
  assert.deepEqual(await setup.round(60), { changed: false });
});

/** A port on which nobody listens: it was free a moment ago. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** Resolves when the server has accepted and dropped a connection: all that came before it are in. */
async function connectTo(url: string): Promise<void> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.write('not http\r\n\r\n');
  socket.resume();
  await once(socket, 'close');
}
