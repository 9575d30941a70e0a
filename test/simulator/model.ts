// What the audit trail has told so far, folded by the simulator itself: the promises compare new commits with it.
import type { AttemptRow, AuditRow, Books } from './books.ts';
import { applyRestore } from './restore-promises.ts';

export interface LaneModel {
  halted: boolean;
  /** The reason of the last halt. */
  haltedFor: string | null;
  paused: boolean;
  /** The last opened step; null before the first. */
  step: number | null;
  /** Steps that are done and have not been undone by a retry. */
  done: Set<number>;
  /** Who has promoted or approved each step, and what they saw. */
  promoted: Map<number, Map<string, Consent>>;
  /** Milliseconds since the world began. */
  openedAt: number | null;
  /** By step: observable time at which it was done, less what the lane had been stopped for. */
  doneAt: Map<number, number>;
  /** Paused or braked: observable time of that so far, and since when it is so now. */
  stoppedMs: number;
  stoppedSince: number | null;
  /** Members by step, as they were frozen. */
  sizes: Map<number, number>;
  /** Outcomes that people have accepted. */
  allowance: number;
  goesBack: boolean;
  /** How often it has been rolled back. */
  timesBack: number;
}

export interface Consent {
  /** By the server's clock. */
  at: number;
  /** Files that the release had. */
  files: number;
}

export interface AttemptModel {
  state: string;
  agentId: string;
  laneId: string;
  step: number;
  budgetEpoch: number;
  member: boolean;
  hop: boolean;
  /** Observable time at the grant. */
  grantedAt: number | null;
}

export interface Model {
  lanes: Map<string, LaneModel>;
  attempts: Map<string, AttemptModel>;
  brakes: Set<string>;
  /** `product@version`. */
  vetoes: Set<string>;
  /** Ends without a success, by lane, budget epoch and agent. */
  setbacks: Map<string, number>;
  /** `agent product`. */
  pins: Set<string>;
  /** What lanes were rolled back from: `product region version`. */
  takenBack: Set<string>;
  /** The server's clock is doubted. */
  clockDoubted: boolean;
  /** When grants were committed: milliseconds since the world began, ascending, and by the server's clock. */
  grants: { at: number; wall: number }[];
  /** Lanes that were held as silent at the last look. */
  silent: Set<string>;
  /** Restored, and nobody has said that it may go on. */
  awaitsPerson: boolean;
  /** Attempts that were adopted since the last restore. */
  adopted: Set<string>;
  /** Agents that have enrolled since then: they have said what they run. */
  enrolledSince: Set<string>;
  /** Agents that the books have taken out of the fleet. */
  unenrolled: Set<string>;
}

/** What the world was like when a row was written. */
export interface Moment {
  /** Milliseconds since the world began. */
  now: number;
  observable: number;
  /** Files that the release has. */
  filesOf(product: string, version: string): number;
}

export function newModel(): Model {
  return {
    lanes: new Map(),
    attempts: new Map(),
    brakes: new Set(),
    vetoes: new Set(),
    setbacks: new Map(),
    pins: new Set(),
    takenBack: new Set(),
    clockDoubted: false,
    grants: [],
    silent: new Set(),
    awaitsPerson: false,
    adopted: new Set(),
    enrolledSince: new Set(),
    unenrolled: new Set(),
  };
}

export function laneOf(model: Model, id: string): LaneModel {
  const known = model.lanes.get(id);
  if (known !== undefined) return known;
  const fresh: LaneModel = {
    halted: false,
    haltedFor: null,
    paused: false,
    step: null,
    done: new Set(),
    promoted: new Map(),
    openedAt: null,
    doneAt: new Map(),
    stoppedMs: 0,
    stoppedSince: null,
    sizes: new Map(),
    allowance: 0,
    goesBack: false,
    timesBack: 0,
  };
  model.lanes.set(id, fresh);
  return fresh;
}

const SETBACKS = ['rolled_back', 'failed', 'inconclusive', 'declined', 'lost'];

/** What an agent has spent going forward counts for nothing on a way back. */
export function setbackKey(attempt: Pick<AttemptRow, 'lane_id' | 'step' | 'budget_epoch' | 'agent_id'>): string {
  const way = attempt.step < 0 ? `back ${attempt.step}` : attempt.budget_epoch;
  return `${attempt.lane_id} ${way} ${attempt.agent_id}`;
}

/** A person lets the agent try that release again. */
function clear({ setbacks }: Model, { subject, data }: AuditRow, books: Books): void {
  for (const key of [...setbacks.keys()]) {
    const lane = books.lanes.get(key.split(' ')[0] as string);
    const isOfRelease = lane?.product === data['product'] && lane?.version === data['version'];
    if (isOfRelease && key.endsWith(` ${subject}`)) setbacks.delete(key);
  }
}

/** One row more. Changes the model. */
export function applyRow(model: Model, row: AuditRow, books: Books, moment: Moment): void {
  const { now, observable } = moment;
  const [about = '', what = ''] = row.action.split('.');
  if (row.action === 'brake.on') model.brakes.add(row.subject);
  if (row.action === 'brake.off') model.brakes.delete(row.subject);
  if (row.action === 'release.vetoed') model.vetoes.add(row.subject);
  if (row.action === 'release.unvetoed') model.vetoes.delete(row.subject);
  if (row.action === 'agent.pinned') model.pins.add(`${row.subject} ${row.data['product']}`);
  if (row.action === 'agent.unpinned') model.pins.delete(`${row.subject} ${row.data['product']}`);
  if (row.action === 'agent.unenrolled') {
    model.unenrolled.add(row.subject);
    // Its pins go with it.
    for (const pin of model.pins) if (pin.startsWith(`${row.subject} `)) model.pins.delete(pin);
  }
  if (row.action === 'quarantine.cleared') clear(model, row, books);
  if (row.action === 'lane.rolling_back') {
    const lane = books.lanes.get(row.subject);
    model.takenBack.add(`${lane?.product} ${lane?.region} ${lane?.version}`);
  }
  if (row.action === 'clock.suspected') model.clockDoubted = true;
  if (row.action === 'clock.trusted') model.clockDoubted = false;
  if (row.action === 'attempt.granted') model.grants.push({ at: now, wall: row.at });
  applyRestore(model, row);
  if (about === 'attempt' && what !== 'adopted') {
    const attempt = books.attempts.get(row.subject);
    const known = model.attempts.get(row.subject);
    model.attempts.set(row.subject, {
      state: what,
      agentId: attempt?.agent_id ?? '',
      laneId: attempt?.lane_id ?? '',
      step: attempt?.step ?? 0,
      budgetEpoch: attempt?.budget_epoch ?? 0,
      member: attempt?.member === 1,
      hop: attempt?.hop === 1,
      grantedAt: what === 'granted' ? observable : (known?.grantedAt ?? null),
    });
    if (attempt !== undefined && SETBACKS.includes(what) && !(known !== undefined && SETBACKS.includes(known.state))) {
      const key = setbackKey(attempt);
      model.setbacks.set(key, (model.setbacks.get(key) ?? 0) + 1);
    }
  }
  if (about === 'lane' || about === 'step' || about === 'baseline')
    applyToLane(laneOf(model, row.subject), row, books, moment);
  if (about === 'lane' || about === 'brake') stopOrGoOn(model, books, observable);
}

/** Observable time without that in which the lane was paused or braked: what a soak is counted in. */
export function soakTime({ stoppedMs, stoppedSince }: LaneModel, observable: number): number {
  return observable - stoppedMs - (stoppedSince === null ? 0 : observable - stoppedSince);
}

function stopOrGoOn(model: Model, books: Books, observable: number): void {
  for (const [id, lane] of model.lanes) {
    const row = books.lanes.get(id);
    if (row === undefined) continue;
    const scopes = ['fleet', `product:${row.product}`, `region:${row.region}`];
    const isStopped = lane.paused || scopes.some((scope) => model.brakes.has(scope));
    if (isStopped === (lane.stoppedSince !== null)) continue;
    if (lane.stoppedSince !== null) lane.stoppedMs += observable - lane.stoppedSince;
    lane.stoppedSince = isStopped ? observable : null;
  }
}

function applyToLane(lane: LaneModel, row: AuditRow, books: Books, { now, observable, filesOf }: Moment): void {
  const step = Number(row.data['step'] ?? 0);
  switch (row.action) {
    case 'lane.rolling_back':
      lane.halted = false;
      lane.paused = false;
      lane.goesBack = true;
      lane.timesBack += 1;
      lane.openedAt = now;
      return;
    case 'lane.rolled_back':
      lane.goesBack = false;
      return;
    case 'lane.halted':
      lane.halted = true;
      lane.haltedFor = String(row.data['reason']);
      lane.goesBack = false;
      lane.paused = false;
      return;
    case 'lane.retried':
      lane.halted = false;
      if (lane.step === null) return;
      lane.done.delete(lane.step);
      lane.promoted.delete(lane.step);
      return;
    case 'lane.lifted':
      lane.halted = false;
      lane.paused = row.data['state'] === 'paused';
      if (lane.step !== null) lane.done.delete(lane.step);
      return;
    case 'lane.paused':
      lane.paused = true;
      return;
    case 'lane.resumed':
      lane.paused = false;
      return;
    case 'lane.accepted':
      lane.halted = false;
      lane.allowance = Number(row.data['allowance']);
      if (lane.step === null) return;
      lane.done.delete(lane.step);
      lane.promoted.delete(lane.step);
      return;
    case 'lane.skipped':
      lane.halted = false;
      return;
    case 'lane.promoted':
    case 'lane.approved': {
      const about = Number(row.data['step'] ?? lane.step);
      const of = books.lanes.get(row.subject);
      const consent = { at: row.at, files: of === undefined ? 0 : filesOf(of.product, of.version) };
      lane.promoted.set(about, new Map([...(lane.promoted.get(about) ?? []), [row.actor, consent]]));
      return;
    }
    case 'baseline.opened':
      lane.openedAt = now;
      lane.step = 0;
      return;
    case 'step.opened':
      lane.openedAt ??= now;
      lane.step = step;
      lane.sizes.set(step, Number(row.data['size']));
      return;
    case 'step.done':
      lane.done.add(step);
      lane.doneAt.set(step, soakTime(lane, observable));
      return;
  }
}
