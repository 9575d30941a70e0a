// Windows, freezes, limits, schedules, policies by jump and channels of prereleases, as a config file says them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { calendarsOf, readConfig, rulesOf } from '../../src/config.ts';
import { NO_LIMITS } from '../../src/domain/limits.ts';
import { DAYS } from '../../src/domain/window.ts';
import { refusal, SMALL, write } from './files.ts';

describe('readConfig takes', () => {
  test('windows: days default to all, a window may end at midnight or on the next day', () => {
    const text = withWindows(
      '{ allow: [{ from: 22:00, to: 06:00 }, { days: [sun], from: "00:00", to: "24:00" }], ' +
        'deny: [{ days: [wed, mon], from: 23:59, to: 00:00 }] }',
    );
    assert.deepEqual(read(text).regions[0]?.windows, {
      allow: [
        { days: [...DAYS], from: 1320, to: 360 },
        { days: ['sun'], from: 0, to: 1440 },
      ],
      deny: [{ days: ['wed', 'mon'], from: 1439, to: 0 }],
    });
  });

  test('a window as long as an attempt', () => {
    // 10m to activate, 10m to prove, 1m to be stable.
    const text = withWindows('{ allow: [{ from: "09:00", to: "09:21" }] }');
    assert.equal(read(text).regions[0]?.windows.allow[0]?.to, 561);
  });

  test('a short window where no policy sends releases', () => {
    const text = withWindows('{ allow: [{ from: "09:00", to: "09:05" }] }');
    // What is said then is that the region is in no wave.
    assert.doesNotMatch(refusal(write(text.replace('  plain:\n', '  plain:\n    waves: [[us]]\n'))), /open for/);
    assert.equal(read(text.replace(/products:[\s\S]*/, '')).regions[0]?.windows.allow.length, 1);
  });

  test('a window that several deny in parts', () => {
    read(withWindows('{ allow: [{ from: 09:00, to: 16:00 }], deny: [{ days: [fri], from: 00:00, to: 24:00 }] }'));
    read(withWindows('{ deny: [{ from: 09:00, to: 16:00 }] }'));
  });

  test('freezes of one day, of some regions', () => {
    const text = `freezes:\n  - { from: 2028-02-29, to: 2028-02-29, reason: "leap day", regions: [us, eu] }\n${SMALL}`;
    const expected = [{ from: '2028-02-29', to: '2028-02-29', reason: 'leap day', regions: ['us', 'eu'] }];
    assert.deepEqual(read(text).freezes, expected);
  });

  test('freezes to the minute: instants by the clocks of each region, a last day included', () => {
    const text = `freezes: [{ from: 2026-11-27T08:00, to: 2026-11-28, reason: sale }]\n${SMALL}`;
    assert.deepEqual(read(text).freezes, [
      { fromMs: Date.UTC(2026, 10, 27, 7), toMs: Date.UTC(2026, 10, 28, 23), reason: 'sale', regions: ['eu'] },
      { fromMs: Date.UTC(2026, 10, 27, 13), toMs: Date.UTC(2026, 10, 29, 5), reason: 'sale', regions: ['us'] },
    ]);
    assert.match(
      refusal(write(text.replace('2026-11-28', '2026-11-27T08:00'))),
      /freezes\[0\]\.to: 2026-11-27T08:00 is not after 2026-11-27T08:00; write the time at which it ends/,
    );
    assert.match(refusal(write(text.replace('08:00', '24:00'))), /expected a date as YYYY-MM-DD, or a time/);
  });

  test('limits one by one', () => {
    const none = NO_LIMITS;
    assert.deepEqual(read(`limits: { fleet: 1 }\n${SMALL}`).limits, { ...none, fleet: 1 });
    assert.deepEqual(read(`limits:\n  site: { label: rack, max: 2 }\n${SMALL}`).limits, {
      ...none,
      site: { label: 'rack', max: 2 },
    });
    assert.deepEqual(read(`limits: { downloads: 50, perHour: 20 }\n${SMALL}`).limits, {
      ...none,
      downloads: { fleet: 50, region: null },
      perHour: 20,
    });
    assert.deepEqual(read(`limits: { downloads: { region: 5 }, perDay: 100 }\n${SMALL}`).limits, {
      ...none,
      downloads: { fleet: null, region: 5 },
      perDay: 100,
    });
  });

  test('who begins a rollout', () => {
    const begins = (text: string) => read(text).policies['plain']?.begin;
    assert.equal(begins(SMALL), 'auto');
    assert.equal(begins(SMALL.replace('  plain:\n', '  plain:\n    begin: manual\n')), 'manual');
    const wrong = refusal(write(SMALL.replace('  plain:\n', '  plain:\n    begin: by-hand\n')));
    assert.match(wrong, /policies\.plain\.begin: expected one of auto, manual, got "by-hand"/);
  });

  test('a schedule, with its blanks put in order', () => {
    const { policies } = read(withSchedule('{ cron: " 0  9 29 2 * ", timeZone: Asia/Tokyo }'));
    assert.deepEqual(policies['plain']?.schedule, { cron: '0 9 29 2 *', timeZone: 'Asia/Tokyo' });
  });

  test('prereleases of some names', () => {
    assert.deepEqual(read(withProduct('prereleases: [rc, beta]')).products[0]?.prereleases, ['rc', 'beta']);
    assert.deepEqual(read(withProduct('prereleases: [rc-broken]')).products[0]?.prereleases, ['rc-broken']);
    assert.equal(read(withProduct('prereleases: true')).products[0]?.prereleases, true);
  });
});

describe('rulesOf', () => {
  test('has the policies of the jumps, and that of major for everything else', () => {
    const config = read(byJump('{ patch: fast, prerelease: fast, major: plain }'));
    const [product] = config.products;
    assert.equal(product?.policy, 'plain');
    assert.deepEqual(product?.policies, { patch: 'fast', prerelease: 'fast', major: 'plain' });
    const { plain, fast } = config.policies;
    assert.deepEqual(rulesOf(config, product), {
      name: 'collector',
      scheme: 'semver',
      accept: null,
      prereleases: false,
      lag: 0,
      from: null,
      floors: [],
      requirements: [],
      unknownBuilds: 'hold',
      policy: plain,
      policies: { patch: fast, prerelease: fast, major: plain },
    });
  });

  test('has one policy where the config names one', () => {
    const config = read(SMALL);
    const rules = rulesOf(config, config.products[0] as never);
    assert.equal(rules.policy.name, 'plain');
    assert.deepEqual(rules.policies, {});
  });
});

test('calendarsOf has each region with its zone and windows, in the order of the config', () => {
  const allow = [{ days: ['tue'], from: 540, to: 960 }];
  assert.deepEqual(calendarsOf(read(withWindows('{ allow: [{ days: [tue], from: "09:00", to: "16:00" }] }'))), [
    { region: 'eu', timeZone: 'Europe/Berlin', windows: { allow, deny: [] } },
    { region: 'us', timeZone: 'America/New_York', windows: { allow: [], deny: [] } },
  ]);
});

describe('readConfig refuses', () => {
  // Title, file, and the problems as they stand in the message, without the file's name.
  const table: [string, string, string[]][] = [
    [
      'words for several days, long names and capitals',
      withWindows('{ allow: [{ days: [weekdays, weekend, Mon], from: "09:00", to: "16:00" }] }'),
      [
        '3:70: regions[0].windows.allow[0].days[0]: expected one of mon, tue, wed, thu, fri, sat, sun, got "weekdays"; one of: mon',
        'days[1]: expected one of mon, tue, wed, thu, fri, sat, sun, got "weekend"',
        'got "Mon"; did you mean "mon"?',
      ],
    ],
    [
      'a day twice, and no days',
      withWindows(
        '{ deny: [{ days: [sun, sun], from: "09:00", to: "16:00" }, { days: [], from: "01:00", to: "02:00" }] }',
      ),
      ['windows.deny[0].days[1]: "sun" stands twice; remove one', 'windows.deny[1].days: the list of days is empty'],
    ],
    [
      'a day as a text in place of a list',
      withWindows('{ allow: [{ days: mon, from: "09:00", to: "16:00" }] }'),
      ['days: expected a list of days, got the text "mon"'],
    ],
    [
      'times that are none',
      withWindows('{ allow: [{ from: "9:00", to: "24:01" }, { from: "24:00", to: 1600 }] }'),
      [
        'allow[0].from: expected a time of day from 00:00 to 23:59, got "9:00"; write hours and minutes with two digits each, e.g. "09:00"',
        'allow[0].to: expected a time of day from 00:00 to 24:00, got "24:01"',
        'allow[1].from: expected a time of day from 00:00 to 23:59, got "24:00"',
        'allow[1].to: expected a time of day from 00:00 to 24:00, got the number 1600',
      ],
    ],
    [
      'a window without an end',
      withWindows('{ allow: [{ from: "09:00" }] }'),
      ['allow[0].to: this key is missing; add it: the time of day at which it ends'],
    ],
    [
      'a window that ends when it begins',
      withWindows('{ deny: [{ from: "09:00", to: "09:00" }] }'),
      ['3:81: regions[0].windows.deny[0].to: it ends when it begins; for whole days write from: "00:00", to: "24:00"'],
    ],
    [
      'a window shorter than an attempt',
      withWindows('{ allow: [{ from: "09:00", to: "09:20" }] }'),
      [
        '3:61: regions[0].windows.allow[0]: open for 20m, but an attempt under the policy "plain" may take 21m; open it for longer, or shorten activateWithin',
      ],
    ],
    [
      'a window over midnight shorter than an attempt',
      withWindows('{ allow: [{ from: "23:50", to: "00:05" }] }'),
      ['open for 15m, but an attempt under the policy "plain" may take 21m'],
    ],
    [
      'a window too short for the policy of one kind of jump alone',
      byJump('{ patch: plain, major: fast }')
        .replace('  fast:\n', '  fast:\n    proveWithin: 2h\n')
        .replace('Europe/Berlin }', 'Europe/Berlin, windows: { allow: [{ from: "09:00", to: "10:00" }] } }'),
      ['open for 1h, but an attempt under the policy "fast" may take 131m'],
    ],
    [
      'a window that another denies as a whole, naming its line',
      withWindows(
        '\n    { allow: [{ days: [mon], from: "09:00", to: "16:00" }, { from: "18:00", to: "19:00" }],\n' +
          '      deny: [{ days: [tue], from: "09:00", to: "16:00" },\n' +
          '             { days: [mon, tue], from: "08:00", to: "17:00" }] }',
      ),
      ['4:15: regions[0].windows.allow[0]: all of it is denied in line 6; remove this window, or shorten the other'],
    ],
    [
      'windows that leave nothing open',
      withWindows('{ deny: [{ from: "06:00", to: "18:00" }, { from: "18:00", to: "06:00" }] }'),
      ['3:51: regions[0].windows: together they leave no minute of the week open; deny less'],
    ],
    [
      'windows that leave too little open in one go',
      withWindows('{ allow: [{ from: "09:00", to: "10:00" }], deny: [{ from: "09:10", to: "09:45" }] }'),
      ['together they leave open at most 15m, but an attempt under the policy "plain" may take 21m'],
    ],
    [
      'a freeze of days that are not in the calendar',
      `freezes:\n  - { from: 2026-02-29, to: 2026-04-31, reason: x }\n  - { from: 20.12.2026, to: "2026-1-3", reason: x }\n${SMALL}`,
      [
        '2:13: freezes[0].from: there is no day 2026-02-29; that month has 28 days',
        '2:29: freezes[0].to: there is no day 2026-04-31; that month has 30 days',
        '3:13: freezes[1].from: expected a date as YYYY-MM-DD, or a time as YYYY-MM-DDTHH:MM, got "20.12.2026"; write e.g. 2026-12-20',
        '3:29: freezes[1].to: expected a date as YYYY-MM-DD, or a time as YYYY-MM-DDTHH:MM, got "2026-1-3"',
      ],
    ],
    [
      'a freeze that ends before it begins',
      `freezes: [{ from: 2027-01-03, to: 2026-12-20, reason: x }]\n${SMALL}`,
      ['1:35: freezes[0].to: 2026-12-20 is before 2027-01-03, the first day; write the last day here'],
    ],
    [
      'a freeze without a reason, or with an empty one',
      `freezes: [{ from: 2026-12-20, to: 2026-12-21 }, { from: 2026-12-20, to: 2026-12-21, reason: " " }]\n${SMALL}`,
      [
        '1:11: freezes[0].reason: this key is missing; add it: what a person is told',
        'freezes[1].reason: expected a reason in one line (1 to 200 characters), got " "',
      ],
    ],
    [
      'a freeze of an unknown region, and of one twice',
      `freezes: [{ from: 2026-12-20, to: 2026-12-21, reason: x, regions: [eu, uss, eu] }]\n${SMALL}`,
      [
        '1:72: freezes[0].regions[1]: there is no region "uss"; did you mean "us"?',
        '1:77: freezes[0].regions[2]: the region "eu" stands twice; remove one',
      ],
    ],
    [
      'limits that are none',
      `limits: { fleet: 0, region: 1.5, site: { lable: site, max: 1 } }\n${SMALL}`,
      [
        '1:18: limits.fleet: expected a whole number from 1 to 1000000, got the number 0',
        'limits.region: expected a whole number from 1 to 1000000, got the number 1.5',
        'limits.site.label: this key is missing',
        'limits.site.lable: unknown key; did you mean "label"?',
      ],
    ],
    [
      'downloads and ceilings that are none',
      `limits: { downloads: 0, perHour: 2h, perDay: -1 }\n${SMALL}`,
      [
        '1:22: limits.downloads: expected a whole number from 1 to 1000000, got the number 0',
        'limits.perHour: expected a whole number from 1 to 1000000, got the text "2h"',
        'limits.perDay: expected a whole number from 1 to 1000000, got the number -1',
      ],
    ],
    [
      'a ceiling of a day below that of an hour',
      `limits: { perHour: 20, perDay: 10, downloads: { site: 1 } }\n${SMALL}`,
      [
        '1:32: limits.perDay: 10 is below limits.perHour, which could never be reached; make it at least 20, or remove perHour',
        'limits.downloads.site: unknown key',
      ],
    ],
    [
      'a schedule beside begin: manual',
      withSchedule('{ cron: "0 9 * * tue", timeZone: Europe/Berlin }').replace(
        '    schedule:',
        '    begin: manual\n    schedule:',
      ),
      [
        '8:15: policies.plain.schedule: begin: manual says already that a person begins each rollout, at whatever time; remove one',
      ],
    ],
    [
      'a schedule that never runs',
      withSchedule('{ cron: "0 9 30 2 *", timeZone: Europe/Berlin }'),
      ['7:23: policies.plain.schedule.cron: "0 9 30 2 *" never runs; name a day that its month has'],
    ],
    ...Object.entries({
      '61 * * * *': '"61" is no minute of a cron expression; write 0 to 59, or e.g. * or */2',
      '0 25 * * tue': '"25" is no hour of a cron expression; write 0 to 23, or e.g. * or */2',
      '0 9 * * someday':
        '"someday" is no day of the week of a cron expression; write 0 to 7 or sun to sat, or e.g. * or */2',
    }).map(([cron, says]): [string, string, string[]] => [
      `the schedule ${cron}`,
      withSchedule(`{ cron: "${cron}", timeZone: Europe/Berlin }`),
      [`policies.plain.schedule.cron: ${says}`],
    ]),
    ...['0 0 9 * * tue', '0 9 * *', '@weekly', '2026-01-01T00:00:00'].map((cron): [string, string, string[]] => [
      `the schedule ${cron}`,
      withSchedule(`{ cron: "${cron}", timeZone: Europe/Berlin }`),
      [
        `policies.plain.schedule.cron: expected a cron expression of five fields, got "${cron}"; ` +
          'write minute, hour, day of month, month, day of week, e.g. "0 9 * * tue"',
      ],
    ]),
    [
      'a schedule without a zone, or in an unknown one',
      withSchedule('{ cron: "0 9 * * tue" }').replace(
        '  plain:',
        '  other:\n    steps: [{ percent: 100 }]\n    schedule: { cron: "0 9 * * tue", timeZone: Europe/Berln }\n  plain:',
      ),
      [
        'policies.other.schedule.timeZone: expected an IANA time zone, got "Europe/Berln"; did you mean Europe/Berlin?',
        'policies.plain.schedule.timeZone: this key is missing; add it: an IANA time zone',
      ],
    ],
    [
      'a policy by jump without major, with an unknown jump',
      byJump('{ patch: fast, mayor: plain }'),
      [
        'products[0].policy.major: this key is missing; add it: the most cautious policy',
        'products[0].policy.mayor: unknown key; did you mean "major"?',
      ],
    ],
    [
      'unknown names in a policy by jump',
      byJump('{ patch: fats, major: plian }'),
      [
        'products[0].policy.patch: there is no policy "fats"; did you mean "fast"?',
        'products[0].policy.major: there is no policy "plian"; did you mean "plain"?',
      ],
    ],
    [
      'a list of policies, or a number',
      SMALL.replace('policy: plain', 'policy: [plain]'),
      ['14:13: products[0].policy: expected a map, got a list; write keys: patch, minor, major, prerelease'],
    ],
    [
      'a number as policy',
      SMALL.replace('policy: plain', 'policy: 5'),
      ['14:13: products[0].policy: expected a name (lower-case letters, digits, . _ -, at most 64), got the number 5'],
    ],
    [
      'a prerelease that is not in a list',
      withProduct('prereleases: rc'),
      [
        'prereleases: expected true, false or a list of identifiers, got the text "rc"; write true, false, or e.g. [rc, beta]',
      ],
    ],
    [
      'prereleases that are no identifiers',
      withProduct('prereleases: [rc.1, 1, ""]'),
      [
        'prereleases[0]: expected the first identifier of a prerelease (letters, digits and hyphens, no dot), got "rc.1"; write e.g. rc',
        'prereleases[1]: expected the first identifier of a prerelease (letters, digits and hyphens, no dot), got the number 1; put it in quotes: "1"',
        'prereleases[2]: expected the first identifier',
      ],
    ],
    ['no prereleases in a list', withProduct('prereleases: []'), ['the list of identifiers is empty']],
    [
      'names of prereleases where versions have none',
      withProduct('scheme: numeric\n    prereleases: [rc]'),
      ['prereleases: versions of the scheme numeric have no identifiers; write true or false'],
    ],
  ];
  for (const [title, text, problems] of table) {
    test(title, () => {
      const file = write(text);
      const message = refusal(file);
      for (const problem of problems) {
        const expected = /^\d+:\d+: /.test(problem) ? `${file}:${problem}` : problem;
        assert.ok(message.includes(expected), `${expected}\nis not in\n${message}`);
      }
      assert.equal(message.split('\n').length - 1, problems.length, `as many problems as expected\n${message}`);
    });
  }
});

function read(text: string) {
  return readConfig({ file: write(text), env: {} });
}

/** SMALL with these windows in its first region. */
function withWindows(windows: string): string {
  return SMALL.replace('Europe/Berlin }', `Europe/Berlin, windows: ${windows} }`);
}

function withSchedule(schedule: string): string {
  return SMALL.replace('  plain:\n', `  plain:\n    schedule: ${schedule}\n`);
}

function withProduct(line: string): string {
  return SMALL.replace('policy: plain', `policy: plain\n    ${line}`);
}

/** SMALL with a second policy, `fast`, and these policies for its product. */
function byJump(policies: string): string {
  return SMALL.replace('policies:\n', 'policies:\n  fast:\n    steps: [{ percent: 100 }]\n').replace(
    'policy: plain',
    `policy: ${policies}`,
  );
}
