// The database goes back to an earlier copy while agents and hosts have gone on; what the world holds true goes back with it.
import { AppError } from '../../src/errors.ts';
import { listBrakes } from '../../src/store/controls.ts';
import type { DrawnRestore } from './draw-dual.ts';
import type { Fleet, Member } from './fleet.ts';
import type { Github } from './github.ts';
import type { Operators } from './operators.ts';
import type { SimServer } from './server.ts';
import type { Disk } from './sim-host.ts';
import type { World } from './world.ts';

const LOOK_MS = 2_000;

interface Parts {
  world: World;
  server: SimServer;
  github: Github;
  fleet: Fleet;
  operators: Operators;
  /** What the checks have folded so far; the result puts it back. */
  keep(): () => void;
}

/** Puts all that were drawn into the world's time. */
export function planRestores(parts: Parts): void {
  const { world } = parts;
  const random = world.random.fork('restores');
  for (const drawn of world.plan.dual.restores) {
    let backup: (() => Promise<void>) | undefined;
    let known = new Set<string>();
    whenever(parts, drawn.backupAt, drawn.patienceMs, isUnderWay, () => {
      backup = takeBackup(parts, drawn);
      known = new Set(world.truth.instructed.keys());
    });
    const isToLose = (disk: Disk) => hotOf(disk).some((id) => known.has(id) === drawn.isSoon);
    whenever(parts, drawn.restoreAt, drawn.patienceMs, isToLose, () => {
      if (backup === undefined || world.truth.calm) return;
      backup().then(
        () => lookAndGoOn(parts, drawn.downMs + drawn.lookMs),
        (error: unknown) => world.broken('M3', `the restore fails: ${(error as Error).stack}`),
      );
    });

    /** A person looks, and takes the brake off; asks again where nobody answers. */
    function lookAndGoOn({ server }: Parts, lookMs: number): void {
      world.time.after(lookMs, () => {
        const off = { scope: 'fleet', on: false, actor: 'dana', reason: 'looked at what has changed' } as const;
        server
          .call((engine) => engine.operator.setBrake(off))
          .catch((error: unknown) => {
            if (!(error instanceof AppError)) world.broken('D0', `the brake meets a bug: ${(error as Error).stack}`);
            else if (!world.truth.calm) lookAndGoOn(parts, random.between(1, 5) * 60_000);
          });
      });
    }
  }
}

/** Once it is so on a host, from that instant on; or else when the patience is at its end. */
function whenever(
  { world, fleet }: Parts,
  from: number,
  patienceMs: number,
  is: (disk: Disk) => boolean,
  run: () => void,
): void {
  const look = () => {
    const isLate = world.time.now() >= from + patienceMs;
    if (isLate || fleet.members.some(({ agent, lies }) => !lies && is(agent.disk))) run();
    else world.time.after(LOOK_MS * world.plan.scale, look);
  };
  world.time.at(from, look);
}

function isUnderWay(disk: Disk): boolean {
  return Object.values(disk.journal).some(({ kind }) => kind !== 'idle');
}

/** Attempts that are at risk there, or whose outcome nobody has acknowledged. */
function hotOf(disk: Disk): string[] {
  return Object.values(disk.journal).flatMap((state) =>
    ['activating', 'proving', 'judging', 'ended'].includes(state.kind) && state.kind !== 'idle'
      ? [state.order.attempt]
      : [],
  );
}

/** As of now; the result restores it. */
function takeBackup({ world, server, github, fleet, operators, keep }: Parts, { knowsEpoch, downMs }: DrawnRestore) {
  const { truth } = world;
  const image = server.image();
  const putBack = keep();
  const instructed = new Map(truth.instructed);
  const acknowledged = new Map(truth.acknowledged);
  const { observableMs } = truth;
  world.marks.hit('backup_taken');
  world.say('operator: takes a backup');
  return async () => {
    world.say('operator: restores the backup');
    const heardOf = Math.max(...fleet.members.map(({ agent }) => agent.disk.counters.epoch));
    const epoch = await server.restore(image, knowsEpoch, downMs);
    // The time is all that tells two such restores apart.
    const isTold = knowsEpoch || truth.clockSteppedAt < truth.restoredAt;
    if (epoch <= heardOf && isTold)
      world.broken('M3.epoch', `the epoch is ${epoch}, and an agent has heard of ${heardOf}`);
    world.marks.hit(knowsEpoch ? 'restored' : 'restored_over_a_damaged_one');
    putBack();
    const isLost = ({ disk }: Member['agent']) => hotOf(disk).some((id) => !instructed.has(id));
    if (fleet.members.some(({ agent }) => isLost(agent))) world.marks.hit('attempt_of_the_lost_future');
    truth.instructed = instructed;
    truth.acknowledged = acknowledged;
    truth.observableMs = observableMs;
    for (const [id, at] of truth.heard) truth.heard.set(id, Math.min(at, observableMs));
    truth.restores += 1;
    truth.restoredAt = world.time.now();
    truth.reportedSince = new Set();
    truth.toldSince = new Map();
    // Those that were lifted since the backup, too.
    for (const { scope } of await listBrakes(server.database.db)) operators.brakes.add(scope);
    await github.lookAgain();
    const known = new Set((await server.database.db.selectFrom('agents').select('id').execute()).map(({ id }) => id));
    fleet.forget((id) => !known.has(id));
  };
}
