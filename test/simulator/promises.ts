// The promises of the design, one function each: what was committed, held against the ground truth of the world.
import type { Policy } from '../../src/domain/policy.ts';
import type { AttemptRow, AuditRow, Books, LaneRow } from './books.ts';
import { EVIDENCE_COMMIT_PROMISES, EVIDENCE_PROMISES } from './evidence.ts';
import { laneOf, type Model, setbackKey, soakTime } from './model.ts';
import { RESTORE_PROMISES } from './restore-promises.ts';
import type { Settings } from './seed-plan.ts';
import { isLocallyOpen } from './wall-clock.ts';
import { WAY_PROMISES } from './ways.ts';
import { placeKey, releaseKey, type Truth } from './world.ts';

/** What a promise may look at. */
export interface Facts {
  books: Books;
  /** As of the row before. */
  model: Model;
  truth: Truth;
  /** What the server that is running has been told. */
  settings: Settings;
  isUp: boolean;
  /** Milliseconds since the world began. */
  now: number;
  siteOf(agentId: string, label: string): string | undefined;
}

/** Undefined: kept. */
type Objection = string | undefined;

export interface RowPromise {
  name: string;
  says: string;
  /** Before the row is folded into the model. */
  onRow(facts: Facts, row: AuditRow): Objection;
}

export interface CommitPromise {
  name: string;
  says: string;
  /** After all rows of the commit. */
  onCommit(facts: Facts): Objection;
}

const SLACK_MS = 1_500;
const QUIET_MS = 300_000;

export const ROW_PROMISES: readonly RowPromise[] = [
  {
    name: 'T3',
    says: 'nothing is granted where it was not available when the lane opened, or has turned absent',
    onRow({ books, model, truth }, row) {
      const [attempt, lane] = subjectOf(books, row, ['attempt.granted']);
      if (attempt === undefined || lane === undefined) return undefined;
      const { product, version, platform } = attempt;
      const history = truth.availability.get(placeKey(product, version, lane.region, platform)) ?? [];
      const openedAt = laneOf(model, lane.id).openedAt ?? 0;
      const known = history.findLast(({ status }) => status !== 'unknown')?.status;
      const then = history.findLast(({ at }) => at <= openedAt)?.status;
      const since = history.some(({ at, status }) => at >= openedAt && status === 'available');
      if (attempt.step < 0 && known !== 'absent') return undefined;
      if (known === 'available' && (then === 'available' || since)) return undefined;
      return `${version} was granted in ${lane.region} on ${platform}: ${then} when the lane opened, ${known} now`;
    },
  },
  {
    name: 'T4',
    says: 'the artifact is that of the platform',
    onRow({ books, truth }, row) {
      const [attempt] = subjectOf(books, row, ['attempt.offered', 'attempt.granted']);
      if (attempt === undefined) return undefined;
      const release = truth.releases.get(releaseKey(attempt.product, attempt.version));
      return release?.digests.get(attempt.platform) === attempt.sha256
        ? undefined
        : `${attempt.version} for ${attempt.platform} came as ${attempt.sha256.slice(0, 12)}`;
    },
  },
  {
    name: 'T5',
    says: 'who is braked, pinned, taken out of the fleet or has used up its attempts gets nothing',
    onRow({ books, model }, row) {
      const [attempt, lane] = subjectOf(books, row, ['attempt.offered', 'attempt.granted']);
      if (attempt === undefined || lane === undefined) return undefined;
      const scopes = ['fleet', `product:${lane.product}`, `region:${lane.region}`];
      const brake = scopes.find((scope) => model.brakes.has(scope));
      if (brake !== undefined) return `${row.action} under the brake ${brake}`;
      if (model.unenrolled.has(attempt.agent_id)) return `${row.action} to an agent that was taken out`;
      if (model.pins.has(`${attempt.agent_id} ${attempt.product}`)) return `${row.action} to an agent that is pinned`;
      if (row.action !== 'attempt.offered') return undefined;
      const { attemptsPerAgent } = lane.policy;
      const spent = model.setbacks.get(setbackKey(attempt)) ?? 0;
      return spent >= attemptsPerAgent ? `offered again after ${spent} of ${attemptsPerAgent} attempts` : undefined;
    },
  },
  {
    name: 'S5',
    says: 'nothing new once a halt, a pause or a veto is committed',
    onRow({ books, model }, row) {
      const [attempt, lane] = subjectOf(books, row, ['attempt.offered', 'attempt.granted']);
      if (attempt === undefined || lane === undefined) return undefined;
      const { halted, paused } = laneOf(model, lane.id);
      if (halted || paused) return `${row.action} in ${lane.region} in a lane that is ${halted ? 'halted' : 'paused'}`;
      // What is taken back is vetoed; what it goes back to must not be.
      const release = releaseKey(lane.product, attempt.step < 0 ? attempt.version : lane.version);
      return model.vetoes.has(release) ? `${row.action} of ${release}, which is vetoed` : undefined;
    },
  },
  {
    name: 'S5.upstream',
    says: 'nothing of a release that was withdrawn or altered',
    onRow({ books, truth }, row) {
      const [attempt] = subjectOf(books, row, ['attempt.offered', 'attempt.granted']);
      if (attempt === undefined) return undefined;
      const isGone = truth.releases.get(releaseKey(attempt.product, attempt.version))?.gone === true;
      return isGone ? `${row.action} of ${attempt.version}, which is gone` : undefined;
    },
  },
  {
    name: 'S1',
    says: 'a step opens only after the one before it has passed',
    onRow({ books, model }, row) {
      if (row.action !== 'step.opened') return undefined;
      const lane = books.lanes.get(row.subject);
      const { step, done } = laneOf(model, row.subject);
      const next = Number(row.data['step']);
      if (step === null) return undefined;
      if (next <= step) return `step ${next + 1} opened after step ${step + 1} in ${lane?.region}`;
      return done.has(step) ? undefined : `step ${next + 1} opened before step ${step + 1} passed in ${lane?.region}`;
    },
  },
  {
    name: 'S1.order',
    says: 'a rollout goes wave by wave',
    onRow({ books }, row) {
      const lane = books.lanes.get(row.subject);
      if (row.action !== 'step.opened' || lane === undefined || lane.kind !== 'rollout') return undefined;
      const before = [...books.lanes.values()].find(
        (one) =>
          one.kind === 'rollout' &&
          one.rollout_id === lane.rollout_id &&
          one.wave < lane.wave &&
          !PASSES.includes(one.state),
      );
      return before === undefined ? undefined : `${lane.region} opened while ${before.region} is ${before.state}`;
    },
  },
  {
    name: 'S2',
    says: 'a step without members never passes',
    onRow({ model }, row) {
      if (row.action !== 'step.done') return undefined;
      return laneOf(model, row.subject).sizes.get(Number(row.data['step'])) === 0 ? 'an empty step passed' : undefined;
    },
  },
  {
    name: 'S9',
    says: 'a manual step is passed by people alone, of late, and for the files that they saw',
    onRow({ books, model, truth }, row) {
      const lane = books.lanes.get(row.subject);
      if (lane === undefined || lane.kind !== 'rollout') return undefined;
      const { step, promoted } = laneOf(model, row.subject);
      const isPassed = row.action === 'step.opened' || (row.action === 'lane.completed' && step !== null);
      if (!isPassed || step === null || lane.policy.steps[step]?.manual !== true) return undefined;
      const { approvers: needed, expireMs } = lane.policy.approvals ?? {
        approvers: 1,
        expireMs: Number.POSITIVE_INFINITY,
      };
      const files = truth.releases.get(releaseKey(lane.product, lane.version))?.digests.size;
      const consents = [...(promoted.get(step)?.values() ?? [])];
      const people = consents.filter((one) => one.files === files && row.at - one.at < expireMs).length;
      if (people >= needed) return undefined;
      return `step ${step + 1} of ${lane.version} in ${lane.region} was passed by ${people} of ${needed} people`;
    },
  },
  {
    name: 'S9.begin',
    says: 'what the policy leaves to a person is begun by one',
    onRow({ books }, row) {
      if (row.action !== 'rollout.created' || row.actor !== 'tidegate') return undefined;
      const lane = [...books.lanes.values()].find((one) => one.rollout_id === row.subject);
      if (lane?.policy.begin !== 'manual') return undefined;
      return `the rollout of ${lane.version} has begun by itself`;
    },
  },
  {
    name: 'D1',
    says: 'an attempt ends once; only lost may be corrected, once',
    onRow({ books, model }, row) {
      const [attempt] = subjectOf(books, row);
      if (attempt === undefined || row.action === 'attempt.adopted') return undefined;
      const before = model.attempts.get(row.subject)?.state;
      if (before === undefined || !ENDS.includes(before)) return undefined;
      // The grant was in what a restore has lost.
      if (model.adopted.has(row.subject) && ['withdrawn', 'expired'].includes(before)) return undefined;
      if (before === 'lost' && attempt.corrected === 1) return undefined;
      return `the attempt ${row.subject} was ${before} and became ${row.action}`;
    },
  },
  {
    name: 'D1.truth',
    says: 'a success is booked only where the new version truly ran',
    onRow({ books, model, truth }, row) {
      const [attempt] = subjectOf(books, row, ['attempt.succeeded', 'attempt.rolled_back']);
      if (attempt === undefined || truth.dishonest.has(attempt.agent_id)) return undefined;
      // Of an outcome that a restore has lost it is enough that the agent runs it.
      if (row.action === 'attempt.succeeded' && model.adopted.has(attempt.id))
        if (truth.says.get(`${attempt.agent_id} ${attempt.product}`) === attempt.version) return undefined;
      const really = row.action === 'attempt.succeeded' ? truth.proven : truth.undone;
      return really.has(attempt.id) ? undefined : `${attempt.version}: ${row.action} of ${attempt.id} did not happen`;
    },
  },
  {
    name: 'C2.soak',
    says: 'a soak is observed time',
    onRow({ books, model, truth }, row) {
      const lane = books.lanes.get(row.subject);
      if (lane === undefined || lane.kind !== 'rollout') return undefined;
      if (row.action !== 'step.opened' && row.action !== 'lane.completed') return undefined;
      const known = laneOf(model, row.subject);
      const { step, doneAt } = known;
      const since = step === null ? undefined : doneAt.get(step);
      if (step === null || since === undefined) return undefined;
      const soakMs = lane.policy.steps[step]?.soakMs ?? 0;
      const seenMs = soakTime(known, truth.observableMs) - since;
      return seenMs + SLACK_MS >= soakMs ? undefined : `step ${step + 1} soaked for ${seenMs} of ${soakMs} ms`;
    },
  },
  {
    name: 'C2.lost',
    says: 'an attempt is lost only after its observed time',
    onRow({ books, model, truth }, row) {
      const [attempt, lane] = subjectOf(books, row, ['attempt.lost']);
      const granted = model.attempts.get(row.subject)?.grantedAt;
      // What an agent neither holds nor runs after a restore is lost at once.
      if (model.adopted.has(row.subject)) return undefined;
      if (attempt === undefined || lane === undefined || granted === undefined || granted === null) return undefined;
      const seenMs = truth.observableMs - granted;
      const { activateWithinMs, proveWithinMs, stableForMs, staleAfterMs } = lane.policy;
      const least = activateWithinMs + 2 * (proveWithinMs + stableForMs) + staleAfterMs;
      return seenMs + SLACK_MS >= least ? undefined : `lost after ${seenMs} of ${least} ms`;
    },
  },
  {
    name: 'C1',
    says: 'while the clock is doubted nothing opens and nothing is granted',
    onRow({ model, truth, now }, row) {
      const isNew = row.action === 'attempt.granted' || row.action === 'step.opened';
      // The quiet ends by itself, and is written down by the next plan.
      const isEarly = model.clockDoubted && now - truth.clockSteppedAt < QUIET_MS - SLACK_MS;
      return isNew && isEarly ? `${row.action} by a clock that is doubted` : undefined;
    },
  },
  {
    name: 'S7',
    says: 'the ceilings hold over sliding windows, across rollouts, restarts and clock steps',
    onRow({ model, truth, settings, now }, row) {
      if (row.action !== 'attempt.granted') return undefined;
      for (const [max, spanMs] of [
        [settings.limits.perHour, 3_600_000],
        [settings.limits.perDay, 86_400_000],
      ] as const) {
        // A clock that is put forward while no server runs deceives the next: all that it has is the instant in the row.
        const isKnown = (one: { at: number; wall: number }) => one.at >= truth.startedAt || row.at - one.wall < spanMs;
        const before = model.grants.filter((one) => now - one.at < spanMs && isKnown(one)).length;
        if (max !== null && before >= max) return `a grant although ${before} of ${max} were given in ${spanMs} ms`;
      }
      return undefined;
    },
  },
  {
    name: 'C4',
    says: 'a window covers the whole attempt that is granted in it',
    onRow({ books, settings }, row) {
      const [attempt, lane] = subjectOf(books, row, ['attempt.granted']);
      const calendar = settings.calendars.find(({ region }) => region === lane?.region);
      // No window holds a rollback: it is an emergency.
      if (attempt === undefined || lane === undefined || calendar === undefined || attempt.step < 0) return undefined;
      const needMs = durationOf(lane.policy);
      for (let at = row.at; at < row.at + needMs; at += 60_000) {
        if (!isLocallyOpen(calendar, settings.freezes, at))
          return `granted in ${lane.region} at ${new Date(row.at).toISOString()}, and ${new Date(at).toISOString()} is closed`;
      }
      return undefined;
    },
  },
  {
    name: 'T6.downloads',
    says: 'no more download than a limit allows, and no more newcomers than may activate',
    onRow({ books, model, settings }, row) {
      const [attempt, lane] = subjectOf(books, row, ['attempt.offered']);
      // Offered again it keeps its slot, though a limit has been lowered since.
      if (attempt?.state !== 'offered' || lane === undefined || model.attempts.has(attempt.id)) return undefined;
      const all = books.live.filter(({ state }) => state === 'offered');
      const { fleet, region } = settings.limits.downloads;
      if (fleet !== null && agentsOf(all) > fleet) return `${agentsOf(all)} download in the fleet, ${fleet} allowed`;
      const here = agentsOf(all.filter((one) => books.lanes.get(one.lane_id)?.region === lane.region));
      if (region !== null && here > region) return `${here} download in ${lane.region}, ${region} allowed`;
      if (lane.kind !== 'baseline') return undefined;
      const newcomers = agentsOf(all.filter((one) => one.lane_id === lane.id));
      const { maxHot } = lane.policy.baseline;
      return newcomers > maxHot ? `${newcomers} newcomers download in ${lane.region}, ${maxHot} allowed` : undefined;
    },
  },
  ...EVIDENCE_PROMISES,
  ...WAY_PROMISES,
  ...RESTORE_PROMISES,
];

function agentsOf(attempts: readonly AttemptRow[]): number {
  return new Set(attempts.map((one) => one.agent_id)).size;
}

export const COMMIT_PROMISES: readonly CommitPromise[] = [
  ...EVIDENCE_COMMIT_PROMISES,
  {
    name: 'T1',
    says: 'one live attempt per agent and product, one hot per agent',
    onCommit({ books }) {
      const seen = new Set<string>();
      for (const { agent_id, product, hot } of books.live) {
        for (const key of [`${agent_id} ${product}`, ...(hot === 1 ? [`${agent_id} hot`] : [])]) {
          if (seen.has(key)) return `two attempts: ${key}`;
          seen.add(key);
        }
      }
      return undefined;
    },
  },
  {
    name: 'T6',
    says: 'what is hot never rises above a limit',
    onCommit({ books, settings, siteOf }) {
      const granted = books.news.filter((row) => row.action === 'attempt.granted');
      if (granted.length === 0) return undefined;
      const hot = books.live.filter((one) => one.hot === 1);
      const { fleet, region, site } = settings.limits;
      if (fleet !== null && hot.length > fleet) return `${hot.length} hot in the fleet, ${fleet} allowed`;
      const regionOf = (laneId: string) => books.lanes.get(laneId)?.region;
      for (const row of granted) {
        const [attempt, lane] = subjectOf(books, row);
        if (attempt === undefined || lane === undefined || attempt.hot === 0) continue;
        const here = hot.filter((one) => regionOf(one.lane_id) === lane.region).length;
        if (region !== null && here > region) return `${here} hot in ${lane.region}, ${region} allowed`;
        const inLane = hot.filter((one) => one.lane_id === lane.id).length;
        const maxHot = lane.kind === 'baseline' ? lane.policy.baseline.maxHot : lane.policy.maxHot;
        if (inLane > maxHot) return `${inLane} hot in the lane in ${lane.region}, ${maxHot} allowed`;
        if (site === null) continue;
        const place = siteOf(attempt.agent_id, site.label);
        if (place === undefined) continue;
        const there = hot.filter((one) => siteOf(one.agent_id, site.label) === place).length;
        if (there > site.max) return `${there} hot at ${site.label} ${place}, ${site.max} allowed`;
      }
      return undefined;
    },
  },
  {
    name: 'S6',
    says: 'halts, vetoes and brakes stay until a person lifts them, or a withdrawn release is back',
    onCommit({ books, model }) {
      for (const key of model.vetoes) if (!books.vetoes.has(key)) return `the veto of ${key} is gone`;
      for (const scope of model.brakes) if (!books.brakes.has(scope)) return `the brake ${scope} is gone`;
      for (const [id, lane] of model.lanes) {
        const row = books.lanes.get(id);
        if (lane.halted && row !== undefined && !AFTER_HALT.includes(row.state))
          return `the lane in ${row.region} was halted and is ${row.state}`;
      }
      return undefined;
    },
  },
  {
    name: 'D6',
    says: 'every veto and brake has its row in the audit',
    onCommit({ books, model }) {
      for (const key of books.vetoes) if (!model.vetoes.has(key)) return `nobody wrote down the veto of ${key}`;
      for (const scope of books.brakes) if (!model.brakes.has(scope)) return `nobody wrote down the brake ${scope}`;
      return undefined;
    },
  },
  {
    name: 'S8',
    says: 'one live lane per product and region',
    onCommit({ books }) {
      const seen = new Map<string, LaneRow>();
      for (const lane of books.lanes.values()) {
        if (lane.kind !== 'rollout' || !LIVE.includes(lane.state)) continue;
        const key = `${lane.product} in ${lane.region}`;
        const other = seen.get(key);
        if (other !== undefined) return `${other.version} and ${lane.version} are both live: ${key}`;
        seen.set(key, lane);
      }
      return undefined;
    },
  },
  {
    name: 'L1',
    says: 'whatever does not go on is held with a reason',
    onCommit({ books, isUp }) {
      if (!isUp) return undefined;
      for (const lane of books.lanes.values()) {
        if (lane.kind !== 'rollout' || lane.ended_at !== null || !HELD.includes(lane.state)) continue;
        if (!books.holds.has(lane.id)) return `${lane.version} in ${lane.region} is ${lane.state} without a hold`;
      }
      return undefined;
    },
  },
];

/** Of an attempt, from its grant; reckoned here once more, so that a slip in the rules shows. */
function durationOf({ activateWithinMs, proveWithinMs, stableForMs }: Policy): number {
  return activateWithinMs + proveWithinMs + stableForMs;
}

const ENDS = ['succeeded', 'rolled_back', 'failed', 'inconclusive', 'declined', 'expired', 'withdrawn', 'lost'];
const PASSES = ['completed', 'halted', 'rolling_back', 'rolled_back', 'cancelled', 'superseded'];
const LIVE = ['open', 'soaking', 'approval', 'paused', 'rolling_back'];
const HELD = ['waiting', 'soaking', 'approval', 'paused', 'halted'];
const AFTER_HALT = ['halted', 'superseded', 'cancelled', 'rolling_back', 'rolled_back'];

/** The attempt and the lane that a row of the audit is about, where it is one of those actions. */
function subjectOf(books: Books, row: AuditRow, actions?: readonly string[]) {
  if (!row.action.startsWith('attempt.')) return [undefined, undefined] as const;
  if (actions !== undefined && !actions.includes(row.action)) return [undefined, undefined] as const;
  const attempt = books.attempts.get(row.subject);
  return [attempt, attempt === undefined ? undefined : books.lanes.get(attempt.lane_id)] as const;
}
