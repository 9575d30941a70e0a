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
  /** What was read of the iCalendar files: how many times, when the first begins and the last ends. */
  calendars: readonly { file: string; times: number; first: string | null; last: string | null }[];
}

export interface BackupRequest {
  configFile: string;
  /** Absolute. */
  file: string;
  withKeys: boolean;
}

export interface BackedUp {
  file: string;
  bytes: number;
  agents: number;
  /** Where the server's keys are; the copy of them beside the backup, or null. */
  keys: string;
  keysCopy: string | null;
}

export interface RestoreRequest {
  configFile: string;
  /** Absolute; null: the rows are in the database already. */
  file: string | null;
}

export interface Restored {
  database: string;
  /** The newest instant that the restored database knows of, milliseconds since the epoch. */
  endsAt: number | null;
  epoch: number;
  stale: number;
  /** What was there before; null when there was nothing. */
  aside: string | null;
  keys: string;
  /** `copied` from beside the backup, `kept` as they were, or `missing`. */
  keysAre: 'copied' | 'kept' | 'missing';
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
  backUp(request: BackupRequest): Promise<BackedUp>;
  restore(request: RestoreRequest): Promise<Restored>;
  /** Resolves with the exit code. */
  runAgent(root: string): Promise<number>;
  installAgent(request: InstallRequest): Promise<Installed>;
}
