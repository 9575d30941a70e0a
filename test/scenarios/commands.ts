// The commands of the scenario scripts: each does one thing to the world and returns the lines that it prints.

import { violations } from '../../src/domain/check.ts';
import { LANE_VERBS, type LaneVerb } from '../../src/domain/verbs.ts';
import { AppError } from '../../src/errors.ts';
import { foldCounters } from '../../src/store/attempts.ts';
import { listAudit, verifyAudit } from '../../src/store/audit.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import { digestOf } from '../support/fixtures.ts';
import type { Behaviour, Fleet } from '../support/fleet.ts';
import { snapshotOf } from '../support/snapshots.ts';
import { duration, limits, names, policy, weekly } from './language.ts';
import { attemptsTable, auditTable, instant, lanesTable } from './show.ts';
import {
  advance,
  agentNamed,
  changes,
  laneStates,
  publish,
  setAvailability,
  setPolicy,
  update,
  type World,
} from './world.ts';

type Command = (world: World, words: string[]) => Promise<string[]> | string[];

/** Runs one line. What the engine refuses is printed; what the script gets wrong throws. */
export async function runCommand(world: World, line: string): Promise<string[]> {
  const [name = '', ...words] = line.split(' ');
  const command = COMMANDS[name];
  if (command === undefined) throw new Error(`no such command: ${name}`);
  try {
    return await command(world, words);
  } catch (error) {
    if (error instanceof AppError) return [`refused: ${error.message}`];
    throw error;
  }
}

const BEHAVIOURS: Record<string, Behaviour> = {
  ok: 'works',
  crash: 'crashes',
  vanish: 'vanishes',
  'fail-download': 'download_fails',
};

const COMMANDS: Record<string, Command> = {
  /** `policy [patch|minor|major] waves=… steps=… …` */
  policy(world, words) {
    const named = words[0]?.includes('=') === false;
    setPolicy(world, policy(named ? (words[0] as string) : 'standard', named ? words.slice(1) : words));
    return [];
  },

  /** `windows us allow mon-thu 09:00-16:00 [deny tue 12:00-13:00] America/New_York` */
  windows(world, [region = '', ...words]) {
    const calendar = world.surroundings.calendars.find((one) => one.region === region);
    if (calendar === undefined) throw new Error(`no policy names ${region}`);
    for (let at = 0; at < words.length; ) {
      const [word, days, times] = words.slice(at, at + 3) as [string, string, string];
      if (word === 'allow' || word === 'deny') calendar.windows[word].push(weekly(days, times));
      else calendar.timeZone = word;
      at += word === 'allow' || word === 'deny' ? 3 : 1;
    }
    return [];
  },

  /** `freeze 2026-12-20 2027-01-02 end of year` */
  freeze(world, [from = '', to = '', ...reason]) {
    world.surroundings.freezes = [{ from, to, reason: reason.join(' '), regions: null }];
    return [];
  },

  limits(world, words) {
    world.surroundings.limits = limits(words);
    return [];
  },

  /** `clock 2026-01-05T14:00Z`: when the story begins. */
  clock(world, [at = '']) {
    world.startAt = Date.parse(at);
    return [instant(world.startAt)];
  },

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
   * `agents c1..c5 update ok|crash|vanish|fail-download` at once; `… will crash` when time goes on; `… leave`, `… return`;
   * `… report succeeded` for one that had vanished while it was at it.
   */
  async agents(world, [list = '', what = '', how = 'ok']) {
    const chosen = names(list, [...world.agents.keys()]);
    if (what === 'update') {
      return await watching(world, () => update(world, chosen, () => BEHAVIOURS[how] ?? 'works'));
    }
    for (const name of chosen) {
      if (what === 'will') world.behaviours.set(name, BEHAVIOURS[how] ?? 'works');
      else if (what === 'leave') world.away.add(name);
      else if (what === 'return') world.away.delete(name);
    }
    if (what !== 'report') return [];
    return await watching(world, async () => {
      for (const name of chosen) await reportLate(world, name, how as 'succeeded' | 'rolled_back');
    });
  },

  /** `advance 10m [except b1,b2]`: everybody who is there checks in once a minute and does what is asked. */
  async advance(world, [time = '', , except]) {
    const all = [...world.agents.keys()];
    const absent = except === undefined ? [] : names(except, all);
    return await advance(
      world,
      duration(time),
      all.filter((name) => !absent.includes(name)),
    );
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

  /** `verb promote 1.1.0 [eu] [step 1]` */
  async verb(world, [verb = '', version = '', ...rest]) {
    if (!LANE_VERBS.some((one) => one === verb)) throw new Error(`no such verb: ${verb}`);
    const at = rest.indexOf('step');
    const region = at === 0 ? undefined : rest[0];
    return await watching(world, async () => {
      const fleet = await world.fleet();
      const changed = await fleet.engine.operator.verb(await rolloutOf(fleet, version), {
        verb: verb as LaneVerb,
        region: region ?? null,
        expectedStep: at < 0 ? null : Number(rest[at + 1]) - 1,
        vetoRelease: false,
        actor: 'dana',
        reason: `${verb} by hand`,
      });
      return changed ? [] : ['it already was so'];
    });
  },

  /** `veto 1.1.0`: halts it everywhere and lets it never come back. */
  async veto(world, [version = '', ...reason]) {
    return await watching(world, async () => {
      const fleet = await world.fleet();
      const options = { region: null, vetoRelease: true, actor: 'dana', reason: reason.join(' ') || 'no good' };
      await fleet.engine.operator.halt(await rolloutOf(fleet, version), options);
    });
  },

  /** `brake on|off region:eu` */
  async brake(world, [state, scope = '']) {
    return await watching(world, async () => {
      const fleet = await world.fleet();
      await fleet.engine.operator.setBrake({ scope, on: state === 'on', actor: 'dana', reason: 'something smells' });
    });
  },

  lanes: async (world) => await lanesTable(await world.fleet()),

  /** Why nothing goes out of a product that has no rollout. */
  async holds(world) {
    const fleet = await world.fleet();
    return fleet.engine.operator
      .productHolds()
      .map(
        ({ product, reason, sentence, until }) =>
          `${product} ${reason}: ${sentence}${until === null ? '' : ` (until ${instant(until)})`}`,
      );
  },

  async explain(world, [name = '']) {
    const fleet = await world.fleet();
    const found = await fleet.engine.operator.explain(agentNamed(world, name).id);
    return found.flatMap(({ answer, trace }) => [
      ...trace.map(({ rule, result, sentence }) => `${result.padEnd(4)} ${rule}: ${sentence}`),
      `answer: ${answer}`,
    ]);
  },

  attempts: attemptsTable,

  /** `audit last 3` */
  audit: async (world, [, count = '10']) => await auditTable(world, Number(count)),

  /** Which versions run where, and how many agents are there. */
  async versions(world) {
    const fleet = await world.fleet();
    return fleet.engine.operator
      .versions()
      .map(({ region, version, agents, present }) => `${region} ${version}: ${agents} (${present} present)`)
      .sort();
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

/** What the command prints, then the lanes that it has moved. */
async function watching(world: World, run: () => Promise<unknown>): Promise<string[]> {
  const fleet = await world.fleet();
  const before = await laneStates(fleet);
  const printed = await run();
  await fleet.engine.plan();
  return [...(Array.isArray(printed) ? printed : []), ...changes(before, await laneStates(fleet), fleet.clock.now())];
}

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

async function rolloutOf(fleet: Fleet, version: string): Promise<string> {
  const found = (await listRollouts(fleet.database.db)).find((rollout) => rollout.version === version);
  if (found === undefined) throw new Error(`no rollout of ${version}`);
  return found.id;
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
