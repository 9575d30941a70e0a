// Which room of src may import from which, and which packages: the arrows of the design as one table.

export interface RoomRule {
  rooms: readonly string[];
  /** Exact names, or `name/*`, `node:*` for all that begins so. */
  packages: readonly string[];
}

const NODE = 'node:*';
const TYPEBOX = ['typebox', 'typebox/*'];

export const ROOMS: Readonly<Record<string, RoomRule>> = {
  errors: { rooms: [], packages: [] },
  'domain/version': { rooms: ['errors'], packages: ['semver'] },
  domain: { rooms: ['domain/version', 'errors'], packages: ['semver', 'temporal-polyfill', 'croner'] },
  protocol: { rooms: ['errors'], packages: [...TYPEBOX, 'node:crypto'] },
  config: {
    rooms: ['domain', 'domain/version', 'errors'],
    packages: ['yaml', 'node-cron', 'temporal-polyfill', 'ical.js', NODE],
  },
  store: {
    rooms: ['domain', 'domain/version', 'errors'],
    packages: ['kysely', 'kysely/*', 'better-sqlite3', 'pg', 'uuid', 'pino', NODE],
  },
  tracker: {
    rooms: ['domain', 'domain/version', 'store', 'errors'],
    packages: ['octokit', 'undici', 'p-limit', 'node-cron', 'uuid', 'pino', NODE],
  },
  engine: {
    rooms: ['domain', 'domain/version', 'store', 'errors'],
    packages: ['node-cron', 'p-limit', 'uuid', 'pino', NODE],
  },
  api: {
    // Of the config only the shape: the value is passed in.
    rooms: ['config', 'domain', 'domain/version', 'store', 'protocol', 'errors'],
    packages: ['fastify', '@fastify/*', ...TYPEBOX, 'uuid', 'pino', NODE],
  },
  agent: {
    rooms: ['protocol', 'domain/version', 'errors'],
    packages: ['tar-stream', 'undici', ...TYPEBOX, NODE],
  },
  cli: { rooms: ['protocol', 'errors'], packages: ['commander', 'undici', ...TYPEBOX, NODE] },
  demo: { rooms: ['protocol', 'config', 'errors'], packages: ['esbuild', 'tar-stream', 'undici', ...TYPEBOX, NODE] },
  context: {
    rooms: ['config', 'domain', 'domain/version', 'store', 'tracker', 'engine', 'api', 'protocol', 'errors'],
    packages: ['fastify', 'node-cron', 'p-limit', 'pino', 'undici', 'uuid', NODE],
  },
  'bin:server': {
    rooms: ['config', 'context', 'api', 'engine', 'store', 'tracker', 'errors'],
    packages: ['pino', NODE],
  },
  // Behind `serve` and `agent` stand the other bins' rooms, behind `backup` and `restore` the store, loaded only then.
  'bin:cli': { rooms: ['bin:server', 'agent', 'config', 'store', 'cli', 'errors'], packages: [NODE] },
  'bin:agent': { rooms: ['config', 'agent', 'errors'], packages: [NODE] },
  'bin:launcher': { rooms: ['config', 'agent', 'errors'], packages: [NODE] },
  'bin:tidegate': { rooms: ['bin:cli'], packages: [NODE] },
};

const BINS = /^src\/(server|agent|launcher|cli|tidegate)\.(?:ts|mjs)$/;

/** Of a path such as `src/domain/plan.ts`. Undefined for what stands in no known room. */
export function roomOf(path: string): string | undefined {
  const bin = BINS.exec(path)?.[1];
  if (bin !== undefined) return `bin:${bin}`;
  const inner = path.replace(/^src\//, '').replace(/\.[a-z]+$/, '');
  // The longest name wins: domain/version is a room inside domain.
  return Object.keys(ROOMS)
    .toSorted((a, b) => b.length - a.length)
    .find((room) => inner === room || inner.startsWith(`${room}/`));
}

export function isBin(path: string): boolean {
  return BINS.test(path);
}

export function isAllowedPackage(rule: RoomRule, name: string): boolean {
  return rule.packages.some((one) => (one.endsWith('*') ? name.startsWith(one.slice(0, -1)) : name === one));
}
