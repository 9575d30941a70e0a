// `tidegate product history` and its route on real tag histories: what is picked, 80 columns, and wrong questions.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { columns } from '../../src/cli/render.ts';
import type { ProductHistoryReply, StatusReply } from '../../src/protocol/operator.ts';
import { putVeto } from '../../src/store/controls.ts';
import { transaction } from '../../src/store/database.ts';
import { saveRelease, saveSource } from '../../src/store/releases.ts';
import { openHarness, T0 } from '../api/harness.ts';
import { readReal, SSM } from '../support/real-releases.ts';
import { type Env, run } from './bin.ts';

const PRODUCT = 'collector';
const TIMES = { lastAttemptAt: T0, lastSuccessAt: T0, nextPollAt: null, failures: 0, errorCode: null, error: null };

let harness: Awaited<ReturnType<typeof openHarness>>;
let env: Env;

/** The harness's one product, with the history of Alloy, which has prereleases and tags of other things. */
before(async () => {
  harness = await openHarness();
  const tracked = { ...SSM, name: PRODUCT, scheme: 'semver' as const, tags: ['v{version}'] };
  const { releases, rejectedTags } = readReal(tracked, 'alloy');
  const rejected = { rejectedTags: rejectedTags.slice(0, 50), rejectedCount: rejectedTags.length, notice: null };
  await transaction(harness.database, async (tx) => {
    for (const release of releases) await saveRelease(tx, release);
    await saveSource(tx, { product: PRODUCT, etag: null, ...TIMES, ...rejected });
  });
  const url = await harness.app.listen({ host: '127.0.0.1', port: 0 });
  env = { TIDEGATE_SERVER: url, TIDEGATE_TOKEN: harness.operatorToken };
});
after(() => harness[Symbol.asyncDispose]());

async function ask(query = '', name = PRODUCT) {
  const headers = { authorization: `Bearer ${harness.operatorToken}` };
  return await harness.app.inject({ url: `/api/v1/products/${name}/history${query}`, headers });
}

describe('GET /api/v1/products/:name/history', { concurrency: true }, () => {
  const rows: [query: string, highest: string | null, matching: number][] = [
    ['', '1.18.1', 57],
    ['?channel=stable', '1.18.1', 57],
    ['?channel=all', '1.19.0-rc.3', 115],
    ['?channel=rc', '1.19.0-rc.3', 115],
    ['?channel=beta', '1.18.1', 57],
    ['?range=~1.3', '1.3.4', 5],
    ['?range=~1.3&on=2024-09-25', '1.3.3', 4],
    ['?on=2024-04-04', null, 0],
  ];
  for (const [query, highest, matching] of rows) {
    it(`${query === '' ? 'without a question' : query} picks ${highest} of ${matching}`, async () => {
      const response = await ask(query);
      assert.equal(response.statusCode, 200, response.body);
      const reply = response.json<ProductHistoryReply>();
      assert.deepEqual([reply.highest, reply.matching, reply.releases], [highest, matching, 115]);
    });
  }

  it('says date, state, why and jump of each, and how many tags are rejected beyond those that are kept', async () => {
    const reply = (await ask('?limit=2&channel=all')).json<ProductHistoryReply>();
    const why = 'no_assets: the release has no assets yet';
    const common = { prerelease: true, state: 'pending', why, jump: 'prerelease' };
    assert.deepEqual(reply.rows, [
      {
        ...common,
        tag: 'v1.19.0-rc.3',
        version: '1.19.0-rc.3',
        publishedAt: Date.UTC(2026, 7, 20, 11, 7, 46),
        from: '1.19.0-rc.2',
      },
      {
        ...common,
        tag: 'v1.19.0-rc.2',
        version: '1.19.0-rc.2',
        publishedAt: Date.UTC(2026, 7, 19, 14, 37, 20),
        from: '1.19.0-rc.1',
      },
    ]);
    assert.deepEqual([reply.rejectedTags, reply.rejected.length], [93, 50]);
  });

  it('passes over a vetoed version and says so, as the status does', async () => {
    const other = await openHarness();
    try {
      const tracked = { ...SSM, name: PRODUCT, scheme: 'semver' as const, tags: ['v{version}'] };
      const veto = {
        product: PRODUCT,
        version: '1.18.1',
        automatic: false,
        actor: 'anna',
        reason: 'it crashes',
        at: T0,
      };
      await transaction(other.database, async (tx) => {
        for (const release of readReal(tracked, 'alloy').releases) await saveRelease(tx, release);
        await putVeto(tx, veto);
      });
      const headers = { authorization: `Bearer ${other.operatorToken}` };
      const history = await other.app.inject({ url: `/api/v1/products/${PRODUCT}/history?limit=1`, headers });
      const reply = history.json<ProductHistoryReply>();
      assert.deepEqual([reply.highest, reply.rows[0]?.why], ['1.18.0', 'vetoed: it crashes']);
      const status = (await other.app.inject({ url: '/api/v1/status', headers })).json<StatusReply>();
      assert.equal(status.products[0]?.highest, '1.18.0');
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });

  it('names versions that stand under two tags, whatever was asked for, and says so as the status does', async () => {
    const other = await openHarness();
    try {
      const releases = readReal({ ...SSM, name: PRODUCT }, 'amazon-ssm-agent').releases;
      const failing = {
        ...TIMES,
        nextPollAt: T0 + 60_000,
        failures: 2,
        errorCode: 'github_unavailable',
        error: 'it is down',
      };
      await transaction(other.database, async (tx) => {
        for (const release of releases.slice(0, 3)) await saveRelease(tx, release);
        for (const release of releases) if (release.state === 'refused') await saveRelease(tx, release);
        const notice = 'the list ends with page 2';
        await saveSource(tx, { product: PRODUCT, etag: null, ...failing, rejectedTags: [], rejectedCount: 0, notice });
      });
      const url = await other.app.listen({ host: '127.0.0.1', port: 0 });
      const there = { TIDEGATE_SERVER: url, TIDEGATE_TOKEN: other.operatorToken };
      const headers = { authorization: `Bearer ${other.operatorToken}` };
      const refused = [{ version: '2.0.755.0', tags: ['2.0.755.0', 'v2.0.755.0'] }];
      const history = await other.app.inject({ url: `/api/v1/products/${PRODUCT}/history?limit=1`, headers });
      const reply = history.json<ProductHistoryReply>();
      assert.deepEqual(reply.refused, refused);
      assert.deepEqual(
        [reply.source?.lastSuccessAt, reply.source?.errorCode, reply.source?.error, reply.source?.notice],
        [T0, 'github_unavailable', 'it is down', 'the list ends with page 2'],
      );
      const status = (await other.app.inject({ url: '/api/v1/status', headers })).json<StatusReply>();
      assert.deepEqual(status.products[0]?.refused, refused);
      for (const args of [['product', 'history', PRODUCT, '--limit', '1'], ['status']]) {
        const { out, err } = await run(args, there);
        const said = out.replace(/\s+/g, ' ');
        assert.match(said, /1 version refused \(2\.0\.755\.0 under 2\.0\.755\.0 and v2\.0\.755\.0\)/, err);
        assert.match(said, /polled /);
        assert.match(said, /polling fails: it is down \(github_unavailable\); next poll/);
        assert.match(said, /not the whole list: the list ends with page 2/);
        for (const line of out.split('\n')) assert.ok(columns(line) <= 80, line);
      }
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });

  const named: [query: string, expected: ProductHistoryReply['unknownNames']][] = [
    ['', null],
    ['?channel=rc', null],
    ['?channel=all', null],
    ['?channel=RC', { names: ['RC'], known: ['rc'] }],
    ['?channel=stable,rc', { names: ['stable'], known: ['rc'] }],
    ['?channel=a-b', { names: ['a-b'], known: ['rc'] }],
  ];
  for (const [query, expected] of named) {
    it(`${query === '' ? 'without a question' : query} names ${JSON.stringify(expected)} as unknown`, async () => {
      assert.deepEqual((await ask(query)).json<ProductHistoryReply>().unknownNames, expected);
    });
  }

  const wrong: [query: string, name: string, status: number, says: RegExp][] = [
    ['', 'nobody', 404, /no product nobody.*There are: collector/],
    ['?range=%3E%3E1', PRODUCT, 400, /not a range of the scheme semver/],
    ['?on=2025-02-30', PRODUCT, 400, /there is no day 2025-02-30/],
    ['?on=yesterday', PRODUCT, 400, /querystring\/on/],
    ['?on=2025-8-5', PRODUCT, 400, /there is no day 2025-8-5.*Write a day as 2025-08-05/],
    ['?channel=rc%2C', PRODUCT, 400, /“” names no prerelease.*Write stable, all, or names/],
    ['?limit=1001', PRODUCT, 400, /querystring\/limit/],
    ['?channel=rc.1', PRODUCT, 400, /“rc\.1” names no prerelease.*querystring\/channel/],
    ['?since=1', PRODUCT, 400, /querystring/],
  ];
  for (const [query, name, status, says] of wrong) {
    it(`of ${name} with ${query} is ${status}`, async () => {
      const response = await ask(query, name);
      assert.equal(response.statusCode, status);
      assert.match(response.body, says);
    });
  }

  it('without a token is 401', async () => {
    assert.equal((await harness.app.inject({ url: `/api/v1/products/${PRODUCT}/history` })).statusCode, 401);
  });
});

describe('tidegate product history', { concurrency: 2 }, () => {
  const pages: [args: string[], says: RegExp[]][] = [
    [
      [],
      [
        /^collector: highest 1\.18\.1$/m,
        /^ {2}acme\/collector: 115 releases known; 93 tags rejected; tags are read as/m,
        /^ {2}57 of them: stable releases$/m,
        /^ {2}TAG +PUBLISHED +JUMP +STATE$/m,
        /^ {2}v1\.18\.1 +2026-08-06 +patch from 1\.18\.0 +pending$/m,
        /^ {2}v1\.18\.0 +2026-07-20 +minor from 1\.17\.1 +pending$/m,
        /^ {2}and 37 lower: --limit 57$/m,
        /^ {2}20 shown here are pending: no_assets: the release has no assets yet$/m,
        /^ {2}tag syntax\/v0\.1\.0 is rejected: the tag does not fit “v\{version\}”$/m,
        /^ {2}and 88 more tags rejected: --json names 50$/m,
      ],
    ],
    [
      ['--channel', 'rc', '--range', '>=1.4.0-rc.0 <1.5', '--on', '2024-09-25', '--limit', '1'],
      [
        /^collector on 2024-09-25: highest 1\.4\.0$/m,
        /^ {2}5 of them: stable releases and prereleases named rc, in >=1\.4\.0-rc\.0 <1\.5,$/m,
        /^ {2}v1\.4\.0 +2024-09-25 +minor from 1\.3\.3 +pending$/m,
        /^ {2}v1\.4\.0 is pending: no_assets/m,
      ],
    ],
    [
      ['--channel', 'stable,RC', '--limit', '1'],
      [/^ {2}no prerelease is named stable or RC; there are: rc; stable releases are among/m],
    ],
    [
      ['--on', '2024-01-01'],
      [/^collector on 2024-01-01: no release to pick$/m, /^ {2}0 of them: stable releases/m],
    ],
  ];
  for (const [args, says] of pages) {
    it(`${args.join(' ')} fits 80 columns and says what was read`, async () => {
      const { code, out, err } = await run(['product', 'history', PRODUCT, ...args], env);
      assert.equal(code, 0, err);
      for (const line of out.split('\n')) assert.ok(columns(line) <= 80, line);
      for (const pattern of says) assert.match(out, pattern);
    });
  }

  it('--json has every row', async () => {
    const { out } = await run(['product', 'history', PRODUCT, '--channel', 'all', '--json'], env);
    assert.equal((JSON.parse(out) as ProductHistoryReply).rows.length, 115);
  });

  it('refuses a wrong limit and a wrong range', async () => {
    assert.equal((await run(['product', 'history', PRODUCT, '--limit', '0'], env)).code, 2);
    const { code, err } = await run(['product', 'history', PRODUCT, '--range', '>>1'], env);
    assert.equal(code, 3);
    assert.match(err, /not a range of the scheme semver/);
    const day = await run(['product', 'history', PRODUCT, '--on', '2025-8-5'], env);
    assert.match(day.err, /there is no day 2025-8-5[\s\S]*Write a day as 2025-08-05/);
    assert.doesNotMatch(day.err, /\^\[/);
  });
});
