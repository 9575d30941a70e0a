// Promises about a restored database: nothing goes on before a person says so, and what agents tell is adopted, once.
import type { AuditRow } from './books.ts';
import { laneOf, type Model } from './model.ts';
import type { RowPromise } from './promises.ts';

const NEW = ['attempt.offered', 'attempt.granted', 'step.opened'];

export const RESTORE_PROMISES: readonly RowPromise[] = [
  {
    name: 'M3.person',
    says: 'after a restore nothing is offered, granted or opened until a person says so',
    onRow({ model }, row) {
      return model.awaitsPerson && NEW.includes(row.action) ? `${row.action} before a person has looked` : undefined;
    },
  },
  {
    name: 'M3.stale',
    says: 'who has not reported since the restore gets nothing, and is in no step that opens',
    onRow({ books, model, truth }, row) {
      if (truth.restores === 0) return undefined;
      const known = new Set([...truth.reportedSince, ...model.enrolledSince]);
      const attempt = NEW.includes(row.action) ? books.attempts.get(row.subject) : undefined;
      if (attempt !== undefined && !known.has(attempt.agent_id))
        return `${row.action} to ${attempt.agent_id}, which has not reported`;
      const lane = row.action === 'step.opened' ? books.lanes.get(row.subject) : undefined;
      const size = Number(row.data['size'] ?? 0);
      if (lane === undefined || size <= known.size || laneOf(model, lane.id).goesBack) return undefined;
      return `a step of ${size} in ${lane.region} opened, and ${known.size} have reported`;
    },
  },
  {
    name: 'M3.once',
    says: 'what an agent tells of an attempt is adopted once, and after a restore alone',
    onRow({ model, truth }, row) {
      if (row.action !== 'attempt.adopted') return undefined;
      if (truth.restores === 0) return `${row.subject} was adopted, and nothing was restored`;
      return model.adopted.has(row.subject) ? `${row.subject} was adopted twice` : undefined;
    },
  },
];

/** Changes the model. */
export function applyRestore(model: Model, row: AuditRow): void {
  if (row.action === 'database.restored') {
    model.awaitsPerson = true;
    model.adopted = new Set();
    model.enrolledSince = new Set();
  }
  if (row.action === 'agent.enrolled') model.enrolledSince.add(row.subject);
  if (row.action === 'brake.off' && row.subject === 'fleet' && row.actor !== 'tidegate') model.awaitsPerson = false;
  if (row.action === 'attempt.adopted') model.adopted.add(row.subject);
}
