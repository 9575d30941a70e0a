// The demo's stage: a recorded GitHub, the server and the agents as processes of their own, all in one directory.

import { once } from 'node:events';
import { mkdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import type { FetchLike } from '../protocol/agent-client.ts';
import type { RolloutView, StatusReply } from '../protocol/operator.ts';
import { createOperatorClient, type OperatorClient } from '../protocol/operator-client.ts';
import { type BuiltArtifact, buildAgentArtifact } from './build-agent.ts';
import { openChildren } from './children.ts';
import { startRecordedGitHub } from './recorded-github.ts';

export const PRODUCT = 'demo-agent';
const REPOSITORY = 'tidegate/demo-agent';
const CONFIG = join(import.meta.dirname, '..', '..', 'config', 'demo.yaml');
/** Says at its start that it cannot run, as a release does whose dependency is missing; its self-test still works. */
const DIES_AT_START =
  "if (!process.argv.includes('--self-test')) { console.error('demo-agent: cannot read the schema of its state'); process.exit(1); }";
const TICK_MS = 100;

export interface DemoAgent {
  name: string;
  region: string;
  root: string;
}

export interface Stage {
  directory: string;
  database: string;
  serverUrl: string;
  operator: OperatorClient;
  agents: DemoAgent[];
  build(version: string, options?: { broken?: boolean }): Promise<BuiltArtifact>;
  publish(version: string, artifact: BuiltArtifact): void;
  /** Installs an agent from the artifact, enrolled into the region, and starts it. */
  addAgent(name: string, region: string, artifact: BuiltArtifact): Promise<DemoAgent>;
  /** The version that the agent's `current` link leads to. */
  currentOf(agent: DemoAgent): string;
  /** Waits until the status is as wanted. Throws after `seconds` with the last status. */
  until(what: string, seconds: number, reached: (status: StatusReply) => boolean): Promise<StatusReply>;
  close(): Promise<void>;
}

export async function openStage(directory: string): Promise<Stage> {
  const logs = join(directory, 'logs');
  const data = join(directory, 'server');
  for (const dir of [logs, join(directory, 'agents'), join(directory, 'artifacts')])
    mkdirSync(dir, { recursive: true });
  const github = await startRecordedGitHub();
  github.repositories.create(REPOSITORY);
  const children = openChildren(logs);
  const listen = `127.0.0.1:${await freePort()}`;
  const serverUrl = `http://${listen}`;
  const server = children.start('server', ['serve', '--config', CONFIG], {
    TIDEGATE_LISTEN: listen,
    TIDEGATE_DATA_DIR: data,
    TIDEGATE_GITHUB_API: github.url,
  });
  const close = async () => {
    await children.stop();
    await github.close();
  };
  try {
    await listening(serverUrl, () => server.exitCode);
  } catch (error) {
    await close();
    throw new Error(`${(error as Error).message}\n${readFileSync(join(logs, 'server.log'), 'utf8')}`);
  }
  const token = readFileSync(join(data, 'operator.token'), 'utf8').trim();
  const operator = createOperatorClient({ baseUrl: serverUrl, token, fetch: fetch as unknown as FetchLike });
  const platform = `${process.platform}-${process.arch}`;
  const agents: DemoAgent[] = [];
  return {
    directory,
    database: join(data, 'tidegate.db'),
    serverUrl,
    operator,
    agents,
    build: (version, { broken = false } = {}) =>
      buildAgentArtifact({
        product: PRODUCT,
        version,
        platform,
        outDir: join(directory, 'artifacts'),
        ...(broken ? { banner: DIES_AT_START } : {}),
      }),
    publish(version, artifact) {
      github.repositories.publish(REPOSITORY, {
        tag: `v${version}`,
        assets: [{ name: basename(artifact.file), path: artifact.file }],
      });
    },
    async addAgent(name, region, artifact) {
      const root = join(directory, 'agents', name);
      const { token: enrolToken } = await operator.createEnrolToken({ region, uses: 1 });
      const install = [
        'agent',
        'install',
        '--root',
        root,
        '--artifact',
        artifact.file,
        '--server',
        serverUrl,
        '--product',
        PRODUCT,
      ];
      await children.run([...install, '--enrol-token', enrolToken, '--name', name]);
      children.start(name, ['agent', 'run', '--root', root]);
      const agent = { name, region, root };
      agents.push(agent);
      return agent;
    },
    currentOf: (agent) => basename(readlinkSync(join(agent.root, 'current'))),
    async until(what, seconds, reached) {
      const deadline = performance.now() + seconds * 1000;
      for (;;) {
        const status = await operator.status();
        if (reached(status)) return status;
        if (performance.now() > deadline)
          throw new Error(`not seen within ${seconds} s: ${what}\n${JSON.stringify(status, null, 2)}`);
        await new Promise((resolve) => setTimeout(resolve, TICK_MS));
      }
    },
    close,
  };
}

export function rolloutOf(status: StatusReply, version: string): RolloutView | undefined {
  return status.rollouts.find((rollout) => rollout.product === PRODUCT && rollout.version === version);
}

async function listening(url: string, exitCode: () => number | null): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
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

async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}
