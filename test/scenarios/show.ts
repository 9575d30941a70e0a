// What scenarios print: lanes, attempts and audit rows, with names in place of ids and times to the minute, in UTC.
import { isSkipped, type Lane } from '../../src/domain/rollout.ts';
import { wayBackOf } from '../../src/domain/way-back.ts';
import { listAudit } from '../../src/store/audit.ts';
import { openHolds } from '../../src/store/holds.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import type { Fleet } from '../support/fleet.ts';
import type { World } from './world.ts';

const NOTHING_TO_DO = 'completed, nothing to do';

export function describeLane({ state, steps }: Lane): string {
  if (state.name === 'completed') return state.evidence ? 'completed' : NOTHING_TO_DO;
  if (state.name === 'rolling_back') return `rolling back to ${state.to.version}`;
  if (state.name === 'rolled_back') return `rolled back to ${state.to}`;
  if (isSkipped(state)) return 'cancelled, skipped';
  const step = steps.at(-1);
  return step === undefined || state.name === 'waiting' ? state.name : `${state.name} step ${step.step + 1}`;
}

/** Oldest rollout first, without those that found nothing to do. */
export async function lanesTable(fleet: Fleet): Promise<string[]> {
  const holds = new Map((await openHolds(fleet.database.db)).map((hold) => [hold.laneId, hold]));
  const rows = [['rollout', 'wave', 'region', 'state', 'ok/bad/hot/size', 'held because']];
  for (const rollout of (await listRollouts(fleet.database.db)).reverse()) {
    if (rollout.lanes.every((lane) => describeLane(lane) === NOTHING_TO_DO)) continue;
    for (const lane of rollout.lanes) {
      const step = lane.state.name === 'rolling_back' ? wayBackOf(lane) : lane.steps.at(-1);
      const counts = step?.counters;
      const numbers = counts === undefined ? '-' : `${counts.succeeded}/${counts.bad}/${counts.hot}/${step?.size}`;
      const hold = holds.get(lane.id);
      const until = hold?.until == null ? '' : ` (until ${instant(hold.until)})`;
      const why = hold === undefined ? '-' : `${hold.reason}: ${hold.sentence}${until}`;
      rows.push([rollout.version, String(lane.wave + 1), lane.region, describeLane(lane), numbers, why]);
    }
  }
  return table(rows);
}

/** In the order in which they were offered; the cause where there is one. */
export async function attemptsTable(world: World): Promise<string[]> {
  const { database } = await world.fleet();
  const nameOf = new Map([...world.agents].map(([name, agent]) => [agent.id, name]));
  const rows = await database.db.selectFrom('attempts').selectAll().orderBy('id').execute();
  return table([
    ['agent', 'from', 'to', 'step', 'state'],
    ...rows.map((row) => [
      nameOf.get(row.agent_id) ?? '?',
      row.from_version,
      row.version,
      row.step < 0 ? 'back' : `${row.step + 1}${row.member === 1 ? '' : ' late'}`,
      `${row.state}${row.cause === null ? '' : `: ${row.cause}`}${row.corrected === 1 ? ', corrected' : ''}`,
    ]),
  ]);
}

/** The last rows, oldest first. */
export async function auditTable(world: World, count: number): Promise<string[]> {
  const { database } = await world.fleet();
  const rollouts = await listRollouts(database.db);
  const attempts = await database.db.selectFrom('attempts').select(['id', 'agent_id', 'version']).execute();
  const baselines = await database.db.selectFrom('lanes').selectAll().where('kind', '=', 'baseline').execute();
  const versionOf = new Map(rollouts.map(({ id, version }) => [id, version]));
  const agents = new Map([...world.agents].map(([name, agent]) => [agent.id, name]));
  const known = new Map([
    ...attempts.map((row) => [row.id, `${agents.get(row.agent_id)} to ${row.version}`] as const),
    ...[...world.agents].map(([name, agent]) => [agent.id, name] as const),
    ...baselines.map((lane) => [lane.id, `baseline ${versionOf.get(lane.rollout_id)} in ${lane.region}`] as const),
    ...rollouts.flatMap((rollout) => [
      [rollout.id, rollout.version] as const,
      ...rollout.lanes.map((lane) => [lane.id, `${rollout.version} in ${lane.region}`] as const),
    ]),
  ]);
  const rows = (await listAudit(database.db, { limit: count })).reverse();
  return table(
    rows.map(({ at, actor, action, subject, data }) => {
      const reason = (data as { reason?: string } | null)?.reason;
      return [
        instant(at),
        known.get(actor.replace('agent:', '')) ?? actor,
        action,
        known.get(subject) ?? subject,
        reason ?? '',
      ];
    }),
  );
}

/** `Mon 2026-01-05 14:00`. */
export function instant(ms: number): string {
  const date = new Date(ms);
  const day = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'][date.getUTCDay()];
  return `${day} ${date.toISOString().slice(0, 16).replace('T', ' ')}`;
}

function table(rows: string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
