// The one table of all keys that a config file may hold, with their kinds, defaults and notes.
import { SCHEME_NAMES } from '../domain/version/schemes.ts';
import {
  API_URL,
  ASSET,
  CRON,
  DATABASE,
  duration,
  LABEL_NAME,
  LABEL_VALUE,
  LISTEN,
  NAME,
  PATH,
  PLATFORM,
  RANGE,
  REPOSITORY,
  SECRET,
  share,
  TAG_PREFIX,
  TIME_ZONE,
} from './formats.ts';
import { MIRROR } from './mirror-format.ts';
import { boolean, integer, type JsonSchema, listOf, object, oneOf, optional, record, required } from './spec.ts';

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

const REGION = object({
  name: required(NAME, 'the name that agents are enrolled with'),
  timeZone: required(TIME_ZONE, 'an IANA time zone such as Europe/Berlin'),
  mirror: optional(
    MIRROR,
    null,
    'URL of a file on the region’s mirror, with {product}, {version}, {tag}, {asset}, {platform}, {region}. ' +
      'Default: none, agents get files through this server.',
  ),
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
  supersede: optional(
    oneOf(['finish', 'replace-unstarted', 'replace']),
    'replace-unstarted',
    'What a newer release does to a rollout that is under way. Default replace-unstarted.',
  ),
  minAge: optional(duration(0, 365 * DAY), 0, 'How old a release must be. Default 0s.'),
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

const PRODUCT = object({
  name: required(NAME, 'the name that agents report'),
  repository: required(REPOSITORY, 'owner/name on GitHub'),
  scheme: optional(oneOf(SCHEME_NAMES), 'semver', 'How versions are read and ordered. Default semver.'),
  tagPrefix: optional(TAG_PREFIX, 'v', 'What a tag begins with before the version. Default v.'),
  accept: optional(RANGE, null, 'Range of versions that may be let out. Default: every version.'),
  prereleases: optional(boolean, false, 'Whether prereleases may be let out. Default false.'),
  artifacts: required(listOf(ARTIFACT, 'artifacts', { min: 1, max: 64 }), 'one file per platform'),
  policy: required(NAME, 'the name of a policy'),
});

export const CONFIG = object({
  server: optional(SERVER, SERVER.blank, 'Where the server listens and keeps its data.'),
  database: optional(DATABASE, null, 'sqlite:path or postgres://…; default sqlite:<dataDir>/tidegate.db.'),
  github: optional(GITHUB, GITHUB.blank, 'How releases are looked for.'),
  agents: optional(AGENTS, AGENTS.blank, 'How agents and server talk.'),
  availability: optional(AVAILABILITY, AVAILABILITY.blank, 'How mirrors are asked what they have.'),
  regions: required(listOf(REGION, 'regions', { min: 1, max: 1000 }), 'a list of name and timeZone'),
  policies: optional(record(NAME, POLICY, 200), {}, 'How releases are let out, by name.'),
  products: optional(listOf(PRODUCT, 'products', { min: 0, max: 1000 }), [], 'What is kept up to date.'),
});

export type RawConfig = typeof CONFIG.blank;
export type RawPolicy = typeof POLICY.blank;
export type RawProduct = typeof PRODUCT.blank;

/** For editors; `config/tidegate.schema.json` is this. */
export function configJsonSchema(): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Tidegate configuration',
    ...CONFIG.schema,
  };
}
