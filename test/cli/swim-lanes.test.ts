// The picture of `status --watch` as a table of awkward fleets: what stays, what is left out, and that nothing is too wide.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Value } from 'typebox/value';
import { columns } from '../../src/cli/render.ts';
import { swimLanes } from '../../src/cli/swim-lanes.ts';
import {
  type HoldView,
  type LaneView,
  type ProductView,
  type RolloutView,
  StatusReply,
  type StepView,
} from '../../src/protocol/operator.ts';

const NOW = Date.UTC(2026, 0, 5, 12);
const MINUTE = 60_000;
const plain = (_: string, text: string) => text;

describe('swimLanes', () => {
  it('one rollout in three waves: who runs it, what goes on, why not, what to do', () => {
    const status = reply(
      [
        product(
          'agentd',
          [
            ['eu', '1.2.0', 480],
            ['eu', '1.1.0', 720],
            ['us', '1.1.0', 900],
            ['ap', '1.1.0', 7],
            ['lab', '1.1.0', 12],
          ],
          { baselines: [{ region: 'lab', version: '1.1.0', state: 'open' }] },
        ),
      ],
      [
        rollout('1.2.0', [
          lane('eu', 0, 'open', {
            step: 1,
            steps: steps(1, { size: 800, succeeded: 480, hot: 12, bad: 1, budget: 16 }),
          }),
          lane('us', 1, 'approval', {
            step: 0,
            next: 'a person promotes step 1; then step 2 of 3 opens',
            hold: hold('needs_approval', 'a person must promote the step: step 1'),
          }),
          lane('ap', 2, 'waiting', {
            hold: hold('previous_wave', 'an earlier wave has not completed: us is waiting for approval'),
          }),
        ]),
        ...['1.1.0', '1.0.2', '1.0.1', '1.0.0'].map((version, index) =>
          rollout(version, [], { state: 'completed', endedAt: NOW - (index + 1) * 60 * MINUTE }),
        ),
      ],
    );
    assert.deepEqual(draw(status, 100, 24), [
      '9 agents enrolled, 8 present at 2026-01-05 12:00:00Z; 1 lane needs a look',
      '',
      'agentd 1.2.0: active, policy careful, begun 20m ago',
      '  do: tidegate rollout promote agentd@1.2.0 --region us --step 1 --reason TEXT',
      '  W  REGION  RELEASE  RUN IT             STATE          STEP  OK       BAD   HOT',
      '  1  eu      1.2.0    [####------]  40%  open 5m        2/3   480/800  1/16  12',
      '  2  us      1.2.0    [----------]   0%  to promote 5m  1/3',
      '      held 10m: a person promotes step 1; then step 2 of 3 opens',
      '  3  ap      1.2.0    [----------]   0%  waiting 5m',
      '      held 10m: an earlier wave has not completed: us is waiting for approval',
      '  -  lab     1.1.0    [##########] 100%  baseline',
      '',
      'agentd 1.1.0: completed, ended 1h ago',
      'agentd 1.0.2: completed, ended 2h ago',
      'agentd 1.0.1: completed, ended 3h ago',
    ]);
  });

  it('three rollouts that overlap: each region shows the one that goes on there, the others in a line', () => {
    const text = draw(overlapping(), 120, 30).join('\n');
    assert.match(text, /^agentd: 1\.2\.0 active, 1\.1\.0 active, 1\.0\.0 active$/m);
    assert.match(text, /^ {2}1 +eu +1\.2\.0 .* completed 5m/m);
    assert.match(text, /^ {2}2 +us +1\.2\.0 .* open 5m/m);
    assert.match(text, /^ {2}3 +ap +1\.1\.0 .* soaking 5m/m);
    assert.match(text, /^ {2}4 +sa +1\.0\.0 .* halted 5m/m);
    assert.match(text, /^ {6}until 12:30Z \(in 30m\); after the soak step 2 of 3 opens$/m);
    assert.match(text, /^ {2}behind: 1\.2\.0 is waiting in ap, sa$/m);
    // Older than what follows it: a halted lane gives way by itself.
    assert.doesNotMatch(text, /rollout retry/);
  });

  it('a live lane does not hide that a newer release is halted in its region', () => {
    const older = rollout('1.1.0', [lane('eu', 0, 'open')]);
    const newer = rollout('1.2.0', [lane('eu', 0, 'halted')], { state: 'halted' });
    const text = draw(reply([product('agentd', [])], [newer, older]), 100, 24).join('\n');
    assert.match(text, /^ {2}behind: 1\.2\.0 is halted in eu$/m);
    assert.match(text, /do: publish a fix, or tidegate rollout retry agentd@1\.2\.0 --region eu --reason TEXT/);
  });

  it('60 regions in 24 rows: trouble and what goes on stay, the rest is counted', () => {
    const lines = draw(sixty(), 80, 24);
    const text = lines.join('\n');
    assert.equal(lines.length, 24);
    for (const name of ['r06', 'r07', 'r08']) assert.match(text, new RegExp(`^ {2}2  ${name} .* open 5m`, 'm'));
    for (const name of ['r09', 'r59']) assert.match(text, new RegExp(`${name} .* halted 5m`));
    assert.match(text, /^ {6}halted by system: 2 bad of 2$/m);
    const left = /^ {2}and (\d+) more regions: 6 completed, (\d+) waiting \(agentd\)$/m.exec(text);
    const shown = lines.filter((line) => /^ {2}\d {2}r\d\d/.test(line)).length;
    assert.equal(Number(left?.[1]) + shown, 60, text);
    assert.equal(Number(left?.[2]), Number(left?.[1]) - 6);
    assert.doesNotMatch(draw(sixty(), 80, 200).join('\n'), /more region/);
  });

  it('neighbours held for the same share one remark', () => {
    const remarks = draw(sixty(), 80, 200).filter((line) => line.includes('an earlier wave'));
    assert.equal(remarks.length, 1);
  });

  it('brakes, the source and a stopped baseline come before the lanes, even in six rows', () => {
    const source = { lastSuccessAt: null, nextPollAt: NOW + MINUTE, errorCode: 'github_down', error: 'GitHub is away' };
    const baselines = [{ region: 'eu', version: '1.1.0', state: 'halted' }];
    const status = reply([product('agentd', [], { source, baselines })], [rollout('1.2.0', [lane('eu', 0, 'open')])], {
      brakes: [{ scope: 'region:eu', actor: 'anna', reason: 'stop\u001b[2J', at: NOW - MINUTE }],
    });
    assert.deepEqual(draw(status, 80, 6), [
      '9 agents enrolled, 8 present at 2026-01-05 12:00:00Z',
      'BRAKE on region eu, set by anna 1m ago: stop',
      'agentd 1.2.0: active, policy careful, begun 20m ago',
      '  polling fails: GitHub is away; next poll in 1m',
      '  newcomers are not brought to the baseline, it is halted: eu (1.1.0)',
      '  1  eu      no agents  open 5m',
    ]);
  });

  it('steps that differ are promoted region by region', () => {
    const approval = (region: string, step: number) =>
      lane(region, 0, 'approval', { step, hold: hold('needs_approval', 'x') });
    const two = draw(reply([], [rollout('1.2.0', [approval('eu', 0), approval('us', 0)])]), 120, 30).join('\n');
    assert.match(two, /do: eu, us: tidegate rollout promote agentd@1\.2\.0 --step 1 --reason TEXT/);
    const text = draw(reply([], [rollout('1.2.0', [approval('eu', 0), approval('us', 1)])]), 120, 30).join('\n');
    assert.match(text, /promote agentd@1\.2\.0 --region eu --step 1/);
    assert.match(text, /promote agentd@1\.2\.0 --region us --step 2/);
  });

  it('a promoted lane and one that waits for its window need nobody', () => {
    const lanes = [
      lane('eu', 0, 'approval', { step: 0, hold: hold('outside_window', 'nothing may start in this region now') }),
      lane('us', 0, 'waiting', { hold: hold('frozen', 'a freeze is in force') }),
    ];
    const text = draw(reply([], [rollout('1.2.0', lanes)]), 80, 24).join('\n');
    assert.match(text, /promoted 5m/);
    assert.doesNotMatch(text, /do: |needs a look/);
  });

  it('a reason that it does not know is trouble', () => {
    const text = draw(reply([], [rollout('1.2.0', [lane('eu', 0, 'open', { hold: hold('brand_new', 'x') })])]), 80, 24);
    assert.match(text.join('\n'), /1 lane needs a look[\s\S]*do: eu: see tidegate explain agentd@1\.2\.0 --region eu/);
  });

  it('no product, no region, nothing going on', () => {
    assert.deepEqual(draw(reply([], []), 80, 24), ['9 agents enrolled, 8 present at 2026-01-05 12:00:00Z']);
    const idle = [
      product('agentd', [['eu', '1.0.0', 3]], { hold: hold('vetoed', 'the release is vetoed: 1.1.0') }),
      product('sensor', [], { baselines: [{ region: 'eu', version: '3.0', state: 'open' }] }),
    ];
    assert.deepEqual(draw(reply(idle, []), 80, 24).slice(1), [
      '',
      'agentd: nothing goes on, no baseline, 3 agents, newest release none',
      '  held 10m: the release is vetoed: 1.1.0',
      'sensor: nothing goes on, baseline 3.0 (eu)',
    ]);
    assert.match(draw(reply([], [rollout('1.2.0', [])]), 80, 24).join('\n'), /^agentd 1\.2\.0: active/m);
  });

  it('colours whole lines, and only where it is asked to', () => {
    const paint = (colour: string, text: string) => `<${colour}>${text}`;
    const lines = swimLanes(overlapping(), { width: 80, rows: 24 }, paint);
    assert.ok(
      lines.some((line) => /^<red> {2}4 +sa .*halted/.test(line)),
      lines.join('\n'),
    );
    assert.ok(lines.some((line) => /^<cyan> {2}2 +us /.test(line)));
    assert.ok(lines.every((line) => !line.slice(1).includes('<')));
  });

  describe('fits', () => {
    const fleets: [title: string, status: StatusReply][] = [
      ['nothing', reply([], [])],
      ['sixty regions', sixty()],
      ['three that overlap', overlapping()],
      ['long names', named('eu-central-with-a-name-as-long-as-a-name-may-be-0123456789', '1.2.0-rc.1+build.20260105')],
      ['wide characters', named('東京データセンター第二号館', '一.二.〇')],
      ['escapes', named('eu\u001b[31m\nred', '1.2.0\u202e')],
    ];
    for (const [title, status] of fleets) {
      for (const [width, rows] of [
        [40, 10],
        [80, 24],
        [200, 50],
        [20, 3],
        [1, 1],
        [80, 0],
      ] as const) {
        it(`${title} in ${width}×${rows}`, () => {
          assert.ok(Value.Check(StatusReply, status));
          const lines = draw(status, width, rows);
          assert.ok(lines.length <= rows, lines.join('\n'));
          for (const line of lines) assert.ok(columns(line) <= width && !/[\p{Cc}\u202e]/u.test(line), line);
        });
      }
    }
  });
});

function draw(status: StatusReply, width: number, rows: number): string[] {
  return swimLanes(status, { width, rows }, plain);
}

function reply(products: ProductView[], rollouts: RolloutView[], more: Partial<StatusReply> = {}): StatusReply {
  return { now: NOW, agents: { enrolled: 9, present: 8 }, brakes: [], products, rollouts, ...more };
}

function product(
  name: string,
  versions: [region: string, version: string, agents: number][],
  more: Partial<ProductView> = {},
): ProductView {
  return {
    name,
    repository: `acme/${name}`,
    newest: null,
    releases: 1,
    rejectedTags: 0,
    pending: [],
    rejected: [],
    source: { lastSuccessAt: NOW, nextPollAt: null, errorCode: null, error: null },
    versions: versions.map(([region, version, agents]) => ({ region, version, agents, present: agents })),
    hold: null,
    ...more,
  };
}

function rollout(version: string, lanes: LaneView[], more: Partial<RolloutView> = {}): RolloutView {
  const createdAt = NOW - 20 * MINUTE;
  const same = { product: 'agentd', policy: 'careful', createdAt, endedAt: null };
  return { id: `id-${version}`, version, state: 'active', lanes, ...same, ...more };
}

function lane(region: string, wave: number, state: string, more: Partial<LaneView> = {}): LaneView {
  return {
    id: `${region}-${wave}-${state}`,
    region,
    wave,
    state,
    sentence: `${state} by system: 2 bad of 2`,
    since: NOW - 5 * MINUTE,
    step: null,
    next: null,
    steps: steps(0, {}),
    attempts: {},
    hold: null,
    holds: [],
    ...more,
  };
}

/** Three steps, this one with figures. */
function steps(step: number, figures: Partial<StepView>): StepView[] {
  const none = { state: 'waiting', size: 0, succeeded: 0, bad: 0, hot: 0, pending: 0, budget: 0, detects: 1 };
  return [0, 1, 2].map((index) => ({ step: index, ...none, ...(index === step ? figures : {}) }));
}

function hold(reason: string, sentence: string, until: number | null = null): HoldView {
  return { reason, sentence, since: NOW - 10 * MINUTE, until };
}

function overlapping(): StatusReply {
  const soaking = {
    step: 0,
    next: 'after the soak step 2 of 3 opens',
    hold: hold('soaking', 'the step soaks', NOW + 30 * MINUTE),
  };
  const older = hold('older_lane', 'an older rollout is still live in this region');
  return reply(
    [product('agentd', [['ap', '1.1.0', 3]])],
    [
      rollout('1.2.0', [
        lane('eu', 0, 'completed'),
        lane('us', 1, 'open', { step: 0 }),
        lane('ap', 2, 'waiting', { hold: older }),
        lane('sa', 3, 'waiting', { hold: older }),
      ]),
      rollout('1.1.0', [
        lane('eu', 0, 'completed'),
        lane('us', 1, 'completed'),
        lane('ap', 2, 'soaking', soaking),
        lane('sa', 3, 'superseded'),
      ]),
      rollout('1.0.0', [lane('ap', 2, 'completed'), lane('sa', 3, 'halted', { step: 0 })]),
    ],
  );
}

/** Six have completed, three go on, two are halted, the others wait. */
function sixty(): StatusReply {
  const lanes = Array.from({ length: 60 }, (_, index) => {
    const region = `r${String(index).padStart(2, '0')}`;
    if (index < 6) return lane(region, 0, 'completed');
    if (index < 9) return lane(region, 1, 'open', { step: 0 });
    if (index === 9 || index === 59) return lane(region, index === 9 ? 1 : 2, 'halted', { step: 0 });
    return lane(region, 2, 'waiting', {
      hold: hold('previous_wave', 'an earlier wave has not completed: r06 is open'),
    });
  });
  return reply([product('agentd', [['r06', '1.2.0', 1]])], [rollout('1.2.0', lanes)]);
}

function named(region: string, version: string): StatusReply {
  const figures = { size: 1_000_000, succeeded: 999_999, bad: 1234, budget: 20_000, hot: 1000 };
  const going = lane(region, 0, 'open', {
    step: 1,
    steps: steps(1, figures),
    hold: hold('silent', `${region} is silent`.repeat(9)),
  });
  const versions: [string, string, number][] = [
    [region, version, 999_999],
    [region, '1.1.0', 1],
  ];
  return reply([product('agentd', versions)], [rollout(version, [going, lane(`${region}2`, 1, 'halted')])]);
}
