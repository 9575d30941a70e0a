// The modelled hosts of one world: how they are enrolled, how versions fare on them, and what they say when they lie.
import type { Fault } from '../../src/agent/host.ts';
import type { Order } from '../../src/agent/order.ts';
import { instructionOf, reportOf } from '../../src/api/agent-wire.ts';
import type { AgentReport } from '../../src/domain/agent.ts';
import type { CheckInResult } from '../../src/domain/check-in.ts';
import { schemeOf } from '../../src/domain/version/schemes.ts';
import { AppError } from '../../src/errors.ts';
import {
  type CheckInRequest,
  type Instruction,
  REPORTED_STATES,
  type RunningProduct,
} from '../../src/protocol/agent.ts';
import { transaction } from '../../src/store/database.ts';
import { insertEnrolToken } from '../../src/store/tokens.ts';
import type { Github } from './github.ts';
import { noteHold } from './happenings.ts';
import type { Mark } from './marks.ts';
import type { Network } from './network.ts';
import { hash32, type Random } from './random.ts';
import type { SimServer } from './server.ts';
import { type AgentReply, createSimAgent, type Fate, PowerLost, type SimAgent } from './sim-agent.ts';
import { copyOf, type Disk, newDisk } from './sim-host.ts';
import { placeKey, type Quality, releaseKey, type World } from './world.ts';

export interface Member {
  agent: SimAgent;
  /** Says anything, not what is. */
  lies: boolean;
  /** Never comes back: the fifth of the fleet that is gone at the end. */
  gone: boolean;
  /** Off for a while, since the middle of an activation. */
  dark: boolean;
  clone: SimAgent | undefined;
  labels: Record<string, string>;
}

export interface Fleet {
  members: Member[];
  /** A new host with that version of every product, installed by hand. */
  enrol(version: string): Promise<void>;
  vanish(member: Member, forMs: number): void;
  clone(member: Member, forMs: number): void;
  lie(member: Member, forMs: number): void;
  /** It is no host of the fleet any more, and stays off. */
  leave(agentId: string): void;
  /** After a restore: hosts that the database does not know any more enrol anew. */
  forget(isUnknown: (agentId: string) => boolean): void;
}

export interface FleetParts {
  world: World;
  server: SimServer;
  network: Network;
  github: Github;
}

const LATE_MS = 1_800_000;

const FAILS: Partial<Record<Quality, Mark>> = {
  crashes: 'release_failed_everywhere',
  crashes_on_some: 'release_failed_on_some',
  crashes_in_one_region: 'release_failed_in_one_region',
  crashes_late: 'release_failed_after_half_an_hour',
};

export function createFleet(parts: FleetParts): Fleet {
  const { world, server, network, github } = parts;
  const { time, truth, marks, plan } = world;
  const random = world.random.fork('fleet');
  const members: Member[] = [];
  let names = 0;

  async function enrol(version: string): Promise<void> {
    names += 1;
    const name = `h${names}`;
    const region = random.pick(plan.regions);
    const platform = random.pick(plan.platforms);
    const products: RunningProduct[] = plan.productNames
      .filter((_, at) => at === 0 || random.chance(70))
      .map((product) => ({ product, version, digest: github.digestOf(product, version, platform) }));
    const tokenId = world.newId();
    const labels = { ...(random.chance(30) ? { ring: 'canary' } : {}), rack: random.pick(['r1', 'r2']) };
    await transaction(server.database, (tx) =>
      insertEnrolToken(tx, {
        id: tokenId,
        secretHash: 'hash',
        region,
        labels,
        maxUses: 1,
        uses: 0,
        createdBy: 'simulator',
        createdAt: server.wallNow(),
        // Of no interest here: clocks are put back and forth by years.
        expiresAt: 8_000_000_000_000,
      }),
    );
    const publicKey = random.hex(43);
    const input = { tokenId, secretHash: 'hash', publicKey, name, platform, products };
    const twice = random.chance(15);
    const { restores } = truth;
    ask();

    /** Asks again until the reply has come, as a host does; the same key gives the same agent. */
    function ask(): void {
      truth.messages += 1;
      server
        .call((engine) => engine.agents.enrol(input))
        .then(
          (agent) => {
            if (twice && !members.some((member) => member.agent.identity.id === agent.id)) {
              marks.hit('enrolled_twice_with_one_key');
              server
                .call((engine) => engine.agents.enrol(input))
                .then(
                  (again) => {
                    if (again.id !== agent.id)
                      world.broken('M2', `one key was enrolled twice: ${agent.id}, ${again.id}`);
                  },
                  () => {},
                );
            }
            world.say(`${name}: enrolled in ${region} on ${platform} with ${version}`);
            join({ id: agent.id, handle: agent.handle, name, region }, platform, products, labels);
          },
          (error: unknown) => {
            if (isAway(error)) time.after(random.between(10, 60) * 1000, ask);
            // Its token was made after the backup that is in use now.
            else if (truth.restores !== restores) void enrol(version);
            else if (isBug(error)) world.broken('D0', `an enrolment failed: ${(error as Error).stack}`);
          },
        );
    }
  }

  function join(
    identity: SimAgent['identity'],
    platform: string,
    products: RunningProduct[],
    labels: Record<string, string>,
  ): void {
    if (members.some((member) => member.agent.identity.id === identity.id)) return;
    const member: Member = {
      lies: false,
      gone: false,
      dark: false,
      clone: undefined,
      labels,
      agent: undefined as unknown as SimAgent,
    };
    member.agent = makeAgent(member, identity, platform, newDisk(server.epoch(), products), identity.name);
    members.push(member);
    member.agent.powerOn();
  }

  function makeAgent(
    member: Member,
    identity: SimAgent['identity'],
    platform: string,
    disk: Disk,
    streamName: string,
  ): SimAgent {
    const own = world.random.fork(`agent/${streamName}`);
    const isHonest = () => !truth.dishonest.has(identity.id);
    const say = (text: string) => world.say(`${streamName}: ${text}`);
    const agent: SimAgent = createSimAgent(disk, {
      time,
      random: own,
      scale: plan.scale,
      identity: { ...identity, name: streamName },
      host: {
        platform,
        bring: (order, signal) => bring(order, signal, own),
        selfTest: (order) =>
          qualityHere(order) === 'selftest_fails'
            ? { cause: 'selftest_failed', detail: 'the self-test says no' }
            : undefined,
        localFault: () =>
          agent.running().some((one) => qualityOf(one) === 'unhealthy') && isHonest()
            ? 'the workload does not answer'
            : undefined,
        // Once in a while a host lacks for some minutes what its owner wants it to have.
        facts: () => ({
          kernel: hash32(`${identity.id} ${Math.floor(time.now() / (600_000 * plan.scale))}`) % 3 === 0 ? '4' : '6',
        }),
        missing: () =>
          !truth.calm && hash32(`${identity.id} ${Math.floor(time.now() / (600_000 * plan.scale))}`) % 20 === 0
            ? 'the disk of the workload is not mounted'
            : undefined,
        flipped: (order, from) => flipped(order, from, say),
        confirmed(order) {
          truth.proven.add(order.attempt);
          marks.hit('agent_proved');
          say(`proved ${order.version}`);
        },
      },
      effect(name) {
        if (truth.calm) return;
        if (truth.darkForMs > 0 && ['flip', 'marker', 'settle'].includes(name)) {
          marks.hit('went_dark_at_the_swap');
          say(`goes dark before ${name}`);
          const forMs = truth.darkForMs;
          truth.darkForMs = 0;
          member.dark = true;
          time.after(1, () => off(forMs));
          throw new PowerLost(name);
        }
        if (own.chance(plan.faults.powerLoss)) {
          marks.hit('power_lost');
          say(`power lost before ${name}`);
          time.after(1, () => off(own.between(1, 30) * 1000 * plan.scale));
          throw new PowerLost(name);
        }
        // What has to do with the launcher's marker is a rename there, which needs no space.
        if (['journal', 'counters', 'seal', 'settle'].includes(name) && own.chance(plan.faults.fullDisk)) {
          marks.hit('disk_full');
          throw Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC', syscall: 'write' });
        }
      },
      fateOf: (running) => fateOf(running, own),
      send: (body, waitMs, signal) => send(member, agent, body, waitMs, signal, own),
      refused(error) {
        if (isAway(error) || error.code === 'overloaded') return;
        if (error.code === 'unenrolled' && truth.toUnenrol.has(identity.id)) {
          marks.hit('unenrolled_host_told');
          say('is told that it was taken out');
          leave(identity.id);
          // Somebody has made a new host of it.
          if (random.chance(50)) void enrol('1.0.0');
          return;
        }
        if (!isHonest()) {
          marks.hit('lie_refused');
          return;
        }
        world.broken('L3', `an honest agent (${streamName}) is refused: ${error.code}: ${error.message}`);
      },
      wentBack(attempt) {
        truth.undone.add(attempt);
        marks.hit('agent_rolled_back');
        say('went back');
      },
      lastStart: () => marks.hit('third_unproven_start'),
      ended: (_attempt, _product, state) => {
        if (state === 'declined') marks.hit('agent_declined');
      },
      bug: (error) => world.broken('A0', `the agent fails: ${(error as Error).stack}`),
    });

    function off(forMs: number): void {
      agent.powerOff();
      time.after(forMs, () => {
        member.dark = false;
        // A clone that has been found and ended stays so.
        if (!member.gone && (agent === member.agent || agent === member.clone)) agent.powerOn();
      });
    }
    return agent;

    function qualityHere(order: Pick<Order, 'product' | 'version'>): Quality {
      return qualityOf({ ...order, digest: '' });
    }

    function qualityOf({ product, version }: RunningProduct): Quality {
      const release = truth.releases.get(releaseKey(product, version));
      if (release === undefined) return 'good';
      const { quality } = release;
      if (quality === 'crashes_on_some') return hash32(`${identity.id} ${version}`) % 10 < 1 ? 'crashes' : 'good';
      if (quality === 'crashes_in_one_region') return release.region === identity.region ? 'crashes' : 'good';
      return quality;
    }

    function fateOf(running: readonly RunningProduct[], by: Random): Fate {
      const qualities = running.map(qualityOf);
      for (const one of running) {
        const mark = FAILS[truth.releases.get(releaseKey(one.product, one.version))?.quality ?? 'good'];
        if (mark !== undefined && ['crashes', 'crashes_late'].includes(qualityOf(one))) marks.hit(mark);
      }
      if (qualities.includes('crashes')) return { diesAfterMs: by.between(1, 3000), mute: false };
      if (qualities.includes('crashes_late')) return { diesAfterMs: LATE_MS, mute: false };
      return { diesAfterMs: null, mute: qualities.includes('cannot_reach_server') };
    }

    function bring(order: Order, signal: AbortSignal, by: Random): Promise<Fault | undefined> {
      const fails = qualityHere(order) === 'download_fails' && by.chance(60);
      return new Promise((resolve, reject) => {
        const cancel = time.after(by.between(1, 20) * 1000 * plan.scale, () => {
          if (!fails) return resolve(undefined);
          marks.hit('stage_failed');
          resolve({ cause: 'download_failed', detail: 'the connection broke' });
        });
        signal.addEventListener('abort', () => {
          cancel();
          reject(new Error('aborted'));
        });
      });
    }

    function flipped(order: Order, from: RunningProduct, tell: (text: string) => void): void {
      marks.hit('agent_flipped');
      tell(`flips from ${from.version} to ${order.version}`);
      if (from.version !== order.from.version || from.digest !== order.from.digest)
        world.broken('T2', `${streamName} runs ${from.version} and was sent from ${order.from.version}`);
      if (!order.rollback && schemeOf('semver').compare(order.version, from.version) <= 0)
        world.broken('T2', `${streamName} goes down from ${from.version} to ${order.version}`);
      const digest = truth.releases.get(releaseKey(order.product, order.version))?.digests.get(platform);
      if (digest !== order.digest) world.broken('T4', `${streamName} (${platform}) flips to ${order.digest}`);
    }
  }

  async function send(
    member: Member,
    agent: SimAgent,
    body: string,
    waitMs: number,
    signal: AbortSignal,
    own: Random,
  ): Promise<AgentReply> {
    const lies = member.lies && member.agent === agent;
    const sent = lies ? lieAbout(JSON.parse(body) as CheckInRequest, own) : (JSON.parse(body) as CheckInRequest);
    const report: AgentReport = reportOf(agent.identity.handle, sent);
    const patienceMs = (waitMs + 30_000) * plan.scale;
    if (plan.overHttp) return await sendOverHttp(agent, sent, waitMs, patienceMs);
    const { restores } = truth;
    let epoch = 0;
    const result = await network.send(agent.identity, patienceMs, () => whenAwake(deliver));
    acknowledge(agent, result.acknowledged, restores);
    return replyOf(agent, result, body, epoch);

    async function deliver(): Promise<CheckInResult> {
      refuseOldSession(restores);
      const startedAt = time.now();
      const to = server.choose();
      if (to === 'server') hear(agent.identity.id, sent);
      const answered = await server.checkIn(report, waitMs * plan.scale, signal, to);
      epoch = server.epoch();
      if (time.now() - startedAt > 1000 && time.now() - startedAt < waitMs * plan.scale) marks.hit('long_poll_woken');
      note(agent, answered.answer, answered.answer.kind === 'instruction' ? answered.answer.attempt : undefined);
      const { answer } = answered;
      const isLost =
        !truth.calm &&
        time.now() < truth.loseOffersUntil &&
        answer.kind === 'instruction' &&
        answer.action === 'stage' &&
        answer.attempt.product === plan.productNames.at(-1);
      // The agent gives up waiting for it.
      return isLost ? new Promise(() => {}) : answered;
    }
  }

  /** A restore voids the sessions: the agent gets a new one and asks again. */
  function refuseOldSession(restores: number): void {
    if (truth.restores !== restores) throw new AppError('unreachable', 'the session is of before the restore');
  }

  function acknowledge(
    { identity }: SimAgent,
    acknowledged: readonly { id: string; state: string }[],
    restores: number,
  ): void {
    // What was written down for it is in what was lost.
    if (truth.restores !== restores) return;
    for (const { id, state } of acknowledged) {
      truth.acknowledged.set(id, state);
      if (restores > 0 && !truth.dishonest.has(identity.id)) truth.toldSince.set(id, state);
    }
  }

  /** Whoever is unwell, or lies, is not relied on. */
  function hear(id: string, { health, products }: CheckInRequest): void {
    truth.reportedSince.add(id);
    for (const { product, version } of products) truth.says.set(`${id} ${product}`, version);
    if (health.status === 'ok' && !truth.dishonest.has(id)) truth.heard.set(id, truth.observableMs);
    else truth.heard.set(id, Number.NEGATIVE_INFINITY);
  }

  /** A server that is stopped takes nothing until it goes on. */
  function whenAwake<T>(deliver: () => Promise<T>): Promise<T> {
    if (time.now() >= server.pausedUntil()) return deliver();
    return new Promise((resolve, reject) => {
      time.at(server.pausedUntil(), () => void deliver().then(resolve, reject));
    });
  }

  async function sendOverHttp(
    agent: SimAgent,
    sent: CheckInRequest,
    waitMs: number,
    patienceMs: number,
  ): Promise<AgentReply> {
    const body = JSON.stringify(sent);
    marks.hit('over_http');
    const { restores } = truth;
    const { answer, acknowledged, nextInMs, wantFacts } = await network.send(agent.identity, patienceMs, () =>
      whenAwake(async () => {
        refuseOldSession(restores);
        const to = server.choose();
        if (to === 'server') hear(agent.identity.id, sent);
        const reply = await server.checkInOverHttp(agent.identity.handle, body, waitMs, to);
        const opened = reply.answer.kind === 'instruction' ? (JSON.parse(reply.answer.text) as Instruction) : undefined;
        const attempt = opened && {
          id: opened.attempt,
          product: opened.product,
          version: opened.version,
          sha256: opened.artifact.sha256,
        };
        note(agent, { ...reply.answer, ...(opened && { action: opened.action }) }, attempt);
        return reply;
      }),
    );
    acknowledge(agent, acknowledged, restores);
    const instruction = answer.kind === 'instruction' ? answer.text : undefined;
    return { instruction, acknowledged, nextInMs, wantFacts };
  }

  function note(
    { identity }: SimAgent,
    answer: { kind: string; reason?: string; action?: string },
    attempt: { id: string; product: string; version: string; sha256: string } | undefined,
  ): void {
    if (answer.kind === 'hold') {
      world.say(`${identity.name}: held, ${answer.reason}`);
      noteHold(marks, answer.reason);
    }
    if (attempt !== undefined) {
      world.say(`${identity.name}: ${answer.action} ${attempt.product} ${attempt.version} (${attempt.id.slice(0, 8)})`);
      const known = truth.instructed.get(attempt.id);
      if (known !== undefined && known !== attempt.sha256)
        world.broken('D4', `the attempt ${attempt.id} came with another digest`);
      truth.instructed.set(attempt.id, attempt.sha256);
    }
  }

  function replyOf(agent: SimAgent, result: CheckInResult, body: string, epoch: number): AgentReply {
    const { answer, acknowledged, nextInMs, wantFacts } = result;
    const { scale } = plan;
    if (answer.kind !== 'instruction') return { instruction: undefined, acknowledged, nextInMs, wantFacts };
    // The durations are the server's; the host counts slower.
    const slower = {
      ...answer,
      stageWithinMs: Math.floor(answer.stageWithinMs / scale),
      activateWithinMs: Math.floor(answer.activateWithinMs / scale),
      proveWithinMs: Math.floor(answer.proveWithinMs / scale),
      stableForMs: Math.floor(answer.stableForMs / scale),
    };
    const { id, region } = agent.identity;
    const context = { agent: { id, region }, epoch, rawBody: Buffer.from(body) };
    return { instruction: JSON.stringify(instructionOf(slower, context)), acknowledged, nextInMs, wantFacts };
  }

  function lieAbout(request: CheckInRequest, by: Random): CheckInRequest {
    marks.hit('agent_lied');
    const known = [...truth.releases.values()];
    const anyRelease = by.pick(known);
    const attempts = [...truth.instructed.keys()];
    const products = by.chance(40)
      ? request.products.map((one) => ({
          ...one,
          version: by.chance(80) ? anyRelease.version : '99.0.0',
          digest: [...anyRelease.digests.values()][0] ?? one.digest,
        }))
      : request.products;
    const claims = by.chance(60)
      ? request.attempts.map((one) => ({ ...one, state: by.pick(REPORTED_STATES) }))
      : by.chance(30) && attempts.length > 0
        ? [
            {
              id: by.pick(attempts),
              product: request.products[0]?.product ?? 'agentd',
              state: by.pick(REPORTED_STATES),
            },
          ]
        : [];
    return { ...request, products, attempts: claims, sequence: by.chance(10) ? 1_000_000 : request.sequence };
  }

  function leave(agentId: string): void {
    const member = members.find(({ agent }) => agent.identity.id === agentId);
    if (member === undefined) return;
    members.splice(members.indexOf(member), 1);
    member.gone = true;
    member.agent.powerOff();
    member.clone?.powerOff();
  }

  return {
    members,
    enrol,
    vanish(member, forMs) {
      marks.hit('agent_vanished');
      world.say(`${member.agent.identity.name}: gone for ${Math.round(forMs / 60_000)} min`);
      member.agent.powerOff();
      time.after(forMs, () => {
        if (member.gone || member.agent.isOn()) return;
        marks.hit('agent_returned');
        member.agent.powerOn();
      });
    },
    clone(member, forMs) {
      if (member.clone !== undefined) return;
      const { identity } = member.agent;
      truth.dishonest.add(identity.id);
      marks.hit('agent_cloned');
      world.say(`${identity.name}: is cloned`);
      const disk = copyOf(member.agent.disk);
      member.clone = makeAgent(member, identity, member.agent.platform(), disk, `${identity.name}'`);
      member.clone.powerOn();
      time.after(forMs, () => {
        member.clone?.powerOff();
        member.clone = undefined;
      });
    },
    leave,
    forget(isUnknown) {
      for (const { agent } of members.filter(({ agent }) => isUnknown(agent.identity.id))) {
        marks.hit('enrolled_after_the_backup');
        world.say(`${agent.identity.name}: is not known any more, and enrols anew`);
        leave(agent.identity.id);
        void enrol('1.0.0');
      }
    },
    lie(member, forMs) {
      truth.dishonest.add(member.agent.identity.id);
      member.lies = true;
      world.say(`${member.agent.identity.name}: begins to lie`);
      time.after(forMs, () => {
        member.lies = false;
      });
    },
  };
}

/** Nobody is there, or one who is not the server any more. */
function isAway(error: unknown): boolean {
  return error instanceof AppError && (error.code === 'unreachable' || error.code === 'not_ready');
}

export function isBug(error: unknown): boolean {
  return !(error instanceof AppError);
}

/** Whether the region has the release, as the world knows it. */
export function trulyAvailable(world: World, product: string, version: string, region: string, platform: string) {
  return world.truth.availability.get(placeKey(product, version, region, platform))?.at(-1)?.status;
}
