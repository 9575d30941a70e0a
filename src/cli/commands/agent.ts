// tidegate agent run | install | pin | unpin | unenrol
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { checkServer } from '../connection.ts';
import type { CliContext, InstallRequest } from '../context.ts';
import type { Ending } from '../program.ts';
import { shellWord, wrap } from '../render.ts';
import { pinCommands } from './agent-pin.ts';
import { unenrolCommand } from './agent-unenrol.ts';

interface InstallFlags {
  root: string;
  artifact: string;
  server?: string;
  product: string;
  enrolToken?: string;
  enrolTokenFile?: string;
  caFile?: string;
  name?: string;
}

export function agentCommands(program: Command, context: CliContext, ending: Ending): void {
  const group = program.command('agent').description('the agent on this host; and one host by itself');
  group
    .command('run')
    .description('keep the agent under a root running, until it is told to stop')
    .requiredOption('--root <dir>', 'where the agent is installed')
    .action(async (flags: { root: string }) => {
      ending.code = await context.runAgent(flags.root);
    });
  pinCommands(group, context);
  unenrolCommand(group, context);
  const install = group
    .command('install')
    .description('install the agent on this host from an artifact')
    .requiredOption('--root <dir>', 'where to install; made when missing')
    .requiredOption('--artifact <file>', 'the agent, as it was built')
    .option('--server <url>', 'address of the server (TIDEGATE_SERVER)')
    .requiredOption('--product <name>', 'the product that the agent itself is')
    .option('--enrol-token <token>', 'enrolment token')
    .option('--enrol-token-file <file>', 'file that holds the enrolment token')
    .option('--ca-file <file>', 'certificate authority to trust besides the public ones (TIDEGATE_CA_FILE)')
    .option('--name <name>', 'what people see the host as; default the host name');
  install.action(async (flags: InstallFlags) => {
    if (flags.enrolToken !== undefined && flags.enrolTokenFile !== undefined) {
      install.error('--enrol-token and --enrol-token-file cannot go together');
    }
    const { terminal, settings } = context;
    const server = checkServer(flags.server ?? settings.server);
    const installed = await context.installAgent(requestOf(flags, server, settings.caFile));
    const text = `${installed.product} ${installed.version} is installed in ${flags.root}`;
    terminal.print(wrap(text, terminal.width, '  '));
    terminal.print(`run it with: node ${shellWord(installed.launcher)} --root ${shellWord(resolve(flags.root))}`);
  });
}

function requestOf(flags: InstallFlags, server: string, caOfEnvironment: string | null): InstallRequest {
  const caFile = flags.caFile ?? caOfEnvironment;
  return {
    root: flags.root,
    artifactFile: flags.artifact,
    agentConfig: {
      server,
      product: flags.product,
      ...(flags.enrolToken === undefined ? {} : { enrolToken: flags.enrolToken }),
      ...(flags.enrolTokenFile === undefined ? {} : { enrolTokenFile: resolve(flags.enrolTokenFile) }),
      ...(caFile === null ? {} : { caFile: resolve(caFile) }),
      ...(flags.name === undefined ? {} : { name: flags.name }),
    },
  };
}
