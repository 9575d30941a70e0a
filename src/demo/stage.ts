// The demo's stage: a recorded GitHub and a mirror per region, the server and the agents as processes of their own, all
// in one directory.

import { mkdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { FetchLike } from '../protocol/agent-client.ts';
import type { LaneView, RolloutView, StatusReply } from '../protocol/operator.ts';
import { createOperatorClient, type OperatorClient } from '../protocol/operator-client.ts';
import { type BuiltArtifact, buildAgentArtifact } from './build-agent.ts';
import { type Children, openChildren, TIDEGATE } from './children.ts';
import { writeDemoConfig } from './demo-config.ts';
import { freePort } from './free-port.ts';
import { HISTORIES_DIR } from './histories.ts';
import { type RecordedGitHub, startRecordedGitHub } from './recorded-github.ts';
import { openRegionMirrors, type RegionMirrors } from './region-mirrors.ts';
import { loadReleaseHistories } from './release-histories.ts';

export const PRODUCT = 'demo-agent';
/** In the order of the waves. */
export const REGIONS = ['us-west-2', 'us-east-1', 'eu-west-1'] as const;
/** What the agents are built for: this machine. */
export const PLATFORM = `${process.platform}-${process.arch}`;
export type RegionName = (typeof REGIONS)[number];
const REPOSITORY = 'tidegate/demo-agent';
/** Says at its start that it cannot run, as a release does whose dependency is missing; its self-test still works. */
const DIES_AT_START =
  "if (!process.argv.includes('--self-test')) { console.error('demo-agent: cannot read the schema of its state'); process.exit(1); }";
const TICK_MS = 100;
const START_SECONDS = 30;

export interface DemoAgent {
  name: string;
  region: RegionName;
  root: string;
}

export interface NewAgent {
  name: string;
  region: RegionName;
  labels?: Record<string, string>;
}

export interface Stage {
  directory: string;
  database: string;
  serverUrl: string;
  tokenFile: string;
  operator: OperatorClient;
  mirrors: RegionMirrors;
  agents: DemoAgent[];
  build(version: string, options?: { broken?: boolean }): Promise<BuiltArtifact>;
  /** Puts it on the mirrors of these regions, then on GitHub. */
  publish(version: string, artifact: BuiltArtifact, regions: readonly RegionName[]): void;
  /** Installs an agent from the artifact, enrolled into the region, and starts it. */
  addAgent(wanted: NewAgent, artifact: BuiltArtifact): Promise<DemoAgent>;
  /** The version that the agent's `current` link leads to. */
  currentOf(agent: DemoAgent): string;
  /**
   * Waits until the status is as wanted; `always` is called with every status on the way and throws where something is
   * seen that must not be. Throws after `seconds` with the last status.
   */
  until(
    what: string,
    seconds: number,
    reached: (status: StatusReply) => boolean | Promise<boolean>,
    always?: (status: StatusReply) => void,
  ): Promise<StatusReply>;
  close(): Promise<void>;
}

export async function openStage(directory: string): Promise<Stage> {
  const logs = join(directory, 'logs');
  const artifacts = join(directory, 'artifacts');
  for (const dir of [logs, artifacts, join(directory, 'agents')]) mkdirSync(dir, { recursive: true });
  const github = await startRecordedGitHub();
  github.repositories.create(REPOSITORY);
  await loadReleaseHistories(github.repositories, HISTORIES_DIR);
  const mirrors = await openRegionMirrors(REGIONS);
  const children = openChildren({ logs, compileCache: join(directory, 'compile-cache') });
  const close = async () => {
    await children.stop();
    await Promise.all([github.close(), mirrors.close()]);
  };
  try {
    const serverUrl = await startServer({ directory, logs, children, github, mirrors });
    const tokenFile = join(directory, 'server', 'operator.token');
    const token = readFileSync(tokenFile, 'utf8').trim();
    const operator = createOperatorClient({ baseUrl: serverUrl, token, fetch: fetch as unknown as FetchLike });
    const agents: DemoAgent[] = [];
    return {
      directory,
      database: join(directory, 'server', 'tidegate.db'),
      serverUrl,
      tokenFile,
      operator,
      mirrors,
      agents,
      build: (version, { broken = false } = {}) =>
        buildAgentArtifact({
          product: PRODUCT,
          version,
          platform: PLATFORM,
          outDir: artifacts,
          ...(broken ? { banner: DIES_AT_START } : {}),
        }),
      publish(version, artifact, regions) {
        for (const region of regions) mirrors.put(region, PRODUCT, version, artifact);
        github.repositories.publish(REPOSITORY, {
          tag: `v${version}`,
          assets: [{ name: basename(artifact.file), path: artifact.file }],
        });
      },
      async addAgent({ name, region, labels = {} }, artifact) {
        const root = join(directory, 'agents', name);
        const { token: enrolToken } = await operator.createEnrolToken({ region, labels, uses: 1 });
        const what = ['--root', root, '--artifact', artifact.file, '--product', PRODUCT, '--name', name];
        await children.run(['agent', 'install', ...what, '--server', serverUrl, '--enrol-token', enrolToken]);
        children.start(name, join(root, 'launcher.mjs'), ['--root', root]);
        const agent = { name, region, root };
        agents.push(agent);
        return agent;
      },
      currentOf: (agent) => basename(readlinkSync(join(agent.root, 'current'))),
      until: (what, seconds, reached, always) => watch(operator, { what, seconds, reached, always }),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

export function rolloutOf(status: StatusReply, version: string): RolloutView | undefined {
  return status.rollouts.find((rollout) => rollout.product === PRODUCT && rollout.version === version);
}

export function laneOf(status: StatusReply, version: string, region: RegionName): LaneView | undefined {
  return rolloutOf(status, version)?.lanes.find((lane) => lane.region === region);
}

interface Watch {
  what: string;
  seconds: number;
  reached: (status: StatusReply) => boolean | Promise<boolean>;
  always: ((status: StatusReply) => void) | undefined;
}

async function watch(operator: OperatorClient, { what, seconds, reached, always }: Watch): Promise<StatusReply> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const status = await operator.status();
    always?.(status);
    if (await reached(status)) return status;
    if (performance.now() > deadline) {
      throw new Error(`not seen within ${seconds} s: ${what}\n${JSON.stringify(status, null, 2)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
}

interface ServerParts {
  directory: string;
  logs: string;
  children: Children;
  github: RecordedGitHub;
  mirrors: RegionMirrors;
}

/** Returns its address once it answers. Throws with what it said where it does not. */
async function startServer({ directory, logs, children, github, mirrors }: ServerParts): Promise<string> {
  const config = join(directory, 'tidegate.yaml');
  const listen = `127.0.0.1:${await freePort()}`;
  writeDemoConfig(config, { listen, github: github.url, mirrorOf: mirrors.urlOf });
  const server = children.start('server', TIDEGATE, ['serve', '--config', config]);
  try {
    await listening(`http://${listen}`, () => server.exitCode);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${readFileSync(join(logs, 'server.log'), 'utf8').slice(-4_000)}`);
  }
  return `http://${listen}`;
}

async function listening(url: string, exitCode: () => number | null): Promise<void> {
  const deadline = performance.now() + START_SECONDS * 1000;
  while (performance.now() < deadline) {
    if (exitCode() !== null) throw new Error(`the server ended with ${exitCode()}`);
    const ok = await fetch(`${url}/healthz`).then(
      (reply) => reply.ok,
      () => false,
    );
    if (ok) return;
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  throw new Error('the server does not answer');
}
