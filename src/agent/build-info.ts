// Which product and version this code is: baked in by the bundler, with a fallback for running from source.
import { LAUNCHER_CONTRACT } from './paths.ts';

declare const __TIDEGATE_PRODUCT__: string | undefined;
declare const __TIDEGATE_VERSION__: string | undefined;

export const BUILD = {
  product: typeof __TIDEGATE_PRODUCT__ === 'string' ? __TIDEGATE_PRODUCT__ : 'tidegate-agent',
  version: typeof __TIDEGATE_VERSION__ === 'string' ? __TIDEGATE_VERSION__ : '0.0.0-source',
  launcherContract: LAUNCHER_CONTRACT,
} as const;
