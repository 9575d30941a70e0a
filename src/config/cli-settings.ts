// What the environment says to the commands that are clients of a server; apart from the config file, which they do without.
import type { Environment } from './resolve.ts';

/** What the CLI takes from the environment; flags come before it. */
export interface CliSettings {
  server: string | null;
  token: string | null;
  tokenFile: string | null;
  caFile: string | null;
  noColor: boolean;
  dumbTerminal: boolean;
}

/** An empty variable counts as not set. NO_COLOR as on no-color.org: any value. */
export function readCliSettings(env: Environment): CliSettings {
  return {
    server: env.TIDEGATE_SERVER || null,
    token: env.TIDEGATE_TOKEN || null,
    tokenFile: env.TIDEGATE_TOKEN_FILE || null,
    caFile: env.TIDEGATE_CA_FILE || null,
    noColor: (env.NO_COLOR ?? '') !== '',
    dumbTerminal: env.TERM === 'dumb',
  };
}
