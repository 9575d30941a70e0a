// The one table of all keys that a config file may hold, with their kinds, defaults and notes.
import { SCHEME_NAMES } from '../domain/version/schemes.ts';
import { DAYS } from '../domain/window.ts';
import {
  API_URL,
  ASSET,
  CRON,
  DATABASE,
  duration,
  FACT_NAME,
  FACT_VALUE,
  LABEL_NAME,
  LABEL_VALUE,
  LISTEN,
  NAME,
  PATH,
  PLATFORM,
  PRERELEASE,
  RANGE,
  REPOSITORY,
  SECRET,
  share,
  TAG_PREFIX,
  TIME_ZONE,
  VERSION,
} from './formats.ts';
import { METRIC_LIST, METRICS } from './metric-formats.ts';
import { MIRROR } from './mirror-format.ts';
import {
  boolean,
  either,
  flag,
  integer,
  type JsonSchema,
  listOf,
  object,
  oneOf,
  optional,
  record,
  required,
  unlessKey,
} from './spec.ts';
import { TAGS } from './tag-format.ts';
import { CLOSES, DATE_OR_TIME, OPENS, REASON, SCHEDULE_CRON, WEEKDAY } from './time-formats.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MANY = 1_000_000;

const TLS = object({
  certFile: required(PATH, 'the certificate chain, PEM'),
  keyFile: required(PATH, 'its private key, PEM'),
});

const SERVER = object({
  listen: optional(LISTEN, { host: '127.0.0.1', port: 8420 }, 'Address and port. Default 127.0.0.1:8420.'),
  dataDir: optional(PATH, './data', 'Where keys, artifacts and, by default, the database live. Default ./data.'),
  tls: optional(TLS, null, 'Certificate of the server. Without it only this machine can be listened on.'),
  behindProxy: optional(boolean, false, 'True when what stands before the server ends TLS. Default false.'),
});

const GITHUB = object({
  apiUrl: optional(API_URL, 'https://api.github.com', 'Default https://api.github.com.'),
  token: optional(SECRET, null, 'env:NAME or file:path. Without it GitHub allows 60 requests an hour.'),
  poll: optional(CRON, '*/5 * * * *', 'When to look for releases: cron, five or six fields. Default */5 * * * *.'),
});

/** The longest long poll is what the wire allows. */
const AGENTS = object({
  pollInterval: optional(duration(100, DAY), MINUTE, 'How often an idle agent checks in. Default 60s.'),
  maxWait: optional(
    duration(0, 55 * SECOND),
    25 * SECOND,
    'Longest time that a check-in is kept waiting. Default 25s.',
  ),
});

const WINDOW = object({
  days: optional(
    listOf(WEEKDAY, 'days', { min: 1, max: 7 }),
    [...DAYS],
    'The days on which it begins: mon, tue, wed, thu, fri, sat, sun. Default: every day.',
  ),
  from: required(OPENS, 'the time of day at which it begins, e.g. "09:00"'),
  to: required(CLOSES, 'the time of day at which it ends, e.g. "16:00"; at or before `from`: on the next day'),
});

const WINDOWS = object({
  allow: optional(listOf(WINDOW, 'windows', { min: 0, max: 50 }), [], 'Updates start only in these. Default: always.'),
  deny: optional(listOf(WINDOW, 'windows', { min: 0, max: 50 }), [], 'No update starts in these, whatever is allowed.'),
});

const REGION = object({
  name: required(NAME, 'the name that agents are enrolled with'),
  timeZone: required(TIME_ZONE, 'an IANA time zone such as Europe/Berlin'),
  mirror: optional(
    MIRROR,
    null,
    'URL of a file on the region’s mirror, with {product}, {version}, {tag}, {asset}, {platform}, {region}. ' +
      'Default: none, agents get files through this server.',
  ),
  windows: optional(WINDOWS, WINDOWS.blank, 'When updates may start, by the clocks of the region. Default: always.'),
});

const FREEZE_REGIONS = optional(
  listOf(NAME, 'regions', { min: 1, max: 1000 }),
  null,
  'Where. Default: in every region.',
);

const FREEZE_WRITTEN = object({
  from: required(DATE_OR_TIME, 'the first day, e.g. 2026-12-20, or the time, e.g. 2026-12-20T18:00'),
  to: required(DATE_OR_TIME, 'the last day, e.g. 2027-01-03, or the time at which it ends'),
  reason: required(REASON, 'what a person is told who asks why nothing happens'),
  regions: FREEZE_REGIONS,
});

const FREEZE_CALENDAR = object({
  calendar: required(PATH, 'an iCalendar file (.ics) whose events are freezes; read at the start'),
  regions: FREEZE_REGIONS,
});

const FREEZE = unlessKey('calendar', FREEZE_WRITTEN, FREEZE_CALENDAR);

const SITE = object({
  label: required(LABEL_NAME, 'the label whose value says at which site an agent stands'),
  max: required(integer(1, MANY), 'how many agents of one site may activate at a time'),
});

const DOWNLOADS = object({
  fleet: optional(integer(1, MANY), null, 'Agents that may download at a time in all. Default: no limit.'),
  region: optional(integer(1, MANY), null, 'Agents that may download at a time in each region. Default: no limit.'),
});

const LIMITS = object({
  fleet: optional(integer(1, MANY), null, 'Agents that may activate at a time in all. Default: no limit.'),
  region: optional(integer(1, MANY), null, 'Agents that may activate at a time in each region. Default: no limit.'),
  site: optional(SITE, null, 'Agents that may activate at a time at each site. Default: no limit.'),
  downloads: optional(
    either(integer(1, MANY), DOWNLOADS),
    null,
    'Agents that may download at a time: a number for the whole fleet, or fleet and region. Default: no limit.',
  ),
  perHour: optional(integer(1, MANY), null, 'Updates that may start within any hour. Default: no ceiling.'),
  perDay: optional(integer(1, MANY), null, 'Updates that may start within any 24 hours. Default: no ceiling.'),
});

/** Half of maxAge must hold `every`: else what is probed in time would still go stale between two probes. */
const AVAILABILITY = object({
  every: optional(duration(SECOND, HOUR), 30 * SECOND, 'How often a mirror is asked for what it lacks. Default 30s.'),
  timeout: optional(duration(100, MINUTE), 5 * SECOND, 'How long a mirror may take to answer. Default 5s.'),
  maxAge: optional(
    duration(10 * SECOND, 7 * DAY),
    10 * MINUTE,
    'After so long without an answer nobody knows whether a mirror has a release. Default 10m.',
  ),
  perHost: optional(integer(1, 64), 4, 'Requests to one mirror at a time. Default 4.'),
  total: optional(integer(1, 256), 16, 'Requests to all mirrors at a time. Default 16.'),
});

const STEP = object({
  percent: optional(integer(1, 100), null, 'Share of the lane’s agents, cumulative. The last step is 100.'),
  count: optional(integer(1, MANY), null, 'Number of agents, instead of percent.'),
  labels: optional(record(LABEL_NAME, LABEL_VALUE, 16), null, 'Agents with all these labels, instead of percent.'),
  min: optional(integer(1, MANY), 1, 'Present agents that the step must have, as far as there are any. Default 1.'),
  soak: optional(duration(0, 30 * DAY), 15 * MINUTE, 'How long to watch the step after it is done. Default 15m.'),
  promotion: optional(oneOf(['automatic', 'manual']), 'automatic', 'manual: a person promotes after the soak.'),
  budget: optional(
    oneOf(['strict', 'loose']),
    null,
    'strict: the budget of bad outcomes is never overshot. Default: strict for the first step, then loose.',
  ),
});

const SCHEDULE = object({
  cron: required(SCHEDULE_CRON, 'minute, hour, day of month, month, day of week, e.g. "0 9 * * tue"'),
  timeZone: required(TIME_ZONE, 'an IANA time zone such as Europe/Berlin'),
});

export const BASELINE_DEFAULTS = { maxHot: 5, badCount: 3, window: DAY };

const BASELINE = object({
  maxHot: optional(
    integer(1, MANY),
    BASELINE_DEFAULTS.maxHot,
    'Newcomers of a region that may download, and that may activate, at a time; never more activate than badCount allows. Default 5.',
  ),
  badCount: optional(integer(1, MANY), BASELINE_DEFAULTS.badCount, 'Newcomers gone bad that halt it. Default 3.'),
  window: optional(duration(MINUTE, 30 * DAY), BASELINE_DEFAULTS.window, 'Within this time. Default 1d.'),
});

const APPROVALS_DEFAULTS = { approvers: 1, expire: 7 * DAY };

const APPROVALS = object({
  approvers: optional(integer(1, 2), APPROVALS_DEFAULTS.approvers, 'How many different people: 1 or 2. Default 1.'),
  expire: optional(duration(MINUTE, 365 * DAY), APPROVALS_DEFAULTS.expire, 'How long an approval counts. Default 7d.'),
});

const POLICY = object({
  waves: optional(
    listOf(listOf(NAME, 'regions', { min: 1, max: 1000 }), 'waves', { min: 1, max: 1000 }),
    null,
    'Regions that go together, one wave after another. Default: every region a wave of its own, in their order.',
  ),
  steps: required(listOf(STEP, 'steps', { min: 1, max: 32 }), 'the steps in each region; the last is percent: 100'),
  doneRatio: optional(share(100, 10_000), 9000, 'Share of a step that must succeed. Default 90%.'),
  badRatio: optional(share(0, 10_000), 200, 'Share of bad outcomes that halts. Default 2%.'),
  minSample: optional(integer(1, MANY), 20, 'In smaller steps one bad outcome halts. Default 20.'),
  badCount: optional(integer(1, MANY), null, 'Number of bad outcomes that halts, whatever the ratio.'),
  maxHot: optional(integer(1, MANY), 10, 'Agents of a lane that may activate at a time. Default 10.'),
  attemptsPerAgent: optional(integer(1, 10), 2, 'Bad attempts after which an agent is left alone. Default 2.'),
  unhealthy: optional(
    oneOf(['hold', 'update', 'first']),
    'hold',
    'Agents that report themselves unhealthy: held until they are well, updated like others, or in the first step. Default hold.',
  ),
  supersede: optional(
    oneOf(['finish', 'replace-unstarted', 'replace']),
    'replace-unstarted',
    'What a newer release does to a rollout that is under way. Default replace-unstarted.',
  ),
  onHalt: optional(
    oneOf(['hold', 'rollback']),
    'hold',
    'rollback: a region that has spent its budget goes back to what it had completed before. Default hold.',
  ),
  maxSkips: optional(
    integer(1, 1000),
    3,
    'Newer releases that may pass a region by in a row, or replace what goes out there; then one is finished there first. Default 3.',
  ),
  minAge: optional(duration(0, 365 * DAY), 0, 'How old a release must be. Default 0s.'),
  approvals: optional(APPROVALS, APPROVALS_DEFAULTS, 'Who promotes manual steps, and for how long that counts.'),
  baseline: optional(BASELINE, BASELINE_DEFAULTS, 'How newcomers are brought to what their region has completed.'),
  metrics: optional(METRIC_LIST, null, 'What is read of a Prometheus while a step soaks. Default: nothing.'),
  begin: optional(
    oneOf(['auto', 'manual']),
    'auto',
    'manual: each rollout waits until a person begins it (tidegate rollout create). Default auto.',
  ),
  schedule: optional(SCHEDULE, null, 'When rollouts begin. Default: as soon as there is a release.'),
  staleAfter: optional(
    duration(200, 30 * DAY),
    null,
    'Silence after which an agent is not present. Default: three poll intervals, at least 10m.',
  ),
  stageWithin: optional(duration(100, 7 * DAY), 30 * MINUTE, 'Time to download and verify. Default 30m.'),
  activateWithin: optional(duration(100, DAY), 10 * MINUTE, 'Time from the grant to the restart. Default 10m.'),
  proveWithin: optional(duration(100, DAY), 10 * MINUTE, 'Time from the restart to the proof. Default 10m.'),
  stableFor: optional(duration(0, DAY), MINUTE, 'How long the new version must run to be proven. Default 60s.'),
});

const ARTIFACT = object({
  platform: required(PLATFORM, 'os-arch or os-arch-libc, e.g. linux-x64'),
  asset: required(ASSET, 'the name of the release’s file; {version} and {tag} are filled in'),
});

/** `major` is also the one for what has no policy of its own: nothing asks for more care than it. */
const POLICY_BY_JUMP = object({
  patch: optional(NAME, null, 'Policy for 1.2.3 → 1.2.4. Default: that of major.'),
  minor: optional(NAME, null, 'Policy for 1.2.3 → 1.3.0. Default: that of major.'),
  major: required(NAME, 'the most cautious policy: for 1.2.3 → 2.0.0, and while no region has completed a release'),
  prerelease: optional(NAME, null, 'Policy for prereleases. Default: that of major.'),
});

const REQUIREMENT = object({
  versions: optional(RANGE, null, 'Range of the releases that require it. Default: every version.'),
  fact: required(FACT_NAME, 'the name of the fact that agents report, e.g. kernel'),
  atLeast: optional(FACT_VALUE, null, 'The lowest number, version or size, e.g. "5.10" or "2 GiB".'),
  atMost: optional(FACT_VALUE, null, 'The highest.'),
  equals: optional(FACT_VALUE, null, 'The text that the fact must be.'),
  oneOf: optional(listOf(FACT_VALUE, 'values', { min: 1, max: 50 }), null, 'Texts of which it must be one.'),
  reason: optional(REASON, null, 'Why, for the person who asks. Default: not said.'),
});

const FLOOR = object({
  version: required(VERSION, 'the version that must not be jumped over'),
  reason: required(REASON, 'why agents must stop there, for the person who asks'),
});

const PRODUCT = object({
  name: required(NAME, 'the name that agents report'),
  repository: required(REPOSITORY, 'owner/name on GitHub'),
  scheme: optional(oneOf(SCHEME_NAMES), 'semver', 'How versions are read and ordered. Default semver.'),
  tags: optional(
    TAGS,
    null,
    'How tags are read: "v{version}", or a list of which the first that fits counts. Default "v{version}".',
  ),
  tagPrefix: optional(TAG_PREFIX, null, 'Short for tags: v is "v{version}".'),
  accept: optional(RANGE, null, 'Range of versions that may be let out. Default: every version.'),
  prereleases: optional(
    either(
      flag('true, false or a list of identifiers', 'write true, false, or e.g. [rc, beta]'),
      listOf(PRERELEASE, 'identifiers', { min: 1, max: 20 }),
    ),
    false,
    'Whether prereleases may be let out: all, none, or those such as [rc, beta]. Default false.',
  ),
  lag: optional(integer(0, 20), 0, 'How many newer releases there must be before one is let out. Default 0.'),
  from: optional(VERSION, null, 'The lowest version that agents are updated from. Default: any.'),
  floors: optional(
    listOf(FLOOR, 'floors', { min: 0, max: 100 }),
    [],
    'Versions that must not be jumped over: agents below one go there first. Default: none.',
  ),
  requirements: optional(
    listOf(REQUIREMENT, 'requirements', { min: 0, max: 100 }),
    [],
    'What a host must have, by the facts that its agent reports. Default: nothing.',
  ),
  unknownBuilds: optional(
    oneOf(['hold', 'update']),
    'hold',
    'Agents that run a build that no release has: held, or updated. Default hold.',
  ),
  artifacts: required(listOf(ARTIFACT, 'artifacts', { min: 1, max: 64 }), 'one file per platform'),
  policy: required(either(NAME, POLICY_BY_JUMP), 'the name of a policy, or one for each kind of jump'),
});

export const CONFIG = object({
  server: optional(SERVER, SERVER.blank, 'Where the server listens and keeps its data.'),
  database: optional(DATABASE, null, 'sqlite:path or postgres://…; default sqlite:<dataDir>/tidegate.db.'),
  github: optional(GITHUB, GITHUB.blank, 'How releases are looked for.'),
  agents: optional(AGENTS, AGENTS.blank, 'How agents and server talk.'),
  availability: optional(AVAILABILITY, AVAILABILITY.blank, 'How mirrors are asked what they have.'),
  regions: required(listOf(REGION, 'regions', { min: 1, max: 1000 }), 'a list of name and timeZone'),
  freezes: optional(listOf(FREEZE, 'freezes', { min: 0, max: 200 }), [], 'Days and times at which no update starts.'),
  limits: optional(
    LIMITS,
    LIMITS.blank,
    'How many agents may activate or download at a time, and within an hour or a day, over all rollouts.',
  ),
  metrics: optional(METRICS, null, 'Where the metrics of policies are read. Default: nowhere.'),
  policies: optional(record(NAME, POLICY, 200), {}, 'How releases are let out, by name.'),
  products: optional(listOf(PRODUCT, 'products', { min: 0, max: 1000 }), [], 'What is kept up to date.'),
});

export type RawConfig = typeof CONFIG.blank;
export type RawRegion = typeof REGION.blank;
export type RawFreeze = typeof FREEZE.blank;
export type RawLimits = typeof LIMITS.blank;
export type RawPolicy = typeof POLICY.blank;
export type RawProduct = typeof PRODUCT.blank;
export type RawRequirement = typeof REQUIREMENT.blank;

/** For editors; `config/tidegate.schema.json` is this. */
export function configJsonSchema(): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Tidegate configuration',
    ...CONFIG.schema,
  };
}
