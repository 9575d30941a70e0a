// The demo's last line: what became of every agent and every lane, as data.
import { type DemoAgent, PRODUCT, REGIONS, type Stage } from './stage.ts';

export async function summarise(stage: Stage) {
  const status = await stage.operator.status();
  const { agents } = await stage.operator.agents();
  return {
    directory: stage.directory,
    database: stage.database,
    agents: inOrder(stage.agents).map((local) => {
      const known = agents.find((one) => one.name === local.name);
      const running = known?.products.find((one) => one.product === PRODUCT);
      return { id: known?.id, region: known?.region, product: PRODUCT, version: running?.version, root: local.root };
    }),
    // `newest`: the highest version that is known, with files or without.
    products: status.products.map(({ name, highest, releases, rejectedTags }) => ({
      name,
      newest: highest ?? null,
      releases,
      rejectedTags,
    })),
    rollouts: [...status.rollouts].reverse().map(({ product, version, state, lanes }) => ({
      product,
      version,
      state,
      lanes: lanes.map(({ region, state: laneState, attempts, holds }) => ({
        region,
        state: laneState,
        attempts,
        holds,
      })),
    })),
  };
}

/** By region, in the order of the waves, then by name. */
function inOrder(agents: readonly DemoAgent[]): DemoAgent[] {
  return agents.toSorted((a, b) => REGIONS.indexOf(a.region) - REGIONS.indexOf(b.region) || (a.name < b.name ? -1 : 1));
}
