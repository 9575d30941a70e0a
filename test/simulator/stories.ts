// L2 and L4 as worlds of their own: nothing goes wrong, and the settings stay as they were drawn until the end.
import type { AuditRow } from './books.ts';
import type { Fleet, Member } from './fleet.ts';
import type { Github } from './github.ts';
import type { Operators } from './operators.ts';
import type { SimServer } from './server.ts';
import type { World } from './world.ts';

export interface StoryParts {
  world: World;
  server: SimServer;
  github: Github;
  fleet: Fleet;
  operators: Operators;
  /** Told of every row of the audit, after the commit. */
  onRow(listen: (row: AuditRow) => void): void;
}

interface Run {
  until(done: () => boolean): Promise<void>;
  isBroken(): boolean;
  isConverged(): Promise<boolean>;
  whatIsStuck(): Promise<string>;
}

/** Longer than any window that was drawn stays shut, with what a rollout takes besides. */
const PATIENCE_MS = 3 * 24 * 3_600_000;

/**
 * L2: whatever a policy says, its rollout completes where everybody is there and well; L4: also without a fifth of the
 * fleet. Approvals are given, nothing else is done.
 */
export async function runStory(parts: StoryParts, story: 'undisturbed' | 'a_fifth_gone', run: Run): Promise<void> {
  const { world, github, fleet, operators } = parts;
  const { plan, time, truth, marks } = world;
  const unit = 60_000 * plan.scale;
  const promise = story === 'undisturbed' ? 'L2' : 'L4';
  truth.calm = true;
  await run.until(() => fleet.members.length >= plan.agents && time.now() > 2 * unit);
  if (story === 'a_fifth_gone' && world.random.fork('when').chance(50)) leave(world, fleet);
  else if (story === 'a_fifth_gone') {
    // Those who were counted in.
    let isFirst = true;
    parts.onRow(({ action }) => {
      if (action !== 'step.opened' || !isFirst) return;
      isFirst = false;
      marks.hit('left_in_the_middle_of_a_step');
      leave(world, fleet);
    });
  }
  for (const version of ['1.0.1', '1.1.0']) {
    const next = time.now() + world.random.between(1, 30) * unit;
    await run.until(() => time.now() >= next);
    for (const product of plan.productNames) await github.publish(product, version, 'good', true);
  }
  truth.fixed = true;
  const since = time.now();
  while (!run.isBroken() && !(await run.isConverged())) {
    if (time.now() - since > PATIENCE_MS + 1_000 * unit) {
      world.broken(promise, `the rollout does not complete: ${await run.whatIsStuck()}`);
      return;
    }
    const next = time.now() + 5 * unit;
    await run.until(() => time.now() >= next);
    await operators.approve();
  }
  if (!run.isBroken()) marks.hit(story === 'undisturbed' ? 'undisturbed_world_completed' : 'completed_without_a_fifth');
}

/** Those for whom others of their kind can give evidence. */
function leave(world: World, fleet: Fleet): void {
  const random = world.random.fork('leave');
  const most = Math.floor(fleet.members.length / 5);
  for (const member of random.shuffle(fleet.members)) {
    const gone = fleet.members.filter((one) => one.gone).length;
    if (gone >= most || !fleet.members.some((other) => couldStandIn(other, member))) continue;
    member.gone = true;
    member.agent.powerOff();
    world.say(`${member.agent.identity.name}: gone for good`);
  }
}

export function couldStandIn(other: Member, gone: Member): boolean {
  const [a, b] = [other.agent, gone.agent];
  return (
    other !== gone &&
    !other.gone &&
    a.identity.region === b.identity.region &&
    a.platform() === b.platform() &&
    other.labels['ring'] === gone.labels['ring'] &&
    a.running().length >= b.running().length
  );
}
