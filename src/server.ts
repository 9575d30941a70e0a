// The bin behind `tidegate serve`: config → context → listen, until a signal comes.
import { once } from 'node:events';
import { readConfig } from './config.ts';
import { type Overrides, openContext } from './context.ts';
import { AppError } from './errors.ts';

export interface ServeOptions {
  configFile: string;
  env: Record<string, string | undefined>;
  overrides?: Overrides;
}

/** Serves until SIGTERM or SIGINT. Throws what config, database and port have to say. */
export async function runServer({ configFile, env, overrides }: ServeOptions): Promise<void> {
  const config = readConfig({ file: configFile, env });
  const context = await openContext(config, overrides);
  const stop = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  try {
    const { host, port, dataDir } = config.server;
    const address = await context.app.listen({ host, port }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') throw error;
      throw new AppError('port_taken', `${host}:${port} is in use`, { where: config.file, cause: error });
    });
    context.start();
    process.stdout.write(
      `tidegate serves ${count(config.products, 'product')} in ${count(config.regions, 'region')} at ${address}\n`,
    );
    if (context.firstToken) process.stdout.write(`the first operator token is in ${dataDir}/operator.token\n`);
    await stop;
    context.logger.info('stopping');
  } finally {
    await context.close();
  }
}

function count(things: readonly unknown[], noun: string): string {
  return `${things.length} ${noun}${things.length === 1 ? '' : 's'}`;
}
