// Promises about the way of an agent from version to version: up over every floor, down only where a rollback says so.
import { schemeOf } from '../../src/domain/version/schemes.ts';
import { laneOf } from './model.ts';
import type { Facts, RowPromise } from './promises.ts';
import { releaseKey } from './world.ts';

const { compare } = schemeOf('semver');

export const WAY_PROMISES: readonly RowPromise[] = [
  {
    name: 'T2.way',
    says: 'nobody goes down outside of a rollback, or past a floor',
    onRow(facts, row) {
      const attempt = ['attempt.offered', 'attempt.granted'].includes(row.action)
        ? facts.books.attempts.get(row.subject)
        : undefined;
      const lane = attempt === undefined ? undefined : facts.books.lanes.get(attempt.lane_id);
      if (attempt === undefined || lane === undefined) return undefined;
      const { product, version, from_version: from } = attempt;
      const said = `${row.action} from ${from} to ${version} in ${lane.region}`;
      const floor = floorsOf(facts, product).find((one) => compare(from, one) < 0 && compare(one, version) < 0);
      if (floor !== undefined) return `${said}, past the floor ${floor}`;
      if (attempt.step < 0)
        return laneOf(facts.model, lane.id).goesBack ? undefined : `${said} on the way back of a lane that has none`;
      if (compare(version, from) > 0) return undefined;
      const wasTakenBack = facts.model.takenBack.has(`${product} ${lane.region} ${from}`);
      if (lane.kind === 'baseline' && wasTakenBack && facts.model.vetoes.has(releaseKey(product, from)))
        return undefined;
      return `${said}, which is no way up`;
    },
  },
  {
    name: 'T2.back',
    says: 'the policy takes a lane back once, when nothing is hot, and nobody past a floor',
    onRow(facts, row) {
      const lane = row.action === 'lane.rolling_back' ? facts.books.lanes.get(row.subject) : undefined;
      if (lane === undefined) return undefined;
      const to = String(row.data['to']);
      const said = `${lane.version} in ${lane.region} goes back to ${to}`;
      const passed = floorsOf(facts, lane.product).find(
        (one) => compare(to, one) < 0 && compare(one, lane.version) <= 0,
      );
      if (passed !== undefined) return `${said}, past the floor ${passed}`;
      if (compare(to, lane.version) >= 0) return `${said}, which is not lower`;
      if (facts.model.vetoes.has(releaseKey(lane.product, to))) return `${said}, which is vetoed`;
      if (row.actor !== 'tidegate') return undefined;
      if (laneOf(facts.model, lane.id).timesBack > 0) return `${said} once more, and no person has asked for it`;
      const hot = facts.books.live.find((one) => one.lane_id === lane.id && one.hot === 1);
      return hot === undefined ? undefined : `${said} while the attempt ${hot.id} is ${hot.state}`;
    },
  },
];

function floorsOf({ settings }: Facts, product: string): string[] {
  return settings.products.find((one) => one.name === product)?.floors.map((one) => one.version) ?? [];
}
