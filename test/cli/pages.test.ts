// The pages of agents, regions, availability and lanes at 80 columns: aligned, in order, nothing of a reason cut off.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { agentsPage } from '../../src/cli/agents-page.ts';
import { availabilityPage } from '../../src/cli/availability-page.ts';
import { createdPage } from '../../src/cli/created-page.ts';
import { haltedHint } from '../../src/cli/quarantine-page.ts';
import { regionsPage } from '../../src/cli/regions-page.ts';
import { columns } from '../../src/cli/render.ts';
import { rolloutPage } from '../../src/cli/rollout-page.ts';
import { rolloutLines, statusPage, troubleOf } from '../../src/cli/status-page.ts';
import type {
  AgentView,
  AvailabilityView,
  LaneView,
  RegionView,
  RolloutView,
  StatusReply,
} from '../../src/protocol/operator.ts';

const NOW = Date.UTC(2026, 0, 5, 12);
const MINUTE = 60_000;
const STYLE = { width: 80, paint: (_: string, text: string) => text };

function agent(name: string, region: string, overrides: Partial<AgentView> = {}): AgentView {
  return {
    id: `id-of-${name}-${region}`,
    name,
    region,
    platform: 'linux-x64',
    products: [{ product: 'agentd', version: '1.0.0', digest: 'a'.repeat(64) }],
    health: { status: 'ok', reason: null },
    enrolledAt: NOW,
    lastSeenAt: NOW - 5000,
    attempts: [],
    ...overrides,
  };
}

describe('agentsPage', () => {
  it('has a row for each product, in order, and says below what ails an agent', () => {
    const busy = agent('edge-02', 'eu', {
      products: [
        { product: 'proxyd', version: '3.3.1611.0', digest: '' },
        { product: 'agentd', version: '1.0.0', digest: '' },
      ],
      attempts: [{ id: 'x', product: 'proxyd', version: '3.4.0', state: 'staged' }],
      health: { status: 'unhealthy', reason: `the disk is full: ${'very '.repeat(16)}full` },
    });
    const bare = agent('edge-03', 'ap', { products: [], lastSeenAt: null });
    const lines = agentsPage([busy, agent('edge-01', 'eu'), bare], { more: false, now: NOW }, STYLE);
    assert.deepEqual(lines, [
      'NAME     REGION  PRODUCT  VERSION     ATTEMPT       HEALTH     SEEN',
      'edge-03  ap               nothing                   ok         never',
      'edge-01  eu      agentd   1.0.0                     ok         5s ago',
      'edge-02  eu      agentd   1.0.0                     unhealthy  5s ago',
      '                 proxyd   3.3.1611.0  staged 3.4.0',
      '  unhealthy: the disk is full: very very very very very very very very very very',
      '    very very very very very very full',
      '',
      '3 agents',
    ]);
  });

  it('says who has pinned an agent and why; labels have a column where there is room, else a line', () => {
    const pin = { product: 'agentd', version: '1.0.0', actor: 'anna', reason: 'kernel bug 4711', at: NOW - MINUTE };
    const pinned = agent('edge-01', 'eu', { pins: [pin], labels: { ring: 'canary', site: 'lab' } });
    assert.deepEqual(agentsPage([pinned], { more: false, now: NOW }, STYLE).slice(0, 4), [
      'NAME     REGION  VERSION  ATTEMPT  HEALTH  SEEN',
      'edge-01  eu      1.0.0             ok      5s ago',
      '  labels ring=canary, site=lab',
      '  pinned at agentd 1.0.0 by anna 1m ago: kernel bug 4711',
    ]);
    assert.deepEqual(agentsPage([pinned], { more: false, now: NOW }, { ...STYLE, width: 100 }).slice(0, 2), [
      'NAME     REGION  VERSION  ATTEMPT  HEALTH  SEEN    LABELS',
      'edge-01  eu      1.0.0             ok      5s ago  ring=canary, site=lab',
    ]);
  });

  it('shows facts where they were asked for', () => {
    const told = agent('edge-01', 'eu', { facts: { os: 'debian', kernel: '6.1' } });
    assert.equal(agentsPage([told], { more: false, now: NOW }, STYLE)[2], '  facts kernel 6.1, os debian');
  });

  it('names one product in no row, and no other product when one is asked for', () => {
    const both = agent('a', 'eu', {
      products: [
        { product: 'agentd', version: '1.0.0', digest: '' },
        { product: 'proxyd', version: '2.0.0', digest: '' },
      ],
    });
    const [head, row] = agentsPage([both], { product: 'proxyd', more: false, now: NOW }, STYLE);
    assert.deepEqual(
      [head, row],
      ['NAME  REGION  VERSION  ATTEMPT  HEALTH  SEEN', 'a     eu      2.0.0             ok      5s ago'],
    );
  });

  it('says how to see more, and why nothing is seen', () => {
    const shown = { region: 'eu', more: true, now: NOW };
    assert.equal(
      agentsPage([agent('a', 'eu')], shown, STYLE).at(-1),
      '1 agent in eu shown; there are more: see them with --limit 10 or --product',
    );
    assert.deepEqual(agentsPage([], { ...shown, product: 'agentd' }, STYLE), ['no agent in eu with agentd']);
  });
});

it('troubleOf: a veto is the answer, other reasons stand behind the state', () => {
  const release = { tag: 'v1.2.0', state: 'complete' };
  assert.equal(troubleOf({ ...release, why: 'vetoed: it crashes' }), 'v1.2.0 is vetoed: it crashes');
  assert.equal(troubleOf({ ...release, state: 'pending', why: 'no file' }), 'v1.2.0 is pending: no file');
});

describe('regionsPage', () => {
  const region = (name: string, overrides: Partial<RegionView> = {}): RegionView => ({
    name,
    timeZone: 'Europe/Berlin',
    mirror: false,
    agents: { enrolled: 12, present: 11 },
    window: { open: true, reason: null, detail: null, changesAt: null },
    lanes: [],
    ...overrides,
  });
  it('says below each region when its window changes, why it is closed, and what goes on', () => {
    const lane = { product: 'agentd', version: '1.1.0', rollout: 'x', wave: 1, state: 'approval', step: 0, steps: 3 };
    const closing = { open: true, reason: null, detail: null, changesAt: NOW + 90 * MINUTE };
    const frozen = {
      open: false,
      reason: 'frozen',
      detail: 'new year, until 2026-01-06',
      changesAt: NOW + 720 * MINUTE,
    };
    const shut = { open: false, reason: 'outside_window', detail: 'no window is configured', changesAt: null };
    const regions = [
      region('eu', { window: closing, lanes: [lane], mirror: true }),
      region('ap-southeast-1', { timeZone: 'Australia/Sydney', window: frozen }),
      region('us', { window: shut, agents: { enrolled: 0, present: 0 } }),
    ];
    const brake = { scope: 'region:us', actor: 'anna', reason: 'network work', at: NOW - 10 * MINUTE };
    assert.deepEqual(regionsPage({ now: NOW, regions }, [brake], STYLE), [
      'BRAKE on region us, set by anna 10m ago: network work',
      'REGION          ZONE              PRESENT   RELEASES FROM  WINDOW',
      'eu              Europe/Berlin     11 of 12  its mirror     open',
      '  the window closes 2026-01-05 13:30:00Z (in 1h 30m)',
      '  agentd@1.1.0 is waiting for approval, step 1 of 3, wave 2',
      'ap-southeast-1  Australia/Sydney  11 of 12  GitHub         closed',
      '  nothing starts until 2026-01-06 00:00:00Z (in 12h); freeze: new year, until',
      '    2026-01-06',
      'us              Europe/Berlin     0 of 0    GitHub         closed',
      '  nothing starts; window closed: no window is configured',
    ]);
  });
});

describe('availabilityPage', () => {
  const row = (region: string, platform: string, overrides: Partial<AvailabilityView> = {}): AvailabilityView => ({
    product: 'agentd',
    version: '1.1.0',
    region,
    platform,
    status: 'available',
    why: 'HTTP 200',
    since: NOW - 90 * MINUTE,
    checkedAt: NOW - 12_000,
    ...overrides,
  });
  it('has every region and platform in order; what nobody has looked for is unknown, never absent', () => {
    const why = 'not confirmed for more than 600 s; last seen: HTTP 200 with the size of the artifact';
    const availability = [
      row('us', 'linux-x64', { status: 'unknown', why }),
      row('eu', 'linux-x64'),
      row('eu', 'linux-arm64', { status: 'absent', why: 'HTTP 404' }),
      row('us', 'linux-arm64'),
      row('eu', 'linux-x64', { version: '1.0.0' }),
    ];
    const lines = availabilityPage({ now: NOW, availability, more: true }, ['eu', 'us', 'ap'], STYLE);
    assert.deepEqual(lines, [
      'agentd 1.1.0: available in 2 of 6 regions and platforms, absent in 1, unknown in',
      '  3',
      '  REGION  PLATFORM     STATUS     FOR     ASKED    WHY',
      '  eu      linux-arm64  absent     1h 30m  12s ago  HTTP 404',
      '  eu      linux-x64    available  1h 30m  12s ago  HTTP 200',
      '  us      linux-arm64  available  1h 30m  12s ago  HTTP 200',
      '  us      linux-x64    unknown    1h 30m  12s ago  not confirmed for more than',
      '                                                   600 s; last seen: HTTP 200',
      '                                                   with the size of the artifact',
      '  ap      linux-arm64  unknown                     not looked for yet',
      '  ap      linux-x64    unknown                     not looked for yet',
      '',
      'agentd 1.0.0: available in 1 of 3 regions, unknown in 2',
      '  REGION  PLATFORM   STATUS     FOR     ASKED    WHY',
      '  eu      linux-x64  available  1h 30m  12s ago  HTTP 200',
      '  us      linux-x64  unknown                     not looked for yet',
      '  ap      linux-x64  unknown                     not looked for yet',
      '',
      'there is more: name a release with --product and --version',
    ]);
  });

  it('shows when a mirror was asked last, and when what it said was written down', () => {
    const rows = [row('eu', 'linux-x64', { askedAt: NOW - 2000 }), row('us', 'linux-x64', { askedAt: null })];
    const lines = availabilityPage({ now: NOW, availability: rows, more: false }, ['eu', 'us'], STYLE);
    assert.deepEqual(lines.slice(1), [
      '  REGION  PLATFORM   STATUS     FOR     ASKED   WHY',
      '  eu      linux-x64  available  1h 30m  2s ago  HTTP 200; written 12s ago',
      '  us      linux-x64  available  1h 30m          HTTP 200; written 12s ago',
    ]);
  });

  it('puts a reason below its row where the names leave no room', () => {
    const long = row('ap-southeast-1-zone-2', 'linux-arm64-musl', { status: 'absent', why: 'strange '.repeat(12) });
    const lines = availabilityPage({ now: NOW, availability: [long], more: false }, [long.region], STYLE);
    assert.ok(lines.every((line) => columns(line) <= 80));
    assert.equal(lines.join(' ').split('strange').length - 1, 12);
  });
});

function lane(region: string, wave: number, state: string, overrides: Partial<LaneView> = {}): LaneView {
  return {
    id: region,
    region,
    wave,
    state,
    sentence: `is ${state}`,
    since: NOW - MINUTE,
    step: null,
    next: null,
    steps: [],
    attempts: {},
    hold: null,
    holds: [],
    ...overrides,
  };
}

function rollout(lanes: LaneView[], overrides: Partial<RolloutView> = {}): RolloutView {
  const facts = { id: '019b', product: 'agentd', version: '1.1.0', state: 'active', policy: 'careful' };
  return { ...facts, createdAt: NOW - MINUTE, endedAt: null, lanes, ...overrides };
}

const STEP = { step: 0, state: 'x', size: 120, succeeded: 110, bad: 1, hot: 10, pending: 3, budget: 3, detects: 0.03 };
const STEPS = [STEP, { ...STEP, step: 1, size: 0 }];
const HOLD = { reason: 'previous_wave', sentence: 'an earlier wave has not completed', since: NOW, until: null };

describe('lanes of a rollout', () => {
  const lanes = [
    lane('eu-central-1', 0, 'completed'),
    lane('us-east-1', 1, 'soaking', { step: 0, steps: STEPS, next: 'after the soak step 2 of 2 opens' }),
    lane('ap-southeast-1', 2, 'waiting', { hold: HOLD, sentence: HOLD.sentence }),
  ];

  it('status shows the wave of what is in no step, and what comes next', () => {
    const lines = rolloutLines(rollout(lanes), NOW, STYLE).slice(2);
    assert.deepEqual(
      lines.map((line) => line.replace(/(\S) +/g, '$1 ')),
      [
        '  eu-central-1 completed wave 1 since 1m',
        '  us-east-1 soaking step 1/2 110/120 ok, bad 1/3, 10 hot since 1m',
        '    next: after the soak step 2 of 2 opens',
        '  ap-southeast-1 waiting wave 3 since 1m',
        '    held 0s: an earlier wave has not completed',
      ],
    );
    assert.ok(
      lines.every((line) => columns(line) <= 80),
      lines.join('\n'),
    );
    const wide = rolloutLines(rollout(lanes), NOW, { ...STYLE, width: 120 });
    assert.ok(
      wide.some((line) => /^ {2}wave 2 {2}us-east-1 +soaking +step 1\/2 /.test(line)),
      wide.join('\n'),
    );
    const [only] = rolloutLines(rollout([lane('eu', 0, 'waiting')]), NOW, STYLE).slice(2);
    assert.equal(only, '  eu  waiting      since 1m');
  });

  it('rollout show says once why a lane waits, and what a person can do', () => {
    const hold = { reason: 'needs_approval', sentence: 'a person must promote the step', since: NOW, until: null };
    const next = 'a person promotes step 1; then step 2 of 2 opens';
    const asking = lane('eu', 0, 'approval', { step: 0, steps: STEPS, next, hold });
    const text = rolloutPage(rollout([asking, ...lanes.slice(2)]), NOW, STYLE).join('\n');
    assert.match(text, /\n {2}to do: tidegate rollout promote agentd@1\.1\.0 --region eu --step 1 --reason/);
    assert.match(text, /\n {2}next: a person promotes step 1; then step 2 of 2 opens\n/);
    assert.equal(text.split(HOLD.sentence).length - 1, 1);
  });
});

describe('whom a release passes over', () => {
  const sentence = 'the host does not meet what the release requires: kernel: wanted at least 5.10, found 4.19';
  const passedOver = [
    { reason: 'requirement_unmet', sentence, agents: 2 },
    { reason: 'away', sentence: 'silent, brought to it when they return', agents: 1 },
  ];
  const view = rollout([lane('eu', 0, 'completed', { passedOver })], { endedAt: NOW, state: 'completed' });

  it('rollout show says how many and why', () => {
    const lines = rolloutPage(view, NOW, STYLE);
    assert.deepEqual(lines.slice(-3), [
      '  passed over: 2 agents: the host does not meet what the release requires:',
      '    kernel: wanted at least 5.10, found 4.19',
      '  passed over: 1 agent: silent, brought to it when they return',
    ]);
  });

  it('status says it in one line, also of a rollout that has ended', () => {
    const parts = 'passed over: 2 agents requirement unmet, 1 agent silent';
    assert.equal(rolloutLines(view, NOW, STYLE)[1], `  eu ${parts}`);
    assert.equal(rolloutLines({ ...view, endedAt: null }, NOW, STYLE).at(-1), `    ${parts}`);
  });
});

describe('what rollout show says of a step and of holds', () => {
  const page = (step: Partial<typeof STEP>) =>
    rolloutPage(rollout([lane('eu', 0, 'open', { steps: [{ ...STEP, ...step }] })]), NOW, STYLE).join('\n');

  it('the rate that it detects, where it is clean and large enough', () => {
    assert.match(page({ bad: 0 }), /detects failure rates ≥ 3\.0 %/);
    assert.doesNotMatch(page({ bad: 1 }), /detects failure rates/);
    assert.doesNotMatch(page({ bad: 0, size: 1, detects: 0.95 }), /detects failure rates/);
  });

  it('who has vetoed it, and how far the way back has come', () => {
    const back = { to: '1.0.0', agents: 3, succeeded: 2, bad: 0, hot: 0, pending: 0 };
    const veto = { automatic: false, actor: 'dana', reason: 'it burns', at: NOW - MINUTE };
    const view = (state: string) => rollout([lane('eu', 0, state, { back })], { veto });
    const lines = rolloutPage(view('rolled_back'), NOW, STYLE);
    assert.equal(lines[3], '  vetoed by dana 1m ago: it burns');
    assert.deepEqual(lines.slice(-2), [
      '  way back: to 1.0.0: 2 of 3 agents brought back, 0 bad, 0 hot, 1 agent could',
      '    not be, or returned later',
    ]);
    assert.match(rolloutLines(view('rolling_back'), NOW, STYLE).join('\n'), /eu {2}rolling_back +2\/3 back, bad 0/);
  });

  it('times in holds in words', () => {
    const holds = [
      { reason: 'previous_wave', ms: MINUTE },
      { reason: 'brand_new', ms: 1000 },
    ];
    const lines = rolloutPage(rollout([lane('eu', 0, 'waiting', { holds })]), NOW, STYLE);
    assert.equal(lines.at(-1), '  time in holds: an earlier wave 1m, brand new 1s');
  });
});

describe('statusPage', () => {
  const product = {
    ...{ name: 'agentd', repository: 'acme/agentd', newest: '1.1.0', releases: 2, rejectedTags: 0 },
    ...{ pending: [], rejected: [], versions: [], hold: null },
    source: { lastSuccessAt: NOW, nextPollAt: null, errorCode: null, error: null },
  };
  const page = (view: RolloutView, agents: StatusReply['agents'] = { enrolled: 3, present: 2 }) =>
    statusPage({ now: NOW, agents, brakes: [], products: [product], rollouts: [view] }, STYLE).join('\n');
  const halted = rollout([lane('eu', 0, 'halted')], { state: 'halted' });
  const veto = { actor: 'dana', reason: 'it burns', at: NOW };

  it('says of the newest release that it was cancelled', () => {
    const cancelled = rollout([lane('eu', 0, 'cancelled')], { state: 'cancelled', endedAt: NOW });
    assert.match(page(cancelled), /^agentd: newest release 1\.1\.0, cancelled: it goes out no more$/m);
    assert.match(page(halted), /^agentd: newest release 1\.1\.0$/m);
  });

  it('says what to do about what is halted, and no retry under a person’s veto', () => {
    assert.match(page(halted), /^ {2}to do: publish a fix, or tidegate rollout retry agentd@1\.1\.0 --region eu/m);
    assert.match(page({ ...halted, veto: { ...veto, automatic: true } }), /rollout retry/);
    const vetoed = page({ ...halted, veto: { ...veto, automatic: false } });
    assert.doesNotMatch(vetoed, /rollout retry/);
    assert.match(
      vetoed.replace(/\n +/g, ' '),
      /lift the veto of dana and retry: tidegate release unveto agentd@1\.1\.0/,
    );
  });

  it('marks the agents that run what is vetoed', () => {
    const pending = [{ tag: 'v1.2.0', version: '1.2.0', state: 'complete', why: 'vetoed: it burns' }];
    const versions = [
      { region: 'eu', version: '1.2.0', agents: 2, present: 2 },
      { region: 'us', version: '1.1.0', agents: 1, present: 1 },
    ];
    const products = [{ ...product, pending, versions }];
    const status = { now: NOW, agents: { enrolled: 3, present: 3 }, brakes: [], products, rollouts: [] };
    const lines = statusPage(status, STYLE);
    assert(lines.includes('  eu  1.2.0  2 agents, 2 present, vetoed'), lines.join('\n'));
    assert(lines.includes('  us  1.1.0  1 agent, 1 present'));
  });

  it('names the regions that the config does not name, where nobody would miss the agents', () => {
    const base = { now: NOW, agents: { enrolled: 3, present: 3 }, brakes: [], products: [], rollouts: [] };
    const lines = statusPage({ ...base, unnamedRegions: [{ region: 'mars', agents: 2 }] }, STYLE);
    assert.match(
      lines.join(' '),
      /2 agents in mars, a region that the config does not name: nothing is\s+let\s+out\s+there/,
    );
  });

  it('counts who has not reported since a restore', () => {
    assert.match(page(halted, { enrolled: 3, present: 2, stale: 1 }), /^1 agent not heard since the database was/m);
    assert.doesNotMatch(page(halted, { enrolled: 3, present: 2, stale: 0 }), /restored/);
  });
});

it('haltedHint: clearing one agent in a halted region lets nobody be tried there', () => {
  const view = rollout([lane('eu', 0, 'halted'), lane('us', 1, 'open')], { state: 'halted' });
  assert.match(
    haltedHint(view, 'eu', STYLE).join(' '),
    /1\.1\.0 is halted in eu.* rollout retry +agentd@1\.1\.0 --region eu/,
  );
  assert.deepEqual(haltedHint(view, 'us', STYLE), []);
  assert.deepEqual(haltedHint(undefined, 'eu', STYLE), []);
});

describe('createdPage', () => {
  const rows: [title: string, rollout: RolloutView, changed: boolean, last: RegExp][] = [
    [
      'a first wave that is held',
      rollout([
        lane('eu', 0, 'waiting', { hold: { ...HOLD, sentence: 'a freeze is in force' } }),
        lane('us', 1, 'waiting'),
      ]),
      true,
      /wave 1 {2}eu {2}waiting {2}a freeze is in force\n.*\nnext: eu opens as soon as nothing holds it; then wave 2 follows: us\nfollow/,
    ],
    [
      'nobody to update',
      rollout([lane('eu', 0, 'completed')], { endedAt: NOW }),
      true,
      /\nnext: nothing; every region is done/,
    ],
    [
      'nobody who could have it',
      rollout(
        [
          lane('eu', 0, 'completed', {
            passedOver: [{ reason: 'pinned', sentence: 'the agent is pinned to its version', agents: 5 }],
          }),
        ],
        { endedAt: NOW },
      ),
      true,
      /5 agents left out: the agent is pinned/,
    ],
    [
      'one that is done',
      rollout([lane('eu', 0, 'completed')], { endedAt: NOW, state: 'completed' }),
      false,
      /^nothing changed/,
    ],
    [
      'one that is halted',
      rollout([lane('eu', 0, 'halted')], { state: 'halted' }),
      false,
      /\nto do: .*tidegate rollout retry agentd@1\.1\.0/,
    ],
    [
      'one that has halted on its way back',
      rollout([lane('eu', 0, 'halted', { back: { to: null, agents: 3, succeeded: 0, bad: 1, hot: 0, pending: 0 } })], {
        state: 'halted',
      }),
      false,
      /\nto do: tidegate rollout rollback agentd@1\.1\.0/,
    ],
  ];
  for (const [title, view, changed, expected] of rows) {
    it(title, () => assert.match(createdPage({ rollout: view, changed }, NOW, STYLE).join('\n'), expected));
  }
});
