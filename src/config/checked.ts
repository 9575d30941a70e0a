// The config as `config check` shows it: read as the server reads it, with what is sound and yet hardly meant.
import { type Config, readConfig } from '../config.ts';
import { approvalWarnings } from './approval-warnings.ts';
import { baselineWarnings } from './baseline-warnings.ts';
import type { Environment } from './resolve.ts';
import { waveWarnings } from './wave-warnings.ts';

/** `now` in milliseconds since the epoch. Throws what `readConfig` throws. */
export function checkedConfig(
  options: { file: string; env: Environment },
  now: number,
): Config & { warnings: readonly string[] } {
  const config = readConfig(options);
  return {
    ...config,
    warnings: [...waveWarnings(config), ...baselineWarnings(config), ...approvalWarnings(config, now)],
  };
}
