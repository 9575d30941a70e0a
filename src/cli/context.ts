// What the commands are given: where to write, what the environment says, and the parts of other rooms that the bin loads.
import type { ConnectionSettings } from './connection.ts';
import type { Terminal } from './terminal.ts';

/** What agent.json is to say; paths are absolute. */
export interface InstallRequest {
  root: string;
  artifactFile: string;
  agentConfig: {
    server: string;
    product: string;
    enrolToken?: string;
    enrolTokenFile?: string;
    caFile?: string;
    name?: string;
  };
}

export interface Installed {
  product: string;
  version: string;
  /** Path of the launcher in the root. */
  launcher: string;
}

export interface CheckedConfig {
  file: string;
  regions: readonly { name: string }[];
  products: readonly { name: string }[];
  policies: Readonly<Record<string, unknown>>;
  /** What is sound and yet hardly meant, one sentence each. */
  warnings: readonly string[];
}

export interface CliContext {
  version: string;
  terminal: Terminal;
  settings: ConnectionSettings;
  /** Fires when the person interrupts. */
  interrupted: AbortSignal;
  /** Milliseconds since the epoch. */
  now(): number;
  serve(configFile: string): Promise<void>;
  checkConfig(file: string): Promise<CheckedConfig>;
  /** Resolves with the exit code. */
  runAgent(root: string): Promise<number>;
  installAgent(request: InstallRequest): Promise<Installed>;
}
