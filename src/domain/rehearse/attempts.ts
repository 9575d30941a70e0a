// What the modelled agents do: ask, stage, wait for their turn, activate, end; each answered by `decide`, booked like in the ledger.
import type { Attempt } from '../agent.ts';
import { follow, isLive } from '../attempt.ts';
import { fullCeiling } from '../ceilings.ts';
import { retally } from '../counters.ts';
import { type AgentView, decide } from '../decide.ts';
import { compileDirective, type Directive } from '../directives.ts';
import type { HoldReason } from '../holds.ts';
import { type Limits, limitsDownloads } from '../limits.ts';
import { addSpent, sumSpent } from '../quarantine.ts';
import { regionStatus } from '../region-window.ts';
import type { Lane } from '../rollout.ts';
import { givesWayTo } from '../supersede.ts';
import { NO_SILENCE, verdict } from '../verdict.ts';
import type { Builds } from '../way.ts';
import { fails, type ModelAgent, runVersion } from './fleet.ts';
import { noteHold } from './record.ts';
import { type Line, newId, observedAt, type Place, type World } from './world.ts';

/** The digest by which a version of the model is known. */
export function digestOf(version: string): string {
  return `rehearsal:${version}`;
}

export function ask(world: World, place: Place, agent: ModelAgent): void {
  if (begin(world, place, agent) === 'thirsty') place.thirsty.agents.push(agent);
}

/** Begins to stage where the agent is told to; `thirsty` when only downloads of others stand in its way. */
function begin(world: World, place: Place, agent: ModelAgent): 'thirsty' | 'asked' {
  if (agent.live !== null) return 'asked';
  const { answer } = decide(viewOf(world, agent), [directiveOf(world, place)], world.now);
  if (answer.kind === 'hold') {
    if (answer.reason === 'bandwidth') return 'thirsty';
    place.idle.push(agent);
    return 'asked';
  }
  if (answer.kind !== 'stage' || answer.lane.laneId !== place.lane.id) return 'asked';
  const { product, pace } = world.input;
  const attempt: Attempt = {
    id: newId(world),
    agentId: agent.id,
    rolloutId: place.rollout.id,
    laneId: place.lane.id,
    step: answer.step.step,
    member: agent.seat?.laneId === place.lane.id && agent.seat.step === answer.step.step,
    budgetEpoch: answer.lane.budgetEpoch,
    product: product.name,
    version: answer.version,
    ...(answer.hop ? { hop: true } : {}),
    platform: answer.artifact.platform,
    sha256: answer.artifact.sha256,
    size: answer.artifact.size,
    fromVersion: agent.version,
    fromDigest: digestOf(agent.version),
    sequence: agent.attempts.length + 1,
    state: 'offered',
    offeredAt: world.now,
    grantedAt: null,
    endedAt: null,
    deadlineObserved: observedAt(world) + answer.lane.stageWithinMs,
    cause: null,
    detail: null,
    corrected: false,
  };
  place.ungranted.add(agent);
  download(world, place, 1);
  book(place, agent, attempt);
  world.events.push(world.now + pace.stageMs, { kind: 'staged', place, agent, attemptId: attempt.id });
  return 'asked';
}

export function staged(world: World, place: Place, agent: ModelAgent, attemptId: string): void {
  // Withdrawn meanwhile: its lane has ended or halted.
  if (agent.live?.id !== attemptId) return;
  const attempt: Attempt = { ...agent.live, state: follow(agent.live.state, 'staged') };
  // Offered and staged count alike, so nothing is booked.
  agent.live = attempt;
  agent.attempts = [...agent.attempts.slice(0, -1), attempt];
  download(world, place, -1);
  quench(world, place);
  const { limits } = world.input;
  const site = limits.site === null ? '' : (agent.group.labels[limits.site.label] ?? '');
  const key = `${attempt.step} ${site}`;
  const line = place.ready.get(key);
  if (line === undefined) place.ready.set(key, { agents: [agent], head: 0, held: null });
  else line.agents.push(agent);
  letGo(world, place);
}

/** Lets go whom `decide` lets go, in the order in which they came ready; those of one step and site are asked alike. */
export function letGo(world: World, place: Place): void {
  let held: { reason: HoldReason; sentence: string } | undefined;
  for (const [key, line] of place.ready) {
    const here = letGoOf(world, place, line);
    if (line.head === line.agents.length) place.ready.delete(key);
    held ??= here;
    // What holds the whole lane holds all of them.
    if (here !== undefined && here.reason !== 'site_limit' && here.reason !== 'budget') break;
  }
  noteHold(place.record, 'agents', held, world.now);
}

/** What holds the first of the line that is not let go; undefined when nothing does. */
function letGoOf(world: World, place: Place, line: Line): { reason: HoldReason; sentence: string } | undefined {
  for (; line.head < line.agents.length; line.head += 1) {
    const agent = line.agents[line.head] as ModelAgent;
    const directive = directiveOf(world, place);
    world.occupied.ceilings = world.grants.at(world.now);
    // Nothing has changed since the same was answered.
    if (line.held?.directive === directive && line.held.moves === world.moves) return line.held;
    const { answer } = decide(viewOf(world, agent), [directive], world.now);
    if (answer.kind === 'hold') {
      if (answer.reason === 'ceiling') lookAgain(world);
      line.held = { directive, moves: world.moves, reason: answer.reason, sentence: answer.sentence };
      return answer;
    }
    if (answer.kind !== 'activate') return undefined;
    grant(world, place, agent, answer.lane.attemptBudgetMs);
  }
  return undefined;
}

function grant(world: World, place: Place, agent: ModelAgent, budgetMs: number): void {
  if (agent.live === null) return;
  const granted: Attempt = {
    ...agent.live,
    state: follow(agent.live.state, 'granted'),
    grantedAt: world.now,
    deadlineObserved: observedAt(world) + budgetMs,
  };
  place.ungranted.delete(agent);
  book(place, agent, granted);
  occupy(world, place, agent, 1);
  world.grants.add(world.now);
  world.events.push(world.now + world.input.pace.activateMs, { kind: 'ended', place, agent });
  // At a stop on the way the release itself is not tried; and who tries it again is no further agent.
  if (granted.hop === true || agent.tried === granted.version) return;
  agent.tried = granted.version;
  world.granted += 1;
  const step = place.record.steps.find((one) => one.step === granted.step);
  if (step !== undefined) step.exposed += 1;
}

export function ended(world: World, place: Place, agent: ModelAgent): void {
  const hot = agent.live;
  if (hot === null) return;
  const { failureRate, seed, pace } = world.input;
  const failed = hot.hop !== true && fails(agent, hot.version, failureRate, seed);
  const after: Attempt = { ...hot, state: follow(hot.state, failed ? 'rolled_back' : 'succeeded'), endedAt: world.now };
  occupy(world, place, agent, -1);
  book(place, agent, after);
  if (failed) {
    agent.spent = addSpent(agent.spent, sumSpent([after]));
    world.events.push(world.now + Math.max(1000, pace.pollMs), { kind: 'ask', place, agent });
  } else {
    runVersion(place.region, agent, hot.version);
  }
  // What a release went bad with before still counts, so that nothing is forgotten at a stop.
  if (hot.hop === true) world.events.push(world.now, { kind: 'ask', place, agent });
  else if (!failed) {
    // It has nothing left to prove in this lane, and there may be a million of them.
    agent.attempts = [];
  }
  look(world, place, hot.step);
  // A spent budget halts before anybody else is let go: in the ledger it is one transaction.
  if (world.planDue && place.verdicts[hot.step] === 'halt') return;
  letGo(world, place);
  if (!isLimited(world.input.limits)) return;
  for (const other of world.places.values()) {
    if (other !== place && other.ready.size > 0 && hotIn(other.lane) < other.rollout.policy.maxHot) letGo(world, other);
  }
}

function isLimited({ fleet, region, site, perHour, perDay }: Limits): boolean {
  return [fleet, region, site, perHour, perDay].some((limit) => limit !== null);
}

/** Whom the ceilings held may be let go now. */
export function freed(world: World): void {
  world.freeing.delete(world.now);
  world.moves += 1;
  for (const place of world.places.values()) if (place.ready.size > 0) letGo(world, place);
}

function lookAgain(world: World): void {
  const full = fullCeiling(world.occupied.ceilings, world.now);
  if (full === undefined || world.freeing.has(full.until)) return;
  world.freeing.add(full.until);
  world.events.push(full.until, { kind: 'freed' });
}

function download(world: World, { region }: Place, sign: 1 | -1): void {
  if (!limitsDownloads(world.input.limits)) return;
  const { downloads } = world.occupied;
  downloads.fleet += sign;
  downloads.byRegion[region.name] = (downloads.byRegion[region.name] ?? 0) + sign;
}

/** A download has ended, so others may begin: in the same lane first, then wherever somebody waits for it. */
export function quench(world: World, place: Place): void {
  if (!limitsDownloads(world.input.limits)) return;
  quenchLine(world, place);
  for (const one of world.places.values()) if (one !== place) quenchLine(world, one);
}

/** Whoever must go on waiting stays where they stand in the line: looking at it changes nothing. */
function quenchLine(world: World, place: Place): void {
  const line = place.thirsty;
  while (line.head < line.agents.length) {
    if (begin(world, place, line.agents[line.head] as ModelAgent) === 'thirsty') return;
    line.head += 1;
  }
}

/** Planning is due when an outcome has changed what a step comes to, or has set free a lane that gives way. */
function look(world: World, place: Place, step: number): void {
  const { lane, rollout } = place;
  const opened = lane.steps.find((one) => one.step === step);
  if (opened === undefined) return;
  const found = verdict(opened.size, opened.counters, NO_SILENCE, rollout.policy, lane.allowance);
  if (place.verdicts[step] !== found.kind || found.kind !== 'open') world.planDue = true;
  place.verdicts[step] = found.kind;
  if (world.rollouts.length > 1 && hotIn(lane) === 0) world.planDue = true;
}

function hotIn(lane: Lane): number {
  return lane.steps.reduce((sum, one) => sum + one.counters.hot, 0);
}

/** Puts the attempt, new or changed, in the agent's list and in the counters of its step. */
function book(place: Place, agent: ModelAgent, attempt: Attempt): void {
  const known = agent.attempts.filter((one) => one.laneId === attempt.laneId);
  const after = known.some((one) => one.id === attempt.id)
    ? known.map((one) => (one.id === attempt.id ? attempt : one))
    : [...known, attempt];
  agent.attempts = after;
  agent.live = isLive(attempt.state) ? attempt : null;
  const inStep = (one: Attempt) => one.step === attempt.step;
  const { attemptsPerAgent } = place.rollout.policy;
  place.lane = {
    ...place.lane,
    steps: place.lane.steps.map((step) =>
      step.step === attempt.step
        ? { ...step, counters: retally(step.counters, known.filter(inStep), after.filter(inStep), attemptsPerAgent) }
        : step,
    ),
  };
  // What is only offered is in nobody's way: no answer changes by it.
  if (attempt.state !== 'offered') place.directive = null;
}

/** The lane has halted or ended: what it offered is over, and the counters have forgotten it with the lane's new state. */
export function withdrawAll(world: World, place: Place): void {
  for (const agent of place.ungranted) {
    if (agent.live?.state === 'offered') download(world, place, -1);
    agent.live = null;
    agent.attempts = agent.attempts.slice(0, -1);
  }
  place.ungranted.clear();
  place.ready.clear();
  place.idle = [];
  place.thirsty = { agents: [], head: 0, held: null };
}

function occupy(world: World, { lane }: Place, agent: ModelAgent, sign: 1 | -1): void {
  const { occupied, input } = world;
  if (isLimited(input.limits)) world.moves += 1;
  occupied.fleet += sign;
  occupied.byRegion[lane.region] = (occupied.byRegion[lane.region] ?? 0) + sign;
  const site = input.limits.site === null ? undefined : agent.group.labels[input.limits.site.label];
  if (site !== undefined) occupied.bySite[site] = (occupied.bySite[site] ?? 0) + sign;
}

function viewOf(world: World, agent: ModelAgent): AgentView {
  const { group, version, live } = agent;
  return {
    id: agent.id,
    hash: agent.hash,
    region: group.region,
    platform: group.platform,
    labels: group.labels,
    health: 'ok',
    healthReason: null,
    facts: null,
    products: [{ product: world.input.product.name, version, digest: digestOf(version) }],
    live: live === null ? [] : [live],
    holding: live === null ? [] : [live.id],
    ended: [],
    spent: agent.spent,
    seats: agent.seat === null ? [] : [agent.seat],
  };
}

/** What the lane's agents are asked now; compiled anew whenever the lane has changed. Baselines bring up nobody here. */
function directiveOf(world: World, place: Place): Directive {
  if (place.directive !== null) return place.directive;
  const { input, base, now } = world;
  const { lane, rollout, region } = place;
  const release = base.releases.find((one) => one.id === rollout.releaseId) ?? null;
  place.directive = compileDirective({
    product: input.product.name,
    region: region.name,
    rules: { ...input.product, floors: input.floors.map(({ version }) => ({ version, reason: '' })) },
    releaseOf: (version) => input.floors.find((one) => one.version === version),
    lane,
    rollout,
    release,
    builds: buildsOf(world),
    brakes: base.brakes,
    clock: null,
    vetoes: base.vetoes,
    silence: () => NO_SILENCE,
    availability: base.availability,
    baseline: null,
    window: regionStatus(base, region.name, now),
    limits: input.limits,
    occupied: world.occupied,
    givesWayTo: world.undisplaced.has(lane.id)
      ? undefined
      : givesWayTo({ releases: base.releases, vetoes: base.vetoes, rollouts: world.rollouts }, rollout, lane),
  });
  return place.directive;
}

const builds = new WeakMap<World, Builds>();

/** Every version of the model is a published build. */
function buildsOf(world: World): Builds {
  const known = builds.get(world);
  if (known !== undefined) return known;
  const versions = [
    ...world.input.fleet.map((group) => group.version),
    ...world.input.releases.map(({ release }) => release.version),
    ...world.input.floors.map(({ version }) => version),
  ];
  const made = Object.fromEntries(versions.map((version) => [digestOf(version), [version]]));
  builds.set(world, made);
  return made;
}
