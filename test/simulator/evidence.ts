// Promises about the evidence of a step, reckoned anew from the audit alone: what it was passed by, and what its budget let go.
import semver from 'semver';
import type { Policy } from '../../src/domain/policy.ts';
import type { ProductRules } from '../../src/domain/snapshot.ts';
import type { LaneRow } from './books.ts';
import { type AttemptModel, type LaneModel, laneOf, type Model } from './model.ts';
import type { CommitPromise, RowPromise } from './promises.ts';

const SLACK_MS = 1_500;
/** Between two looks of the server at its clock. */
const LOOK_MS = 60_000;

/** Not where the config, as it is since a reload, has another word on this host: then it may be out. */
function isAsked(rules: ProductRules | undefined, runs: string | undefined): boolean {
  if (rules === undefined || runs === undefined || rules.requirements.length > 0) return false;
  return rules.from === null || semver.gte(runs, rules.from);
}

export const EVIDENCE_PROMISES: readonly RowPromise[] = [
  {
    name: 'S1.evidence',
    says: 'a step is passed by members that truly have it, with nobody at risk',
    onRow({ books, model, truth, settings }, row) {
      const lane = books.lanes.get(row.subject);
      if (row.action !== 'step.done' || lane === undefined) return undefined;
      const step = Number(row.data['step']);
      const found = tallyOf(model, lane, step);
      const { sizes, allowance } = laneOf(model, lane.id);
      const name = `step ${step + 1} of ${lane.version} in ${lane.region}`;
      if (found.hotMembers > 0) return `${name} passed with ${found.hotMembers} members at risk`;
      const size = sizes.get(step) ?? 0;
      const isHeard = (id: string) => truth.observableMs - (truth.heard.get(id) ?? 0) < lane.policy.staleAfterMs / 2;
      const rules = settings.products.find(({ name }) => name === lane.product);
      const waiting = books.live.filter(
        (one) =>
          one.lane_id === lane.id &&
          one.step === step &&
          one.member === 1 &&
          isHeard(one.agent_id) &&
          // It is out, whatever is offered to it after that.
          !found.declined.has(one.agent_id) &&
          isAsked(rules, truth.says.get(`${one.agent_id} ${lane.product}`)),
      );
      // Who is well, there, and waits for its turn, or has ended at the release, is not out.
      const least = new Set([...found.ended, ...waiting.map((one) => one.agent_id)]).size;
      const share = Math.ceil((lane.policy.doneRatio * Math.min(size, least)) / 10_000);
      const need = Math.max(1, Math.max(share, Math.ceil(size / 2)) - allowance);
      if (found.succeeded >= need) return undefined;
      return `${name} passed with ${found.succeeded} successes of ${size} members, ${need} needed`;
    },
  },
  {
    name: 'S4.grant',
    says: 'nothing is granted beyond the failure budget',
    onRow({ books, model }, row) {
      const attempt = row.action === 'attempt.granted' ? books.attempts.get(row.subject) : undefined;
      const lane = attempt === undefined ? undefined : books.lanes.get(attempt.lane_id);
      if (attempt === undefined || lane?.kind !== 'rollout' || attempt.step < 0) return undefined;
      const { bad, hot } = tallyOf(model, lane, attempt.step);
      const budget = budgetOf(laneOf(model, lane.id), attempt.step, lane.policy);
      const isStrict = lane.policy.steps[attempt.step]?.budget !== 'loose';
      if (bad + (isStrict ? hot : 0) < budget) return undefined;
      return `granted in step ${attempt.step + 1} in ${lane.region} with ${bad} bad and ${hot} at risk of ${budget}`;
    },
  },
  {
    name: 'S6.halt',
    says: 'a halt that is booked is kept: nothing is halted again for the same reason',
    onRow({ books, model }, row) {
      if (row.action !== 'lane.halted' || row.actor !== 'tidegate') return undefined;
      const { halted, haltedFor } = laneOf(model, row.subject);
      if (!halted || haltedFor !== row.data['reason']) return undefined;
      return `the lane in ${books.lanes.get(row.subject)?.region} was halted twice: ${haltedFor}`;
    },
  },
  {
    name: 'C2.gone',
    says: 'who loses a seat was silent for its observed time, and nobody does so just after a start',
    onRow({ books, truth }, row) {
      const lane = row.action === 'step.reseated' ? books.lanes.get(row.subject) : undefined;
      if (lane === undefined) return undefined;
      const least = lane.policy.staleAfterMs - SLACK_MS;
      const upMs = truth.observableMs - truth.upSinceMs;
      if (upMs < least) return `seats of ${lane.region} were given away ${upMs} ms after the start`;
      const isSilent = (id: string) => truth.observableMs - (truth.heard.get(id) ?? 0) >= least - LOOK_MS;
      const silent = [...truth.heard.keys()].filter((id) => truth.dishonest.has(id) || isSilent(id)).length;
      const seats = Number(row.data['seats']);
      return silent >= seats ? undefined : `${seats} seats of ${lane.region} were given away, ${silent} are silent`;
    },
  },
];

export const EVIDENCE_COMMIT_PROMISES: readonly CommitPromise[] = [
  {
    name: 'C2.silent',
    says: 'nobody is taken for silent just after a start',
    onCommit({ books, model, truth }) {
      const upMs = truth.observableMs - truth.upSinceMs;
      for (const [id, reason] of books.holds) {
        const lane = books.lanes.get(id);
        if (reason !== 'silent' || model.silent.has(id) || lane === undefined) continue;
        if (upMs < lane.policy.staleAfterMs - SLACK_MS)
          return `${lane.version} in ${lane.region} is held as silent ${upMs} ms after the start`;
      }
      return undefined;
    },
  },
  {
    name: 'S4.halt',
    says: 'a spent budget halts the lane in the transaction that books it',
    onCommit({ books, model }) {
      for (const lane of books.lanes.values()) {
        if (lane.kind !== 'rollout' || !GOES_ON.includes(lane.state)) continue;
        const known = laneOf(model, lane.id);
        for (const step of known.sizes.keys()) {
          const { bad } = tallyOf(model, lane, step);
          const budget = budgetOf(known, step, lane.policy);
          if (bad >= budget)
            return `step ${step + 1} of ${lane.version} in ${lane.region}: ${bad} bad of ${budget}, and it is ${lane.state}`;
        }
      }
      return undefined;
    },
  },
];

const GOES_ON = ['open', 'soaking', 'approval', 'paused'];
const HOT = ['granted', 'activating', 'proving'];

interface Tally {
  /** Members that succeeded. */
  ended: string[];
  succeeded: number;
  bad: number;
  hot: number;
  hotMembers: number;
  /** Who has declined once. */
  declined: ReadonlySet<string>;
}

/** Each agent once; what succeeded before a retry counts on. */
function tallyOf(model: Model, lane: LaneRow, step: number): Tally {
  const sets = {
    succeeded: new Set<string>(),
    bad: new Set<string>(),
    hot: new Set<string>(),
    hotMembers: new Set<string>(),
    declined: new Set<string>(),
  };
  for (const attempt of model.attempts.values()) {
    if (attempt.laneId !== lane.id || attempt.step !== step) continue;
    const { agentId, member, hop } = attempt;
    if (attempt.state === 'succeeded' && member && !hop) sets.succeeded.add(agentId);
    if (attempt.state === 'declined') sets.declined.add(agentId);
    if (HOT.includes(attempt.state)) sets.hot.add(agentId);
    if (HOT.includes(attempt.state) && member) sets.hotMembers.add(agentId);
    if (isBad(attempt) && attempt.budgetEpoch === lane.budget_epoch) sets.bad.add(agentId);
  }
  const { succeeded, bad, hot, hotMembers, declined } = sets;
  return {
    ended: [...succeeded],
    succeeded: succeeded.size,
    bad: bad.size,
    hot: hot.size,
    hotMembers: hotMembers.size,
    declined,
  };
}

function isBad({ state, grantedAt }: AttemptModel): boolean {
  return state === 'rolled_back' || state === 'lost' || (state === 'failed' && grantedAt !== null);
}

/** Reckoned here once more, so that a slip in the rules shows. */
function budgetOf({ sizes, allowance }: LaneModel, step: number, policy: Policy): number {
  const size = sizes.get(step) ?? 0;
  const needed = Math.max(1, Math.ceil((policy.doneRatio * size) / 10_000), Math.ceil(size / 2));
  const limits = [size - needed + 1];
  if (policy.badCount !== null) limits.push(policy.badCount);
  if (size >= policy.minSample) limits.push(Math.ceil((policy.badRatio * size) / 10_000));
  else if (policy.badCount === null) limits.push(1);
  return Math.max(1, Math.min(...limits)) + allowance;
}
