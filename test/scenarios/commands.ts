// The commands of the scenario scripts: each does one thing to the world and returns the lines that it prints.

import { violations } from '../../src/domain/check.ts';
import { AppError } from '../../src/errors.ts';
import { foldCounters } from '../../src/store/attempts.ts';
import { listAudit, verifyAudit } from '../../src/store/audit.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import { digestOf, testRelease } from '../support/fixtures.ts';
import type { Behaviour, Fleet, ModelAgent } from '../support/fleet.ts';
import { snapshotOf } from '../support/snapshots.ts';
import { CONFIG_COMMANDS } from './config-commands.ts';
import { duration, names } from './language.ts';
import { LOOK_COMMANDS } from './look-commands.ts';
import { OPERATOR_COMMANDS } from './operator-commands.ts';
import { type Command, watching } from './watching.ts';
import { advance, agentNamed, publish, setAvailability, setRelease, setUnknown, update, type World } from './world.ts';

/** Runs one line. What the engine refuses is printed; what the script gets wrong throws. */
export async function runCommand(world: World, line: string): Promise<string[]> {
  const [name = '', ...words] = line.split(' ');
  const command = COMMANDS[name];
  if (command === undefined) throw new Error(`no such command: ${name}`);
  try {
    return await command(world, words);
  } catch (error) {
    if (error instanceof AppError) return [`refused: ${error.message}. ${error.hint}`];
    throw error;
  }
}

const BEHAVIOURS: Record<string, Behaviour> = {
  ok: 'works',
  crash: 'crashes',
  vanish: 'vanishes',
  'fail-download': 'download_fails',
  'hang-download': 'download_hangs',
  decline: 'declines',
};

const COMMANDS: Record<string, Command> = {
  ...CONFIG_COMMANDS,
  ...OPERATOR_COMMANDS,
  ...LOOK_COMMANDS,

  /** `release 1.1.0 [available eu,us]` */
  async release(world, [version = '', , available]) {
    return await watching(world, () => publish(world, version, available?.split(',') ?? world.regions));
  },

  async available(world, [version = '', regions = '']) {
    const list = regions.split(',');
    return await watching(world, () => setAvailability(world, version, list, list));
  },

  async absent(world, [version = '', regions = '']) {
    return await watching(world, () => setAvailability(world, version, regions.split(','), []));
  },

  /** `unknown 1.1.0 us`: the probe cannot tell. */
  async unknown(world, [version = '', regions = '']) {
    return await watching(world, () => setUnknown(world, version, regions.split(',')));
  },

  /** `withdraw 1.1.0`: GitHub does not list it any more. */
  withdraw: async (world, [version = '']) =>
    await watching(world, () =>
      setRelease(world, version, { state: 'withdrawn', why: 'GitHub does not list the release any more' }),
    ),

  /** `restored 1.1.0`: it does again, as it was. */
  restored: async (world, [version = '']) =>
    await watching(world, () => setRelease(world, version, { state: 'complete', why: null })),

  /** `altered 1.1.0`: the file has another digest than before. */
  altered: async (world, [version = '']) =>
    await watching(world, () =>
      setRelease(world, version, { state: 'altered', why: 'the digest of agentd-linux-x64.tar.gz is another one' }),
    ),

  /** `announced 1.1.0`: the tag is there, its files are not yet. */
  announced: async (world, [version = '']) =>
    await watching(world, () => publish(world, version, [], { state: 'pending', why: 'no_assets', artifacts: [] })),

  /** `uploaded 1.1.0`: now they are. */
  uploaded: async (world, [version = '']) =>
    await watching(world, () => setRelease(world, version, { ...testRelease(version), state: 'complete', why: null })),

  /** `file 1.1.0 linux-arm64`: a file for one more platform has been uploaded. */
  file: async (world, [version = '', platform = '']) =>
    await watching(world, () => setRelease(world, version, { platform })),

  /** `metric errors 0.02` or `metric errors none`: what is read of it from now on. */
  metric(world, [name = '', value = '']) {
    world.metrics.set(name, value === 'none' ? { error: 'the query has no result' } : { value: Number(value) });
    return [];
  },

  /** `enrol 5 in eu version 1.0.0 [label ring=canary] prefix c` */
  async enrol(world, words) {
    const count = Number(words[0]);
    const given = new Map(words.slice(1).flatMap((word, at, all) => (at % 2 === 0 ? [[word, all[at + 1] ?? '']] : [])));
    const [label, value] = given.get('label')?.split('=') ?? [];
    const labels = label === undefined ? {} : { [label]: value ?? '' };
    const prefix = given.get('prefix') ?? 'a';
    const fleet = await world.fleet();
    return await watching(world, async () => {
      const from = [...world.agents.keys()].filter((name) => name.replace(/\d+$/, '') === prefix).length;
      for (let number = from + 1; number <= from + count; number += 1) {
        const options = { region: given.get('in') as string, version: given.get('version') ?? '1.0.0', labels };
        world.agents.set(`${prefix}${number}`, await fleet.enrol(`${prefix}${number}`, options));
      }
    });
  },

  /**
   * `agents c1..c5 update ok|crash|vanish|fail-download|hang-download|decline` at once; `… will crash` when time goes
   * on; `… leave`, `… return`; `… report succeeded` for one that had vanished while it was at it; what their next
   * check-in says: `… run 1.0.0 [of unknown build]`, `… have kernel=5.4`, `… feel unwell disk is full`, `… feel well`.
   */
  async agents(world, [list = '', what = '', how = 'ok', ...rest]) {
    const chosen = names(list, [...world.agents.keys()]);
    if (what === 'update') {
      return await watching(world, () => update(world, chosen, () => BEHAVIOURS[how] ?? 'works'));
    }
    for (const name of chosen) {
      if (what === 'will') world.behaviours.set(name, BEHAVIOURS[how] ?? 'works');
      else if (what === 'leave') world.away.add(name);
      else if (what === 'return') world.away.delete(name);
      else SAYS[what]?.(agentNamed(world, name), how, rest);
    }
    if (what !== 'report') return [];
    return await watching(world, async () => {
      for (const name of chosen) await reportLate(world, name, how as 'succeeded' | 'rolled_back');
    });
  },

  /** `advance 10m [except b1,b2] [every 5m]`: everybody who is there checks in once a minute and does what is asked. */
  async advance(world, [time = '', ...words]) {
    const given = (key: string) => (words.includes(key) ? words[words.indexOf(key) + 1] : undefined);
    const all = [...world.agents.keys()];
    const absent = names(given('except') ?? '', all);
    const present = all.filter((name) => !absent.includes(name));
    return await advance(world, duration(time), present, duration(given('every') ?? '1m'));
  },

  /** `jump 2h` or `jump -2h`: the wall clock alone; no time passes. */
  async jump(world, [time = '']) {
    const fleet = await world.fleet();
    const ms = time.startsWith('-') ? -duration(time.slice(1)) : duration(time);
    return await watching(world, async () => fleet.clock.jump(ms));
  },

  /** `down 2h`: the server does not run meanwhile, then starts again. */
  async down(world, [time = '']) {
    const fleet = await world.fleet();
    return await watching(world, () => fleet.restart(duration(time)));
  },

  async restart(world) {
    const fleet = await world.fleet();
    return await watching(world, async () => fleet.restart());
  },

  async plan(world) {
    const fleet = await world.fleet();
    const before = await stored(fleet);
    const moved = await watching(world, () => fleet.engine.plan());
    return before === (await stored(fleet)) ? ['plan again: nothing'] : ['the plan has moved something', ...moved];
  },

  async check(world) {
    const fleet = await world.fleet();
    const rollouts = (await listRollouts(fleet.database.db)).reverse();
    const broken = violations(snapshotOf({ rollouts })).map(({ promise, sentence }) => `${promise}: ${sentence}`);
    for (const lane of rollouts.flatMap((rollout) => rollout.lanes)) {
      for (const { step, counters } of lane.steps) {
        const folded = await foldCounters(fleet.database.db, lane.id, step, lane.budgetEpoch);
        if (Object.entries(folded).some(([key, count]) => counters[key as keyof typeof counters] !== count))
          broken.push(`D2: ${lane.region} step ${step + 1} is not the fold of its attempts`);
      }
    }
    if (!(await verifyAudit(fleet.database.db)).ok) broken.push('D6: the audit chain is broken');
    return broken.length + fleet.violations.length === 0 ? ['no promise is broken'] : [...broken, ...fleet.violations];
  },
};

/** What the next check-in of an agent says of its host. */
const SAYS: Record<string, (agent: ModelAgent, how: string, rest: string[]) => void> = {
  run(agent, version, rest) {
    const digest = digestOf(rest.length === 0 ? version : `${version} ${rest.join(' ')}`);
    agent.products = agent.products.map((one) => ({ ...one, version, digest }));
  },
  have(agent, how, rest) {
    agent.host = { ...agent.host, facts: Object.fromEntries([how, ...rest].map((one) => one.split('='))) };
  },
  feel(agent, how, rest) {
    const isWell = how === 'well';
    const healthReason = isWell ? null : rest.join(' ');
    agent.host = { ...agent.host, health: isWell ? 'ok' : 'unhealthy', healthReason };
  },
};

/** Everything that a plan could have written. */
async function stored(fleet: Fleet): Promise<string> {
  const [last] = await listAudit(fleet.database.db, { limit: 1 });
  const holds = await fleet.database.db
    .selectFrom('lane_holds')
    .selectAll()
    .orderBy('lane_id')
    .orderBy('since')
    .execute();
  return JSON.stringify([last?.hash, holds, await listRollouts(fleet.database.db)]);
}

async function reportLate(world: World, name: string, state: 'succeeded' | 'rolled_back'): Promise<void> {
  const agent = agentNamed(world, name);
  const [attempt] = agent.attempts;
  if (attempt === undefined) throw new Error(`${name} has no attempt to report on`);
  if (state === 'succeeded') {
    const { database } = await world.fleet();
    const row = await database.db
      .selectFrom('attempts')
      .selectAll()
      .where('id', '=', attempt.id)
      .executeTakeFirstOrThrow();
    agent.products = [{ product: row.product, version: row.version, digest: digestOf(row.version) }];
  }
  agent.attempts = [{ ...attempt, state, cause: state === 'rolled_back' ? 'crash_loop' : null }];
  world.away.delete(name);
  await agent.checkIn();
}
