// What goes wrong, once in a while, until the calm: one line per fault in a table.
import type { Fleet } from './fleet.ts';
import type { Network } from './network.ts';
import type { Random } from './random.ts';
import { drawSettings, FAULT_EVENTS, type FaultEvent } from './seed-plan.ts';
import { CRASH_MARKS, type SimServer } from './server.ts';
import type { World } from './world.ts';

interface Parts {
  world: World;
  server: SimServer;
  network: Network;
  fleet: Fleet;
  random: Random;
}

const SECOND = 1000;
const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

const TRUST = { actor: 'dana', reason: 'it is right' };

const FAULTS: Record<FaultEvent, (parts: Parts) => void> = {
  partition_region({ world, network, random }) {
    const until = world.time.now() + random.between(1, 20) * MINUTE * world.plan.scale;
    network.cut(random.pick(world.plan.regions), random.pick(['both', 'requests', 'replies'] as const), until);
  },
  partition_agent({ world, network, fleet, random }) {
    const member = some(fleet, random);
    if (member === undefined) return;
    const until = world.time.now() + random.between(1, 40) * MINUTE * world.plan.scale;
    network.cut(member.agent.identity.name, random.pick(['both', 'replies'] as const), until);
  },
  crash_now({ server, random }) {
    server.crash(random.pick([0, 10 * SECOND, 30 * MINUTE]));
  },
  crash_at_query({ server, random }) {
    server.crashAtQuery(random.between(1, 60));
  },
  crash_at_mark({ server, random }) {
    server.crashAtMark(random.pick(CRASH_MARKS));
  },
  restart({ server, random }) {
    server.restart(random.pick([0, 5 * SECOND, HOUR]));
  },
  reload({ world, server, random }) {
    const { regions, productNames, scale, theme } = world.plan;
    const drawn = drawSettings(random.fork(`reload ${world.time.now()}`), {
      regions,
      productNames,
      scale,
      unit: scale * SECOND,
      theme,
    });
    const freezes = random.chance(20) ? [freezeToday(server)] : [];
    server.settings = { ...drawn, freezes };
    world.marks.hit('config_reloaded');
    server.restart(2 * SECOND);
  },
  pause({ world, server, random }) {
    world.marks.hit('server_paused');
    server.pause(random.pick([2 * SECOND, MINUTE, 10 * MINUTE, HOUR]));
  },
  clock_step({ world, server, random }) {
    const size = random.pick([SECOND, MINUTE, HOUR, DAY, 400 * DAY, 10 * YEAR]);
    const ms = random.chance(50) ? size : -size;
    world.marks.hit(ms > 0 ? 'clock_stepped_forward' : 'clock_stepped_back');
    if (size > DAY) world.marks.hit('clock_stepped_years');
    if (size === SECOND) world.marks.hit('clock_stepped_by_a_second');
    if (size === HOUR || size === DAY) world.marks.hit('clock_stepped_by_hours');
    world.say(`clock: steps by ${ms / SECOND} s`);
    server.stepClock(ms);
    // Somebody notices.
    const back = () => {
      if (!world.truth.calm) server.stepClock(-ms);
    };
    if (random.chance(60)) world.time.after(random.between(1, 60) * MINUTE, back);
    const trust = () => void server.call((engine) => engine.operator.trustClock(TRUST)).catch(() => {});
    if (random.chance(30)) world.time.after(random.between(60, 280) * SECOND, trust);
  },
  vanish({ world, fleet, random }) {
    const member = some(fleet, random);
    if (member !== undefined) fleet.vanish(member, random.pick([5, 30, 120]) * MINUTE * world.plan.scale);
  },
  kill_agent({ world, fleet, random }) {
    world.marks.hit('agent_killed');
    some(fleet, random)?.agent.kill();
  },
  lie({ world, fleet, random }) {
    const member = some(fleet, random);
    if (member !== undefined) fleet.lie(member, random.between(2, 10) * MINUTE * world.plan.scale);
  },
  clone({ world, fleet, random }) {
    const member = some(fleet, random);
    if (member !== undefined) fleet.clone(member, random.between(2, 20) * MINUTE * world.plan.scale);
  },
  go_dark({ world, random }) {
    world.truth.darkForMs = random.between(20, 40) * MINUTE * world.plan.scale;
  },
  lose_offers({ world, random }) {
    world.truth.loseOffersUntil = world.time.now() + random.between(5, 20) * MINUTE * world.plan.scale;
  },
};

export function createFaults(parts: Omit<Parts, 'random'>): { strike(): void } {
  const random = parts.world.random.fork('fault events');
  const { events } = parts.world.plan.faults;
  const entries = FAULT_EVENTS.map((name) => [events[name], name] as const);
  const isQuiet = entries.every(([weight]) => weight === 0);
  return {
    strike() {
      if (isQuiet) return;
      const name = random.weighted(entries);
      parts.world.say(`fault: ${name}`);
      FAULTS[name]({ ...parts, random });
    },
  };
}

function some(fleet: Fleet, random: Random) {
  const there = fleet.members.filter((member) => !member.gone);
  return there.length === 0 ? undefined : random.pick(there);
}

function freezeToday(server: SimServer) {
  const day = new Date(server.wallNow()).toISOString().slice(0, 10);
  return { from: day, to: day, reason: 'a freeze', regions: null };
}
