// Takes one attempt that was not granted back from an agent, with its step's counters, in the transaction of a person's word.
import type { Attempt } from '../domain/agent.ts';
import { follow } from '../domain/attempt.ts';
import { counted, retally } from '../domain/counters.ts';
import type { Lane } from '../domain/rollout.ts';
import { allSteps, countsIn, mapSteps } from '../domain/way-back.ts';
import { assert } from '../errors.ts';
import { attemptsOfAgentsInLanes, updateAttempts } from '../store/attempts.ts';
import { appendAudit } from '../store/audit.ts';
import type { Tx } from '../store/database.ts';
import { loadLanes, loadRollout, saveStep } from '../store/rollouts.ts';

/** The attempt as it ended, and its lane with the counters as they now are. Throws `illegal_transition` for a hot one. */
export async function withdrawAttempt(tx: Tx, attempt: Attempt, now: number): Promise<{ ended: Attempt; lane: Lane }> {
  const [lane] = await loadLanes(tx, [attempt.laneId], { forUpdate: true });
  assert(lane !== undefined, `the lane of attempt ${attempt.id} exists`);
  const ended: Attempt = { ...attempt, state: follow(attempt.state, 'withdrawn'), endedAt: now };
  await updateAttempts(tx, [ended]);
  const { agentId: agent, product, version, fromVersion: from } = ended;
  const data = { agent, product, version, from };
  await appendAudit(tx, { at: now, actor: 'tidegate', action: 'attempt.withdrawn', subject: ended.id, data });
  if (!countsIn(lane, ended)) return { ended, lane };
  const rollout = await loadRollout(tx, ended.rolloutId);
  assert(rollout !== undefined, `the rollout of attempt ${attempt.id} exists`);
  const inLane = await attemptsOfAgentsInLanes(tx, [agent], [lane.id]);
  const after = counted(
    inLane.filter((one) => one.step === ended.step),
    ended.budgetEpoch,
  );
  const before = after.map((one) => (one.id === attempt.id ? attempt : one));
  const { attemptsPerAgent } = rollout.policy;
  const next = mapSteps(lane, (step) =>
    step.step === ended.step ? { ...step, counters: retally(step.counters, before, after, attemptsPerAgent) } : step,
  );
  for (const step of allSteps(next)) if (step.step === ended.step) await saveStep(tx, lane.id, step);
  return { ended, lane: next };
}
