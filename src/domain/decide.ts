// decide(agent, directives, now): what one agent is answered, with the ordered list of rules that led there (DESIGN §2).
import type { Agent, Attempt, InstalledProduct } from './agent.ts';
import { isHot } from './attempt.ts';
import { fullCeiling, sayFull, usedOf } from './ceilings.ts';
import { sayDoubt } from './clock-doubt.ts';
import {
  admittingStep,
  type Directive,
  downloadingIn,
  type FloorStop,
  type LaneDirective,
  type OpenedStep,
  type Seat,
  wayOf,
} from './directives.ts';
import { instantOf } from './gate.ts';
import { type HoldReason, sentenceOf } from './holds.ts';
import { LEFT_OUT } from './left-out.ts';
import { fullDownloads, fullLimit } from './limits.ts';
import { type Pin, pinFor, sayPin } from './pin.ts';
import { attemptsUsed, type Spent, timeoutsAmong } from './quarantine.ts';
import type { Artifact } from './release.ts';
import type { Facts } from './requirement.ts';
import { schemeOf } from './version/schemes.ts';
import { type Host, hostChecks, hostObjection, isKnownBuild, unknownBuild, type Way } from './way.ts';
import { goesBack } from './way-back.ts';

/** What `decide` may look at of an agent. */
export type AgentView = Pick<Agent, 'id' | 'region' | 'platform' | 'labels' | 'health' | 'healthReason'> & {
  /** Of the facts that it reports, those that something is required of; null: none yet. */
  facts: Facts | null;
  /** `hash32` of the id where it is at hand; else it is made. */
  hash?: number;
  products: readonly InstalledProduct[];
  /** The agent's attempts that have not ended. */
  live: readonly Attempt[];
  /** Ids of the attempts that the agent reports as its own without an outcome. */
  holding: readonly string[];
  /** Attempts that the agent still holds although the server has ended them. */
  ended: readonly Attempt[];
  /** Attempts that ended without a success, by lane, step and budget epoch. */
  spent: readonly Spent[];
  /** The steps that the agent is a member of. */
  seats?: readonly Seat[];
  /** At most one for each product. */
  pins?: readonly Pin[];
  /** Has not reported since the database was restored: what is known of it is old. */
  stale?: boolean;
};

export interface TraceLine {
  rule: string;
  result: 'pass' | 'hold' | 'deny';
  sentence: string;
}

export type Answer =
  | { kind: 'none' }
  | { kind: 'hold'; reason: HoldReason; sentence: string }
  /** `attempt` is null when a new one is to be admitted. */
  | {
      kind: 'stage';
      lane: LaneDirective;
      step: OpenedStep;
      /** The release, or with `hop` a stop on the way to it. */
      version: string;
      hop: boolean;
      artifact: Artifact;
      attempt: Attempt | null;
    }
  | { kind: 'activate'; lane: LaneDirective; attempt: Attempt }
  /** One that has ended here and that the agent still holds, or a live one that ends by this. */
  | { kind: 'withdraw'; attempt: Attempt };

export interface Decision {
  product: string;
  answer: Answer;
  trace: TraceLine[];
}

/**
 * The answer for the agent: about its hot attempt alone where it has one, else the first of its products for which
 * there is something to do, else a hold, else none.
 */
export function decide(agent: AgentView, directives: readonly Directive[], now: number): Decision {
  const all = decideAll(agent, directives, now);
  const hot = agent.live.find((attempt) => isHot(attempt.state));
  const about = all.filter((decision) => decision.product === hot?.product);
  const decisions = about.length > 0 ? about : all;
  const order: Answer['kind'][] = ['withdraw', 'activate', 'stage', 'hold', 'none'];
  for (const kind of order) {
    const found = decisions.find((decision) => decision.answer.kind === kind);
    if (found !== undefined) return found;
  }
  return { product: '', answer: { kind: 'none' }, trace: [] };
}

/** One decision per product that the agent runs, in the order of its report. */
export function decideAll(agent: AgentView, directives: readonly Directive[], now: number): Decision[] {
  const hot = agent.live.find((attempt) => isHot(attempt.state));
  return agent.products.map(({ product }) => {
    const directive = directives.find((one) => one.product === product && one.region === agent.region);
    const trace = new Trace();
    return { product, answer: decideProduct({ agent, product, directive, hot, now, trace }), trace: trace.lines };
  });
}

class Trace {
  readonly lines: TraceLine[] = [];

  pass(rule: string, sentence: string): void {
    this.lines.push({ rule, result: 'pass', sentence });
  }

  hold(rule: string, reason: HoldReason, detail?: string): Answer {
    const sentence = sentenceOf(reason, detail);
    this.lines.push({ rule, result: 'hold', sentence });
    return { kind: 'hold', reason, sentence };
  }

  deny(rule: string, sentence: string): Answer {
    this.lines.push({ rule, result: 'deny', sentence });
    return { kind: 'none' };
  }
}

interface Question {
  agent: AgentView;
  product: string;
  directive: Directive | undefined;
  hot: Attempt | undefined;
  /** Milliseconds since the epoch. */
  now: number;
  trace: Trace;
}

function decideProduct({ agent, product, directive, hot, now, trace }: Question): Answer {
  if (agent.stale === true) return trace.hold('report', 'stale');
  const dropped = agent.ended.find((attempt) => attempt.product === product);
  if (dropped !== undefined) {
    trace.deny(
      'attempt',
      `the attempt at ${dropped.version} has ended here as ${dropped.state}: the agent must drop it`,
    );
    return { kind: 'withdraw', attempt: dropped };
  }
  if (hot !== undefined && hot.product === product) return decideHot(agent, directive ?? null, hot, trace);
  if (directive === undefined) return trace.hold('assigned', 'not_assigned', `${product} in ${agent.region}`);
  trace.pass('assigned', `${product} in ${directive.region} is looked after`);
  const pin = pinFor(agent.pins, product);
  if (pin !== undefined) return decidePinned(agent, pin, trace);
  if (hot !== undefined) return trace.hold('busy', 'busy', hot.product);
  if (directive.brake !== null)
    return trace.hold('brake', 'braked', `${directive.brake.scope}: ${directive.brake.reason}`);
  trace.pass('brake', 'no brake is set');
  if (directive.clock !== null) return trace.hold('clock', 'clock_suspect', sayDoubt(directive.clock));
  const live = agent.live.find((attempt) => attempt.product === product);
  const lane = live === undefined ? laneFor(agent, directive) : laneOf(directive, live);
  const over = live === undefined ? wentPast(agent, directive, lane) : undefined;
  if (over !== undefined) return trace.hold('wave', LEFT_OUT, over);
  if (lane === null) return trace.deny('lane', 'no release is going out in this region');
  const ofBaseline = live !== undefined && live.laneId === directive.baseline?.laneId;
  if (ofBaseline && isInStep(agent, directive)) {
    trace.deny(
      'attempt',
      `is inside a step of ${directive.lane?.version} now: the attempt at the baseline is withdrawn`,
    );
    return { kind: 'withdraw', attempt: live };
  }
  if (live !== undefined) return decideLive(agent, directive, lane, live, now, trace);
  return decideAdmission(agent, product, directive, lane, trace);
}

/** What goes past its region, where nothing that comes there is for it. */
function wentPast(agent: AgentView, directive: Directive, lane: LaneDirective | null): string | undefined {
  const { leftOut } = directive;
  if (leftOut === undefined || (lane !== null && isToMove(agent, directive, lane))) return undefined;
  const isPast = leftOut.version === null ? lane === null : isBelow(agent, directive, leftOut.version);
  return isPast ? leftOut.detail : undefined;
}

/** Nothing is asked of it, and what was not granted before is taken back. */
function decidePinned(agent: AgentView, pin: Pin, trace: Trace): Answer {
  const live = agent.live.find((attempt) => attempt.product === pin.product);
  if (live === undefined) return trace.hold('pin', 'pinned', sayPin(pin));
  trace.deny('pin', `is pinned (${sayPin(pin)}): the attempt at ${live.version} is withdrawn`);
  return { kind: 'withdraw', attempt: live };
}

/** The lane that an attempt belongs to; one that is followed no more is answered about the one that is. */
function laneOf({ lane, baseline }: Directive, attempt: Attempt): LaneDirective | null {
  return baseline?.laneId === attempt.laneId ? baseline : (lane ?? baseline);
}

/** Being inside an opened step beats the baseline; who is below the baseline and in no step is brought to that. */
function laneFor(agent: AgentView, directive: Directive): LaneDirective | null {
  const { lane, baseline } = directive;
  if (lane === null || baseline === null) return lane ?? baseline;
  return !isInStep(agent, directive) && isToMove(agent, directive, baseline) ? baseline : lane;
}

function isInStep(agent: AgentView, directive: Directive): boolean {
  const { lane } = directive;
  if (lane === null || lane.hold !== null || !isToMove(agent, directive, lane)) return false;
  // A step is a share of those that the release has a file for: nobody else is inside, whatever its rank.
  if (!lane.artifacts.some(({ platform }) => platform === agent.platform)) return false;
  // Nor who does not have what this release requires: the baseline may be for it.
  const host = hostOf(agent, directive.product);
  if (host === undefined || hostObjection(wayOf(directive, lane), host) !== undefined) return false;
  return admittingStep(lane, agent) !== undefined;
}

/**
 * A hot attempt is answered about that only. The grant is repeated until the new version runs: the reply that carried
 * it may be lost, and an agent that was stopped before it swapped asks again. A brake or a halt makes it void.
 */
function decideHot(agent: AgentView, directive: Directive | null, hot: Attempt, trace: Trace): Answer {
  const lane = directive === null ? null : laneOf(directive, hot);
  // A lane that goes back has no permission left for what goes forward, nor the other way round.
  const isItsWay = lane?.laneId === hot.laneId && lane.steps.some((one) => one.step === hot.step);
  const mayAsk = (hot.state === 'granted' || hot.state === 'activating') && agent.holding.includes(hot.id);
  if (!mayAsk || directive === null || lane === null || !isItsWay) {
    return trace.deny('attempt', `${hot.version} is ${hot.state}: the agent ends this by itself`);
  }
  if (directive.brake !== null)
    return trace.hold('brake', 'braked', `${directive.brake.scope}: ${directive.brake.reason}`);
  // A lane that gives way lets what is hot come to its end.
  if (lane.hold !== null && lane.hold.reason !== 'not_in_step')
    return trace.hold('lane', lane.hold.reason, lane.hold.detail);
  if (!isToMove(agent, directive, lane, hot.version) || !isToMove(agent, directive, lane)) {
    return trace.deny('version', `does not run ${sourceOf(lane)} any more: the agent ends this by itself`);
  }
  trace.pass('attempt', `may activate ${hot.version} since it was granted`);
  return { kind: 'activate', lane, attempt: hot };
}

/** Whether the lane is there to bring the agent from what it runs to its version, or to `to` on the way there. */
function isToMove(agent: AgentView, directive: Directive, lane: LaneDirective, to = lane.version): boolean {
  const running = agent.products.find((one) => one.product === directive.product);
  if (running !== undefined && lane.takesBack.includes(running.version)) return true;
  return lane.raises && isBelow(agent, directive, to);
}

function isBelow(agent: AgentView, { product, scheme: name }: Directive, version: string): boolean {
  const running = agent.products.find((one) => one.product === product);
  const scheme = schemeOf(name);
  if (running === undefined || scheme.parse(running.version) === undefined) return false;
  return scheme.compare(running.version, version) < 0;
}

/** In words that follow “run”. */
function sourceOf({ raises, takesBack, version }: LaneDirective): string {
  return raises ? `a version below ${version}` : takesBack.join(' or ');
}

function goingTo({ raises, version }: LaneDirective): string {
  return raises ? `${version} is going out in this region` : `agents go back to ${version} in this region`;
}

function nameOf({ step }: OpenedStep): string {
  return goesBack({ step }) ? 'the way back' : `step ${step + 1}`;
}

function decideLive(
  agent: AgentView,
  directive: Directive,
  lane: LaneDirective,
  live: Attempt,
  now: number,
  trace: Trace,
): Answer {
  if (live.laneId !== lane.laneId) return trace.hold('attempt', 'busy', `an attempt at ${live.version} is ending`);
  if (!isToMove(agent, directive, lane, live.version)) {
    // By another hand, or it is here no longer: left alone it would stay live, and its seat undecided.
    trace.deny('version', `does not run ${sourceOf(lane)} any more: the attempt is withdrawn`);
    return { kind: 'withdraw', attempt: live };
  }
  const stop = nextStop(agent, directive, lane);
  if (stop.version !== live.version) {
    trace.deny('path', `the way to ${lane.version} goes over ${stop.version} now: the attempt is withdrawn`);
    return { kind: 'withdraw', attempt: live };
  }
  if (lane.hold !== null) return trace.hold('lane', lane.hold.reason, lane.hold.detail);
  trace.pass('lane', goingTo(lane));
  if (live.platform !== agent.platform) return trace.hold('artifact', 'no_artifact', agent.platform);
  const held = askHost(agent, directive, lane, trace);
  if (held !== undefined) return held;
  const missing = missingAt(stop, live.platform);
  if (missing !== undefined) return trace.hold(missing.rule, missing.reason, missing.detail);
  const step = lane.steps.find((one) => one.step === live.step);
  if (step === undefined) return trace.hold('step', 'not_in_step');
  if (live.state === 'staged' && agent.holding.includes(live.id))
    return decideGrant({ agent, directive, lane, step, live, now, trace });
  if (live.state === 'offered' && agent.holding.includes(live.id)) {
    return trace.deny('attempt', `downloads and verifies ${live.version}`);
  }
  const artifact = stop.artifacts.find((one) => one.sha256 === live.sha256 && one.platform === live.platform);
  if (artifact === undefined) return trace.hold('artifact', 'no_artifact', live.platform);
  // Also for a staged attempt that the agent does not hold any more: it has lost its disk, and stages again.
  trace.pass('attempt', `${live.version} is offered: the agent downloads and verifies it`);
  return { kind: 'stage', lane, step, version: stop.version, hop: stop.hop, artifact, attempt: live };
}

function hostOf(agent: AgentView, product: string): Host | undefined {
  const running = agent.products.find((one) => one.product === product);
  if (running === undefined) return undefined;
  const { platform, facts, health, healthReason } = agent;
  return { version: running.version, digest: running.digest, platform, facts, health, healthReason };
}

/** What the host itself stands in the way with, before anything is asked of the lane; undefined when nothing. */
function askHost(agent: AgentView, directive: Directive, lane: LaneDirective, trace: Trace): Answer | undefined {
  const host = hostOf(agent, directive.product);
  if (host === undefined) return undefined;
  const way = wayOf(directive, lane);
  // Who is unwell may be so for the release that is taken back.
  const asked: Way = lane.takesBack.includes(host.version) ? { ...way, unhealthy: 'update' } : way;
  for (const { rule, sentence, objection } of hostChecks(asked, host)) {
    if (objection !== null) return trace.hold(rule, objection.reason, objection.detail);
    // Of an attempt that goes on it need not be said again.
    if (rule !== 'build' || !agent.live.some(({ product }) => product === directive.product))
      trace.pass(rule, sentence);
  }
  return undefined;
}

/** The lowest floor above what runs, else the release. */
interface NextStop extends Omit<FloorStop, 'requirements'> {
  hop: boolean;
}

function nextStop(agent: AgentView, directive: Directive, lane: LaneDirective): NextStop {
  const floor = lane.floors.find((one) => isBelow(agent, directive, one.version));
  if (floor !== undefined) return { ...floor, hop: true };
  const { version, artifacts, absent, unknown } = lane;
  return { version, artifacts, absent, unknown, trouble: null, hop: false };
}

/** Why it cannot be had for the platform now; undefined when it can. */
function missingAt(stop: NextStop, platform: string): { rule: string; reason: HoldReason; detail: string } | undefined {
  const { version, hop, trouble, absent, unknown } = stop;
  const isAbsent = absent.includes(platform);
  if (hop && (trouble !== null || isAbsent))
    return { rule: 'floor', reason: 'floor_missing', detail: trouble ?? `${version} for ${platform}` };
  if (isAbsent) return { rule: 'availability', reason: 'not_available', detail: platform };
  if (!unknown.includes(platform)) return undefined;
  const detail = hop ? `${version} for ${platform}, which must not be jumped over` : platform;
  return { rule: hop ? 'floor' : 'availability', reason: 'availability_unknown', detail };
}

interface GrantQuestion {
  agent: AgentView;
  directive: Directive;
  lane: LaneDirective;
  step: OpenedStep;
  live: Attempt;
  now: number;
  trace: Trace;
}

function decideGrant({ agent, directive, lane, step, live, now, trace }: GrantQuestion): Answer {
  trace.pass('attempt', `${live.version} lies verified on the host's disk`);
  if (lane.raises) {
    const closed = closedWindow(directive, lane, now);
    if (closed !== undefined) return trace.hold('window', closed.reason, closed.detail);
    trace.pass('window', 'the window is open for as long as the attempt may take');
  } else trace.pass('window', 'a rollback waits for no window');
  const { bad, hot } = step.counters;
  const name = lane.laneId === directive.baseline?.laneId ? 'the baseline' : nameOf(step);
  const room = step.strict ? step.budget - bad - hot : step.budget - bad;
  if (room <= 0) {
    return trace.hold('budget', 'budget', `${bad} bad and ${hot} at risk of ${step.budget} that halt ${name}`);
  }
  trace.pass('budget', `${bad} bad and ${hot} at risk, ${step.budget} halt ${name}`);
  const hotInLane = lane.steps.reduce((sum, one) => sum + one.counters.hot, 0);
  if (hotInLane >= lane.maxHot) return trace.hold('limit', 'at_limit', `${hotInLane} of ${lane.maxHot} in this lane`);
  const full = fullLimit(directive.limits, directive.occupied, agent);
  if (full !== undefined) return trace.hold('limit', full.reason, full.detail);
  trace.pass('limit', `${hotInLane} of ${lane.maxHot} in this lane are being updated`);
  const { ceilings } = directive.occupied;
  const reached = fullCeiling(ceilings, now);
  if (reached !== undefined) return trace.hold('ceiling', 'ceiling', sayFull(reached));
  if (ceilings.length > 0) trace.pass('ceiling', usedOf(ceilings));
  return { kind: 'activate', lane, attempt: live };
}

/** Staging goes on outside windows, grants do not; nor is anything granted that the rest of the window cannot cover. */
function closedWindow({ window, opensAgainAt }: Directive, lane: LaneDirective, now: number) {
  if (!window.open) {
    const { reason, detail, opensAt } = window;
    return { reason, detail: opensAt === null ? detail : `${detail}; it opens at ${instantOf(opensAt)}` };
  }
  if (window.closesAt === null || window.closesAt - now >= lane.attemptMs) return undefined;
  const again = opensAgainAt === null ? '' : `; it opens again at ${instantOf(opensAgainAt)}`;
  return { reason: 'outside_window' as const, detail: `too little of the window is left for an attempt${again}` };
}

function decideAdmission(
  agent: AgentView,
  product: string,
  directive: Directive,
  lane: LaneDirective,
  trace: Trace,
): Answer {
  const running = agent.products.find((one) => one.product === product);
  if (running === undefined) return trace.deny('running', `${product} does not run here`);
  const scheme = schemeOf(directive.scheme);
  if (scheme.parse(running.version) === undefined) return trace.hold('version', 'unknown_build', running.version);
  const order = scheme.compare(running.version, lane.version);
  if (order >= 0 && directive.unknownBuilds === 'hold' && !isKnownBuild(directive.builds, running))
    return trace.hold('build', 'unknown_build', unknownBuild(directive.builds, running));
  if (order === 0) return trace.deny('version', `runs ${lane.version} already`);
  const isBack = lane.takesBack.includes(running.version);
  if (order > 0 && !isBack)
    return trace.deny('version', `runs ${running.version}, which is newer than ${lane.version}: no downgrade`);
  if (order < 0 && !lane.raises)
    return trace.deny('version', `runs ${running.version}: only ${sourceOf(lane)} is taken back here`);
  trace.pass(
    'version',
    isBack
      ? `runs ${running.version}, which is taken back to ${lane.version}`
      : `runs ${running.version}, the release is ${lane.version}`,
  );
  const held = askHost(agent, directive, lane, trace);
  if (held !== undefined) return held;
  const isThere = lane.artifacts.some((one) => one.platform === agent.platform);
  // A lane may be over because nobody in its region has a file.
  if (lane.hold !== null && !isThere) return trace.hold('artifact', 'no_artifact', agent.platform);
  if (lane.hold !== null) return trace.hold('lane', lane.hold.reason, lane.hold.detail);
  trace.pass('lane', goingTo(lane));
  const stop = nextStop(agent, directive, lane);
  const artifact = stop.artifacts.find((one) => one.platform === agent.platform);
  if (artifact === undefined || !isThere) return trace.hold('artifact', 'no_artifact', agent.platform);
  trace.pass('artifact', `${artifact.name} is for ${agent.platform}`);
  const missing = missingAt(stop, agent.platform);
  if (missing !== undefined) return trace.hold(missing.rule, missing.reason, missing.detail);
  const step = admittingStep(lane, agent);
  if (step === undefined) return trace.hold('step', 'not_in_step');
  trace.pass('step', `is inside ${nameOf(step)}`);
  const used = attemptsUsed(agent.spent, lane);
  const tries = `${used} of ${lane.attemptsPerAgent} attempts`;
  const timeouts = timeoutsAmong(agent.spent, lane);
  const late = timeouts === 0 ? '' : `, ${timeouts} of them not staged in time`;
  if (used >= lane.attemptsPerAgent) return trace.hold('attempts', 'quarantined', `${tries}${late}`);
  trace.pass('attempts', `${tries} spent${late}`);
  const downloads = fullDownloads(directive.limits, directive.occupied, agent.region);
  if (downloads !== undefined) return trace.hold('bandwidth', 'bandwidth', downloads);
  const here = downloadingIn(lane);
  if (lane.maxDownloading !== null && here >= lane.maxDownloading)
    return trace.hold('bandwidth', 'bandwidth', `${here} of ${lane.maxDownloading} newcomers in ${directive.region}`);
  return { kind: 'stage', lane, step, version: stop.version, hop: stop.hop, artifact, attempt: null };
}
