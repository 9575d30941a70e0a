// `npm run bench:rehearse`: 100,000 agents in 20 regions over two weeks of windows and soaks, as one line of JSON.
import { parseArgs } from 'node:util';
import { NO_LIMITS } from '../../src/domain/limits.ts';
import { rehearse } from '../../src/domain/rehearse/rehearse.ts';
import { rules, START, stepPolicy, testPolicy } from '../support/fixtures.ts';

const HOUR = 3_600_000;
const { values } = parseArgs({ options: { agents: { type: 'string', default: '100000' } } });
const agents = Number(values.agents);
const regions = Array.from({ length: 20 }, (_, index) => `region-${index + 1}`);
const policy = testPolicy({
  waves: [regions.slice(0, 2), regions.slice(2, 8), regions.slice(8)],
  maxHot: 50,
  steps: [
    stepPolicy({ percent: 1, soakMs: 4 * HOUR }),
    stepPolicy({ percent: 10, soakMs: 12 * HOUR, budget: 'loose', manual: true }),
    stepPolicy({ percent: 100, soakMs: 24 * HOUR, budget: 'loose' }),
  ],
});
const windows = { allow: [{ days: ['mon', 'tue', 'wed', 'thu'] as const, from: 540, to: 960 }], deny: [] };
const cpuBefore = process.cpuUsage();
const startedAt = performance.now();
const found = rehearse({
  product: rules(policy),
  regions,
  calendars: regions.map((region) => ({
    region,
    timeZone: 'Europe/Berlin',
    windows: { ...windows, allow: windows.allow.map((one) => ({ ...one, days: [...one.days] })) },
  })),
  freezes: [],
  limits: NO_LIMITS,
  brakes: [],
  vetoes: [],
  baselines: [],
  seed: 1,
  approveAfterMs: HOUR,
  availabilityDelayMs: 0,
  pollMs: 60_000,
  stageMs: null,
  activateMs: null,
  version: '1.1.0',
  release: null,
  floors: [],
  passedOver: [],
  platforms: ['linux-x64'],
  fleet: regions.map((region) => {
    const count = Math.floor(agents / regions.length);
    return { region, platform: 'linux-x64', version: '1.0.0', labels: {}, agents: count, present: count };
  }),
  offline: 0.1,
  failureRate: 0.01,
  now: START,
  horizonMs: 60 * 24 * HOUR,
});
const cpu = process.cpuUsage(cpuBefore);
process.stdout.write(
  `${JSON.stringify({
    agents: found.agents.total,
    updated: found.agents.updated,
    simulatedDays: Number(((found.to - found.from) / (24 * HOUR)).toFixed(1)),
    badRuns: found.exposure.runs,
    events: found.events,
    seconds: Number(((performance.now() - startedAt) / 1000).toFixed(2)),
    cpuSeconds: Number(((cpu.user + cpu.system) / 1_000_000).toFixed(2)),
    rssMegabytes: Math.round(process.memoryUsage().rss / 1e6),
  })}\n`,
);
