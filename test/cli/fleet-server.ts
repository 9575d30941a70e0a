// A server process of its own with a recorded GitHub and agents that speak its wire: what the CLI is for.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRecordedGitHub } from '../../src/demo/recorded-github.ts';
import { sha256Hex } from '../../src/protocol/envelope.ts';
import { enrolWireAgent, type WireAgent } from '../support/wire-agent.ts';
import { type Env, type Ran, run, start } from './bin.ts';

const REPOSITORY = 'acme/agentd';
const PRODUCT = 'agentd';

export interface FleetServer extends AsyncDisposable {
  url: string;
  env: Env;
  publish(version: string): void;
  enrol(name: string, region: string): Promise<WireAgent>;
  /** Takes the agent through stage, grant and outcome. */
  update(agent: WireAgent, version: string): Promise<void>;
  /** Runs the CLI until it says so; the server plans meanwhile. */
  until(args: readonly string[], says: RegExp): Promise<Ran>;
}

/** `policies` and `products[].policy: careful` of the config; regions eu and us. */
export async function startFleetServer(policies: string): Promise<FleetServer> {
  const dir = mkdtempSync(join(tmpdir(), 'tidegate-fleet-'));
  const github = await startRecordedGitHub();
  github.repositories.create(REPOSITORY);
  const config = join(dir, 'tidegate.yaml');
  writeFileSync(
    config,
    `server: { listen: "127.0.0.1:0", dataDir: ./data }
github: { apiUrl: "${github.url}", poll: "* * * * * *" }
agents: { pollInterval: 1s, maxWait: 1s }
regions: [{ name: eu, timeZone: Europe/Berlin }, { name: us, timeZone: America/New_York }]
policies: ${policies}
products:
  - { name: ${PRODUCT}, repository: ${REPOSITORY}, artifacts: [{ platform: linux-x64, asset: "agentd-{version}.tar.gz" }], policy: careful }
`,
  );
  const server = start(['serve', '--config', config]);
  let errors = '';
  server.stderr.on('data', (chunk: Buffer) => {
    errors = `${errors}${chunk}`.slice(-4_000);
  });
  const listening = new Promise<string>((resolve, reject) => {
    let out = '';
    server.stdout.on('data', (chunk: Buffer) => {
      out += chunk;
      const match = /at (http:\/\/\S+)/.exec(out);
      if (match !== null) resolve(match[1] as string);
    });
    server.once('close', () => reject(new Error(`the server has ended: ${errors}`)));
  });
  // What was opened is closed again when the server does not start: the test must end, and say why.
  const url = await listening.catch(async (error: unknown) => {
    await github.close();
    rmSync(dir, { recursive: true, force: true });
    throw error;
  });
  const token = readFileSync(join(dir, 'data', 'operator.token'), 'utf8').trim();
  const env = { TIDEGATE_SERVER: url, TIDEGATE_TOKEN: token };

  async function instructed(agent: WireAgent, action: string) {
    for (let tries = 0; tries < 400; tries += 1) {
      const { instruction } = await agent.checkIn();
      if (instruction?.action === action) return instruction;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`${agent.name} was never told to ${action}`);
  }

  return {
    url,
    env,
    publish(version) {
      const assets = [{ name: `agentd-${version}.tar.gz`, bytes: bytesOf(version) }];
      github.repositories.publish(REPOSITORY, { tag: `v${version}`, assets });
    },
    async enrol(name, region) {
      const { out } = await run(['enrol-token', 'create', '--region', region], env);
      return await enrolWireAgent(() => url, out.trim(), name, [running('1.0.0')]);
    },
    async update(agent, version) {
      const { attempt } = await instructed(agent, 'stage');
      agent.attempts = [{ id: attempt, product: PRODUCT, state: 'staged' }];
      await instructed(agent, 'activate');
      agent.products = [running(version)];
      agent.attempts = [{ id: attempt, product: PRODUCT, state: 'succeeded' }];
      for (let tries = 0; tries < 100 && agent.attempts.length > 0; tries += 1) await agent.checkIn();
      assert.equal(agent.attempts.length, 0, `the outcome of ${agent.name} is acknowledged`);
    },
    async until(args, says) {
      let last: Ran | undefined;
      for (let tries = 0; tries < 400; tries += 1) {
        last = await run(args, env);
        if (says.test(last.out)) return last;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error(`never said ${says}: ${last?.out}${last?.err}`);
    },
    async [Symbol.asyncDispose]() {
      if (server.exitCode === null && server.signalCode === null) {
        const closed = once(server, 'close');
        server.kill('SIGTERM');
        const timer = setTimeout(() => server.kill('SIGKILL'), 10_000);
        await closed;
        clearTimeout(timer);
      }
      await github.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function bytesOf(version: string): Buffer {
  return Buffer.from(`the bytes of ${version}`);
}

function running(version: string) {
  return { product: PRODUCT, version, digest: sha256Hex(bytesOf(version)) };
}
