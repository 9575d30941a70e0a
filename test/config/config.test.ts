// The config reader on real files: the default file, defaults, overrides, secrets, and every way to be refused.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readCliSettings } from '../../src/config/cli-settings.ts';
import { NAME, PLATFORM } from '../../src/config/formats.ts';
import { configJsonSchema } from '../../src/config/shape.ts';
import { type Config, readConfig } from '../../src/config.ts';
import { DAYS } from '../../src/domain/window.ts';
import { AppError } from '../../src/errors.ts';
import { CheckInRequest, Instruction, MAX_WAIT_SECONDS } from '../../src/protocol/agent.ts';
import fc from '../support/fast-check.ts';
import { directory, refusal, SMALL, write } from './files.ts';

const DEFAULT_FILE = fileURLToPath(new URL('../../config/tidegate.yaml', import.meta.url));

describe('readConfig', () => {
  test('reads config/tidegate.yaml as it is', () => {
    const config = readConfig({ file: DEFAULT_FILE, env: {} });
    assert.equal(config.products[0]?.policy, 'careful');
    assert.deepEqual(config.policies['careful']?.waves, [['lab'], ['eu', 'us']]);
    assert.equal(config.server.dataDir, join(dirname(DEFAULT_FILE), 'data'));
  });

  test('reads config/tidegate.yaml with every commented key switched on', () => {
    const whole = '{ steps: [{ percent: 100 }] }';
    writeFileSync(join(directory, 'freezes.ics'), 'BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n');
    const text = readFileSync(DEFAULT_FILE, 'utf8')
      .replace('# accept:', 'accept:')
      .replace('# badCount:', 'badCount:')
      .replace('# mirror:', 'mirror:')
      .replace(/^# (availability|freezes|limits):\n(?:# {3}.*\n)+/gm, (lines) => lines.replace(/^# /gm, ''))
      .replace(/^ {4}# windows:\n(?: {4}# {3}.*\n)+/m, (lines) => lines.replace(/^ {4}# /gm, '    '))
      .replace('# schedule:', 'schedule:')
      .replace('    policy: careful\n', '')
      .replace('# policy: {', 'policy: {')
      .replace(/^policies:\n/m, `policies:\n  fast: ${whole}\n  standard: ${whole}\n`)
      .replace('# staleAfter:', 'staleAfter:')
      .replace('# token:', 'token:')
      .replace('# apiUrl:', 'apiUrl:')
      .replace('# promotion: manual ', 'promotion: manual #')
      .replace('# budget: strict ', 'budget: strict #')
      .replace('# behindProxy:', 'behindProxy:')
      .replace('# database: sqlite', 'database: sqlite');
    const config = readConfig({ file: write(text), env: { GITHUB_TOKEN: 'ghp_x' } });
    assert.equal(config.products[0]?.accept, '>=1.4 <3');
    assert.equal(config.policies['careful']?.badCount, 3);
    assert.equal(config.policies['careful']?.steps[2]?.manual, true);
    assert.equal(config.policies['careful']?.steps[2]?.budget, 'strict');
    assert.equal(config.github.token, 'ghp_x');
    assert.equal(config.regions[2]?.mirror, 'https://mirror.us.example/{product}/{version}/{asset}');
    assert.deepEqual(config.regions[2]?.windows, {
      allow: [{ days: ['mon', 'tue', 'wed', 'thu'], from: 540, to: 960 }],
      deny: [{ days: [...DAYS], from: 690, to: 780 }],
    });
    assert.deepEqual(config.freezes, [
      { from: '2026-12-20', to: '2027-01-03', reason: 'year end', regions: null },
      { from: '2026-11-26', to: '2026-11-27', reason: 'holidays', regions: ['us'] },
      { fromMs: Date.UTC(2026, 10, 27, 7), toMs: Date.UTC(2026, 10, 27, 19), reason: 'sale', regions: ['lab', 'eu'] },
      { fromMs: Date.UTC(2026, 10, 27, 13), toMs: Date.UTC(2026, 10, 28, 1), reason: 'sale', regions: ['us'] },
    ]);
    assert.deepEqual(config.limits, {
      fleet: 50,
      region: 20,
      site: { label: 'site', max: 1 },
      downloads: { fleet: 200, region: 50 },
      perHour: 200,
      perDay: 1000,
    });
    assert.deepEqual(config.policies['careful']?.schedule, { cron: '0 9 * * tue', timeZone: 'Europe/Berlin' });
    assert.deepEqual(config.products[0]?.policies, {
      patch: 'fast',
      minor: 'standard',
      major: 'careful',
      prerelease: 'fast',
    });
    // What is commented out shows the default.
    const { availability } = readConfig({ file: write(SMALL), env: {} });
    assert.match(text, /^availability:\n {2}every: 30s +#/m);
    assert.deepEqual(config.availability, availability);
  });

  test('takes a mirror, and how mirrors are asked', () => {
    const mirror = 'http://127.0.0.1:8081/{region}/{tag}/{platform}';
    const text = `availability: { every: 1s, timeout: 200ms, maxAge: 10s, perHost: 1, total: 2 }\n${withMirror(mirror)}`;
    const config = readConfig({ file: write(text), env: {} });
    assert.deepEqual(config.availability, { everyMs: 1000, timeoutMs: 200, maxAgeMs: 10_000, perHost: 1, total: 2 });
    assert.equal(config.regions[0]?.mirror, mirror);
    assert.equal(config.regions[1]?.mirror, null);
    const byHost = 'https://{region}.mirror.example/{asset}';
    assert.equal(readConfig({ file: write(withMirror(byHost)), env: {} }).regions[0]?.mirror, byHost);
  });

  test('fills in every default', () => {
    const file = write(SMALL);
    const here = dirname(file);
    const expected: Config = {
      file,
      server: { host: '127.0.0.1', port: 8420, tls: null, dataDir: join(here, 'data'), behindProxy: false },
      database: `sqlite:${join(here, 'data', 'tidegate.db')}`,
      github: { apiUrl: 'https://api.github.com', token: null, poll: '*/5 * * * *' },
      agents: { pollMs: 60_000, maxWaitMs: 25_000 },
      availability: { everyMs: 30_000, timeoutMs: 5000, maxAgeMs: 600_000, perHost: 4, total: 16 },
      metrics: null,
      regions: [
        { name: 'eu', timeZone: 'Europe/Berlin', mirror: null, windows: { allow: [], deny: [] } },
        { name: 'us', timeZone: 'America/New_York', mirror: null, windows: { allow: [], deny: [] } },
      ],
      products: [
        {
          name: 'collector',
          repository: 'example/collector',
          scheme: 'semver',
          tags: ['v{version}'],
          accept: null,
          prereleases: false,
          lag: 0,
          from: null,
          floors: [],
          requirements: [],
          unknownBuilds: 'hold',
          artifacts: [{ platform: 'linux-x64', asset: 'collector-{version}.tar.gz' }],
          policy: 'plain',
          policies: {},
        },
      ],
      policies: {
        plain: {
          name: 'plain',
          waves: [['eu'], ['us']],
          steps: [
            { labels: null, count: null, percent: 10, min: 1, soakMs: 900_000, manual: false, budget: 'strict' },
            { labels: null, count: null, percent: 100, min: 1, soakMs: 900_000, manual: false, budget: 'loose' },
          ],
          doneRatio: 9000,
          badRatio: 200,
          minSample: 20,
          badCount: null,
          maxHot: 10,
          attemptsPerAgent: 2,
          unhealthy: 'hold',
          supersede: 'replace-unstarted',
          onHalt: 'hold',
          maxSkips: 3,
          minAgeMs: 0,
          metrics: [],
          begin: 'auto',
          schedule: null,
          approvals: { approvers: 1, expireMs: 604_800_000 },
          baseline: { maxHot: 5, badCount: 3, windowMs: 86_400_000 },
          staleAfterMs: 600_000,
          stageWithinMs: 1_800_000,
          activateWithinMs: 600_000,
          proveWithinMs: 600_000,
          stableForMs: 60_000,
        },
      },
      freezes: [],
      calendars: [],
      limits: {
        fleet: null,
        region: null,
        site: null,
        downloads: { fleet: null, region: null },
        perHour: null,
        perDay: null,
      },
    };
    assert.deepEqual(readConfig({ file, env: {} }), expected);
  });

  test('is frozen throughout', () => {
    const config = readConfig({ file: write(SMALL), env: {} });
    assert.throws(() => config.products.push(config.products[0] as never), TypeError);
    assert.throws(() => (config.policies['plain'] as { waves: string[][] }).waves[0]?.push('x'), TypeError);
    assert.throws(() => Object.assign(config.server, { port: 1 }), TypeError);
  });

  test('staleAfter is three poll intervals where these are long', () => {
    const config = readConfig({ file: write(`agents: { pollInterval: 10m }\n${SMALL}`), env: {} });
    assert.equal(config.policies['plain']?.staleAfterMs, 1_800_000);
  });

  const TAGS: [keys: string, tags: string[]][] = [
    ['tagPrefix: ""', ['{version}']],
    ['tagPrefix: agent/v', ['agent/v{version}']],
    ['tags: "v{version}"', ['v{version}']],
    ['tags: ["v{version}", "{version}", "helm-chart/{version}"]', ['v{version}', '{version}', 'helm-chart/{version}']],
  ];
  for (const [keys, tags] of TAGS) {
    test(`reads ${keys} as ${JSON.stringify(tags)}`, () => {
      const file = write(SMALL.replace('policy: plain', `policy: plain\n    ${keys}`));
      assert.deepEqual(readConfig({ file, env: {} }).products[0]?.tags, tags);
    });
  }

  test('takes the four overrides from the environment, and no other', () => {
    const env = {
      TIDEGATE_DATABASE: 'postgresql://u:pw@db/tidegate',
      TIDEGATE_LISTEN: '[::1]:9000',
      TIDEGATE_DATA_DIR: join(directory, 'elsewhere'),
      TIDEGATE_GITHUB_API: 'http://127.0.0.1:4000/',
      TIDEGATE_POLL: '* * * * *',
    };
    const config = readConfig({ file: write(SMALL), env });
    assert.equal(config.database, 'postgres://u:pw@db/tidegate');
    assert.equal(config.server.host, '::1');
    assert.equal(config.server.port, 9000);
    assert.equal(config.server.dataDir, join(directory, 'elsewhere'));
    assert.equal(config.github.apiUrl, 'http://127.0.0.1:4000');
    assert.equal(config.github.poll, '*/5 * * * *');
  });

  test('takes the database beside an overridden dataDir, and an empty variable as not set', () => {
    const env = { TIDEGATE_DATA_DIR: directory, TIDEGATE_LISTEN: '' };
    const config = readConfig({ file: write(SMALL), env });
    assert.equal(config.database, `sqlite:${join(directory, 'tidegate.db')}`);
    assert.equal(config.server.port, 8420);
  });

  test('reads secrets from a variable or a file beside the config', () => {
    writeFileSync(join(directory, 'token.txt'), 'ghp_fromfile\n');
    const fromFile = readConfig({ file: write(`github: { token: "file:token.txt" }\n${SMALL}`), env: {} });
    assert.equal(fromFile.github.token, 'ghp_fromfile');
    const text = `github: { token: "env:T" }\ndatabase: env:DB\n${SMALL}`;
    const fromEnv = readConfig({ file: write(text), env: { T: 'ghp_fromenv', DB: 'postgres://u:pw@h/x' } });
    assert.equal(fromEnv.github.token, 'ghp_fromenv');
    assert.equal(fromEnv.database, 'postgres://u:pw@h/x');
  });

  test('takes a section without a value as not there', () => {
    assert.equal(readConfig({ file: write(`github:\nserver:\n${SMALL}`), env: {} }).server.port, 8420);
  });

  test('listens on any address with TLS, or behind a proxy', () => {
    writeFileSync(join(directory, 'server.pem'), '');
    const tls = 'server: { listen: "0.0.0.0:443", tls: { certFile: server.pem, keyFile: server.pem } }\n';
    assert.deepEqual(readConfig({ file: write(tls + SMALL), env: {} }).server.tls, {
      certFile: join(directory, 'server.pem'),
      keyFile: join(directory, 'server.pem'),
    });
    const proxy = 'server: { listen: "0.0.0.0:80", behindProxy: true }\n';
    assert.equal(readConfig({ file: write(proxy + SMALL), env: {} }).server.behindProxy, true);
  });
});

describe('readConfig refuses', () => {
  // Title, file, and the problems as they stand in the message, without the file's name.
  const table: [string, string, string[]][] = [
    ['an unknown key', `servr: {}\n${SMALL}`, ['1:1: servr: unknown key; did you mean "server"?']],
    [
      'an unknown key further down',
      SMALL.replace('policy: plain', 'polcy: plain'),
      ['11:5: products[0].policy: this key is missing', '14:5: products[0].polcy: unknown key; did you mean "policy"?'],
    ],
    ['an empty file', '# nothing\n', ['expected a map, got nothing; write keys: server, database']],
    ['a list as file', '- a\n', ['1:1: expected a map, got a list']],
    [
      'wrong types',
      `agents: { pollInterval: 60, maxWait: [] }\nserver: { behindProxy: "yes", listen: 8420 }\n${SMALL}`,
      [
        '1:25: agents.pollInterval: expected a duration from 100ms to 1d, got the number 60; write e.g. 30s',
        '1:38: agents.maxWait: expected a duration from 0s to 55s, got a list',
        '2:24: server.behindProxy: expected true or false, got the text "yes"; write true or false, without quotes',
        '2:39: server.listen: expected an address and port, got the number 8420',
      ],
    ],
    [
      'a version that YAML reads as a number',
      SMALL.replace('policy: plain', 'policy: plain\n    accept: 1.10'),
      ['15:13: products[0].accept: expected a range of versions, got the number 1.10; put it in quotes: "1.10"'],
    ],
    [
      'a key that stands twice, naming both lines',
      `${SMALL}\nregions: []\n`,
      ['16:1: the key "regions" stands twice, in lines 2 and 16; remove one'],
    ],
    [
      'aliases, anchors and tags',
      SMALL.replace('name: eu', 'name: &x eu')
        .replace('name: us', 'name: *x')
        .replace('policy: plain', 'policy: !!str plain'),
      [
        '3:16: anchors (&) are not read here',
        '4:13: aliases (*) are not read here',
        '14:19: tags (!) are not read here',
      ],
    ],
    ['several documents', `${SMALL}---\na: 1\n`, ['15:1: a second document begins here; one file holds one config']],
    ['directives', `%YAML 1.1\n---\n${SMALL}`, ['1:1: YAML directives (%) are not read here']],
    ['a key that is a list', `? [a]\n: b\n${SMALL}`, ['1:3: a key must be a plain word']],
    ['what is not YAML', `a: [1\n${SMALL}`, ['not YAML: ']],
    ['an unquoted cron expression', `github:\n  poll: */5 * * * *\n${SMALL}`, ['in quotes']],
    [
      'tabs',
      `server:\n\tlisten: x\n${SMALL}`,
      ['2:1: not YAML: Tabs are not allowed as indentation; indent with blanks'],
    ],
    ['endless nesting', `a: ${'['.repeat(20_000)}`, ['nested too deeply']],
    [
      'an unknown time zone',
      SMALL.replace('Europe/Berlin', 'Europe/Berln'),
      ['3:27: regions[0].timeZone: expected an IANA time zone, got "Europe/Berln"; did you mean Europe/Berlin?'],
    ],
    ['a city as time zone', SMALL.replace('America/New_York', 'New York'), ['did you mean America/New_York?']],
    [
      'an offset as time zone',
      SMALL.replace('Europe/Berlin', '"+01:00"'),
      ['expected an IANA time zone, got "+01:00"'],
    ],
    [
      'a product without artifacts',
      SMALL.replace(/artifacts: .*/, 'artifacts: []'),
      ['13:16: products[0].artifacts: the list of artifacts is empty; add at least 1'],
    ],
    [
      'a platform twice',
      SMALL.replace(/artifacts: .*/, 'artifacts: [{platform: linux-x64, asset: a}, {platform: linux-x64, asset: b}]'),
      ['products[0].artifacts[1].platform: "linux-x64" stands twice; one file per platform'],
    ],
    [
      'an asset with an unknown placeholder',
      SMALL.replace('{version}', '{ver}'),
      ['got "collector-{ver}.tar.gz"; only {version} and {tag} are filled in'],
    ],
    [
      'an unknown policy',
      SMALL.replace('policy: plain', 'policy: plian'),
      ['14:13: products[0].policy: there is no policy "plian"; did you mean "plain"?'],
    ],
    [
      'the name of an inherited property as policy',
      SMALL.replace('policy: plain', 'policy: constructor'),
      ['there is no policy "constructor"'],
    ],
    [
      'an unknown region in a wave, and one in two',
      SMALL.replace('  plain:', '  plain:\n    waves: [[eu, uss], [eu]]'),
      [
        '7:18: policies.plain.waves[0][1]: there is no region "uss"; did you mean "us"?',
        '7:25: policies.plain.waves[1][0]: the region "eu" is in two waves',
      ],
    ],
    [
      'two regions of one name',
      SMALL.replace('name: us', 'name: eu'),
      ['4:13: regions[1].name: the region "eu" stands twice, first in line 3; rename or remove one'],
    ],
    [
      'two products of one name',
      SMALL + SMALL.slice(SMALL.indexOf('  - name: collector')),
      ['15:11: products[1].name: the product "collector" stands twice, first in line 11'],
    ],
    [
      'a repository that is not owner/name',
      SMALL.replace('example/collector', 'https://github.com/example/collector'),
      ['expected a GitHub repository as owner/name'],
    ],
    [
      'a tag pattern without a version',
      SMALL.replace('policy: plain', 'policy: plain\n    tags: v'),
      ['15:11: products[0].tags: the pattern has no {version}; write e.g. "v{version}"'],
    ],
    [
      'a tag pattern with two versions, among others',
      SMALL.replace('policy: plain', 'policy: plain\n    tags: ["v{version}", "{version}/{version}"]'),
      ['products[0].tags[1]: the pattern has {version} twice; write e.g. "v{version}"'],
    ],
    [
      'a tag pattern with another placeholder',
      SMALL.replace('policy: plain', 'policy: plain\n    tags: "{name}/v{version}"'),
      ['products[0].tags: the pattern has other braces; only {version} is filled in'],
    ],
    [
      'a tag pattern without quotes',
      SMALL.replace('policy: plain', 'policy: plain\n    tags: {version}'),
      ['products[0].tags: expected a tag with {version} in it, in quotes, got a map; write e.g. "v{version}"'],
    ],
    [
      'tags beside tagPrefix',
      SMALL.replace('policy: plain', 'policy: plain\n    tagPrefix: r\n    tags: ["v{version}"]'),
      [
        '15:16: products[0].tagPrefix: tags says already how tags are read; remove tagPrefix; as a tag pattern it is ' +
          '"r{version}"',
      ],
    ],
    [
      'a range that is none of the scheme',
      SMALL.replace('policy: plain', 'policy: plain\n    scheme: numeric\n    accept: ">=1.0.0-rc.1"'),
      ['16:13: products[0].accept: ">=1.0.0-rc.1" is not a range of the scheme numeric, or no version can be in it'],
    ],
    [
      'a range that nothing can be in',
      SMALL.replace('policy: plain', 'policy: plain\n    accept: ">=2 <1"'),
      ['products[0].accept: ">=2 <1" is not a range of the scheme semver, or no version can be in it'],
    ],
    [
      'a wrong cron expression',
      `github: { poll: "61 * * * *" }\n${SMALL}`,
      ['1:17: github.poll: "61" is no minute of a cron expression; write 0 to 59, or e.g. * or */2'],
    ],
    [
      'plain http for other machines',
      `server: { listen: "0.0.0.0:8420" }\n${SMALL}`,
      ['1:19: server.listen: 0.0.0.0 can be reached from other machines, but there is no TLS; add server.tls'],
    ],
    ['a listen address that is none', `server: { listen: "1.2.3:80" }\n${SMALL}`, ['write address:port']],
    ['a port that is none', `server: { listen: "127.0.0.1:65536" }\n${SMALL}`, ['write address:port']],
    [
      'a certificate that is not there',
      `server: { tls: { certFile: nowhere.pem, keyFile: nowhere.pem } }\n${SMALL}`,
      ['server.tls.certFile: there is no file', 'server.tls.keyFile: there is no file'],
    ],
    [
      'a GitHub API over http',
      `github: { apiUrl: "http://github.example.com/api/v3" }\n${SMALL}`,
      ['use https; http is for this machine only'],
    ],
    ['percent 0', steps('percent: 0', 'percent: 100'), ['expected a whole number from 1 to 100, got the number 0']],
    ['percent 101', steps('percent: 101'), ['expected a whole number from 1 to 100, got the number 101']],
    [
      'percent 1.5',
      steps('percent: 1.5', 'percent: 100'),
      ['expected a whole number from 1 to 100, got the number 1.5'],
    ],
    [
      'percents that do not rise',
      steps('percent: 20', 'percent: 20', 'percent: 100'),
      ['9:18: policies.plain.steps[1].percent: percent: 20 comes after percent: 20'],
    ],
    ['counts that do not rise', steps('count: 5', 'count: 3', 'percent: 100'), ['count: 3 comes after count: 5']],
    ['a last step below 100', steps('percent: 50'), ['policies.plain.steps[0]: the last step is not percent: 100']],
    ['a last step by count', steps('percent: 50', 'count: 5'), ['steps[1]: the last step is not percent: 100']],
    ['no steps', steps(), ['policies.plain.steps: expected a list of steps, got nothing']],
    ['a step of nobody', steps('soak: 5m', 'percent: 100'), ['the step does not say who is in it']],
    [
      'a step of two kinds',
      steps('percent: 5\n        count: 1', 'percent: 100'),
      ['8:9: policies.plain.steps[0]: the step says twice who is in it; give exactly one of percent, count, labels'],
    ],
    ['a step without labels', steps('labels: {}', 'percent: 100'), ['steps[0].labels: no label is named']],
    [
      'shares that are no percentage',
      SMALL.replace('  plain:', '  plain:\n    doneRatio: 0.9\n    badRatio: 101%'),
      [
        'policies.plain.doneRatio: expected a share from 1% to 100%, got the number 0.9',
        'policies.plain.badRatio: expected a share from 0% to 100%, got "101%"',
      ],
    ],
    [
      'a staleAfter below two polls',
      SMALL.replace('  plain:', '  plain:\n    staleAfter: 90s'),
      ['7:17: policies.plain.staleAfter: shorter than two poll intervals'],
    ],
    [
      'a value of a closed list',
      SMALL.replace('  plain:', '  plain:\n    supersede: replaced'),
      ['expected one of finish, replace-unstarted, replace, got "replaced"; did you mean "replace"?'],
    ],
    ['a bad name', SMALL.replace('  plain:', '  Plain:'), ['6:3: policies.Plain: expected a name']],
    [
      'a secret whose variable is not set',
      `github: { token: "env:NOT_SET" }\n${SMALL}`,
      ['1:18: github.token: the environment variable NOT_SET is not set; set it, or remove this key'],
    ],
    [
      'a secret whose file is not there',
      `github: { token: "file:nowhere" }\n${SMALL}`,
      ['github.token: cannot read file:nowhere: ENOENT'],
    ],
    [
      'a mirror with an unknown placeholder',
      withMirror('https://mirror.eu.example/{product}/{versoin}/{asset}'),
      ['3:50: regions[0].mirror: there is no placeholder {versoin}; did you mean "version"?'],
    ],
    [
      'a mirror with a lone brace',
      withMirror('https://mirror.eu.example/{asset}}'),
      ['regions[0].mirror: a brace stands alone; write each placeholder as {name}'],
    ],
    [
      'a mirror over plain http on another machine',
      withMirror('http://mirror.eu.example:8080/{asset}'),
      ['plain http to mirror.eu.example:8080 can be read and changed on the way; use https'],
    ],
    [
      'a mirror over another scheme',
      withMirror('ftp://mirror.eu.example/{asset}'),
      ['regions[0].mirror: expected the https URL of a file on the mirror, with placeholders, got something else'],
    ],
    [
      'a mirror with a query',
      withMirror('https://mirror.eu.example/{asset}?sig=abc'),
      ['leave out user, password, query and fragment'],
    ],
    [
      'a mirror whose address is the same for all platforms',
      withMirror('https://mirror.eu.example/{product}-{version}'),
      ['the address is the same for several files; add {asset}, or {version} and {platform}'],
    ],
    [
      'a mirror whose address is the same for all versions',
      withMirror('https://mirror.eu.example/{asset}').replace('collector-{version}.tar.gz', 'collector.tar.gz'),
      ['the address is the same for all versions of the product "collector"; add {version} or {tag}'],
    ],
    [
      'a mirror with a version in its host',
      withMirror('https://{version}.mirror.example/{asset}'),
      ['a placeholder stands in the host; only {region} may stand there'],
    ],
    [
      'a maxAge below two probes',
      `availability: { every: 1m, maxAge: 90s }\n${SMALL}`,
      ['1:36: availability.maxAge: shorter than twice availability.every'],
    ],
    [
      'probes out of bounds',
      `availability: { every: 10ms, timeout: 2m, maxAge: 8d, perHost: 0, total: 1000 }\n${SMALL}`,
      [
        'availability.every: expected a duration from 1s to 1h',
        'availability.timeout: expected a duration from 100ms to 1m',
        'availability.maxAge: expected a duration from 10s to 7d',
        'availability.perHost: expected a whole number from 1 to 64',
        'availability.total: expected a whole number from 1 to 256',
      ],
    ],
    ['a database in memory', `database: "sqlite::memory:"\n${SMALL}`, ['write the path of a file']],
    ['a database of another kind', `database: mysql://h/x\n${SMALL}`, ['1:11: database: expected sqlite:path']],
  ];
  for (const [title, text, problems] of table) {
    test(title, () => {
      const file = write(text);
      const message = refusal(file);
      for (const problem of problems) {
        const expected = /^\d/.test(problem) ? `${file}:${problem}` : problem;
        assert.ok(message.includes(expected), `${expected}\nis not in\n${message}`);
      }
      assert.equal(message.split('\n').length - 1, problems.length, `as many problems as expected\n${message}`);
    });
  }

  test('everything at once, in the order of the file', () => {
    const text = SMALL.replace('timeZone: Europe/Berlin', 'timeZone: X').replace('policy: plain', 'policy: other');
    const file = write(`server: { lissten: x }\n${text}`);
    assert.match(refusal(file), /^3 problems in .*\n.*:1:11: .*\n.*:4:27: .*\n.*:15:13: .*$/);
    assert.throws(() => readConfig({ file, env: {} }), { where: `${file}:1:11` });
  });

  test('overrides of the environment, without their value', () => {
    const env = { TIDEGATE_DATABASE: 'mysql://u:hunter2@h', TIDEGATE_LISTEN: '0.0.0.0:1', TIDEGATE_GITHUB_API: 'x' };
    const message = refusal(write(SMALL), env);
    assert.match(message, /environment TIDEGATE_DATABASE: its value is refused \(not shown\); write e\.g\. sqlite:/);
    assert.match(message, /environment TIDEGATE_LISTEN: 0\.0\.0\.0 can be reached from other machines/);
    assert.match(message, /environment TIDEGATE_GITHUB_API: /);
    assert.doesNotMatch(message, /hunter2/);
  });

  test('a file that is something else altogether, in little time', () => {
    const text = Array.from({ length: 100_000 }, (_, index) => `k${index}:`).join('\n');
    assert.match(refusal(write(text)), /^at least 1000 problems in [\s\S]*\nand 950 more$/);
  });

  test('a file over 1 MiB', () => {
    assert.match(refusal(write(`#${'x'.repeat(1_048_576)}\n${SMALL}`)), /is larger than 1 MiB/);
  });

  test('a file that is not UTF-8', () => {
    const file = write('');
    writeFileSync(file, Buffer.from([0x61, 0x3a, 0x20, 0xff, 0xfe]));
    assert.match(refusal(file), /is not UTF-8 text/);
  });

  test('a file that is not there, or is a directory, as config_missing', () => {
    const isMissing = (error: unknown) => error instanceof AppError && error.code === 'config_missing';
    assert.throws(() => readConfig({ file: join(directory, 'nowhere.yaml'), env: {} }), isMissing);
    assert.throws(() => readConfig({ file: directory, env: {} }), isMissing);
  });
});

describe('a secret that stands in the file is never printed', () => {
  const places: [string, string][] = [
    ['as token', 'github: { token: ghp_SECRET }\n'],
    ['as token that is a number', 'github: { token: 1234567 }\n'],
    ['in broken YAML', 'github:\n  token: ghp_SECRET: x\n'],
    ['in broken quotes', 'github:\n  token: "a" ghp_SECRET\n'],
    ['in a block scalar', 'github:\n  token: |9ghp_SECRET\n    x\n'],
    ['behind a bracket', 'github: { token: x }\n]ghp_SECRET\n'],
    ['in the database', 'database: postgres://user:SECRET@host/x\n'],
    ['in the query of the database', 'database: postgres://user@host/x?password=SECRET\n'],
    ['in another database', 'database: mysql://user:SECRET@host/x\n'],
    ['in the URL of a mirror', 'regions: [{ name: a, timeZone: UTC, mirror: "https://u:SECRET@m.example/{asset}" }]\n'],
    ['in the URL of the API', 'github: { apiUrl: "https://user:SECRET@github.example.com" }\n'],
  ];
  for (const [title, text] of places) {
    test(title, () => assert.doesNotMatch(refusal(write(text + SMALL)), /SECRET|1234567/));
  }
  test('when the variable holds no token', () => {
    const file = write(`github: { token: "env:T" }\n${SMALL}`);
    const message = refusal(file, { T: 'two SECRET words' });
    assert.match(message, /env:T is empty, or holds blanks/);
    assert.doesNotMatch(message, /SECRET/);
  });
});

test('any text is a config or an AppError', () => {
  const line = fc.constantFrom(...SMALL.split('\n'), '- a', 'a: b', ' - [', '}', '? x', '"', 'server: *a', '\t', '---');
  const text = fc.oneof(
    fc.array(line, { maxLength: 20 }).map((all) => all.join('\n')),
    fc.string({ unit: 'binary' }),
  );
  fc.assert(
    fc.property(text, (content) => {
      try {
        readConfig({ file: write(content), env: {} });
      } catch (error) {
        assert.ok(error instanceof AppError && error.code === 'config_invalid', String(error));
      }
    }),
    { numRuns: 300 },
  );
});

test('config/tidegate.schema.json knows every key that the reader knows', () => {
  const file = new URL('../../config/tidegate.schema.json', import.meta.url);
  const written = JSON.parse(readFileSync(file, 'utf8')) as unknown;
  const made = JSON.parse(JSON.stringify(configJsonSchema())) as unknown;
  assert.deepEqual(written, made, 'write it anew: npx node test/config/write-schema.ts && npm run fix');
});

test('names, platforms and the longest wait are those of the wire', () => {
  const patternOf = (schema: object) => (schema as { pattern?: string }).pattern;
  assert.equal(NAME.schema['pattern'], patternOf(Instruction.properties.product));
  assert.equal(PLATFORM.schema['pattern'], patternOf(CheckInRequest.properties.platform));
  assert.match(refusal(write(`agents: { maxWait: ${MAX_WAIT_SECONDS + 1}s }\n${SMALL}`)), /agents\.maxWait/);
  readConfig({ file: write(`agents: { maxWait: ${MAX_WAIT_SECONDS}s }\n${SMALL}`), env: {} });
});

describe('readCliSettings', () => {
  test('readCliSettings({}) has nothing', () => {
    const nothing = { server: null, token: null, tokenFile: null, caFile: null, noColor: false, dumbTerminal: false };
    assert.deepEqual(readCliSettings({}), nothing);
    assert.deepEqual(readCliSettings({ TIDEGATE_SERVER: '', NO_COLOR: '' }), nothing);
  });
  test('reads its six variables', () => {
    const env = {
      TIDEGATE_SERVER: 'https://tidegate.example.com',
      TIDEGATE_TOKEN: 't',
      TIDEGATE_TOKEN_FILE: 'f',
      TIDEGATE_CA_FILE: 'c',
      NO_COLOR: '1',
      TERM: 'dumb',
    };
    assert.deepEqual(readCliSettings(env), {
      server: 'https://tidegate.example.com',
      token: 't',
      tokenFile: 'f',
      caFile: 'c',
      noColor: true,
      dumbTerminal: true,
    });
  });
});

/** SMALL with this mirror in its first region. */
function withMirror(mirror: string): string {
  return SMALL.replace('Europe/Berlin }', `Europe/Berlin, mirror: "${mirror}" }`);
}

/** SMALL with these steps. */
function steps(...lines: string[]): string {
  const list = lines.map((line) => `      - ${line}\n`).join('');
  return SMALL.replace('      - percent: 10\n      - percent: 100\n', list);
}
