// The command line: which commands there are, and how a run of one ends.
import { Command } from 'commander';
import { agentCommands } from './commands/agent.ts';
import { agentsCommand } from './commands/agents.ts';
import { auditCommand } from './commands/audit.ts';
import { availabilityCommand } from './commands/availability.ts';
import { backtestCommand } from './commands/backtest.ts';
import { backupCommands } from './commands/backup.ts';
import { brakeCommands } from './commands/brake.ts';
import { clockCommands } from './commands/clock.ts';
import { configCommands } from './commands/config.ts';
import { enrolTokenCommands } from './commands/enrol-token.ts';
import { explainCommand } from './commands/explain.ts';
import { operatorTokenCommands } from './commands/operator-token.ts';
import { productCommands } from './commands/product.ts';
import { quarantineCommands } from './commands/quarantine.ts';
import { regionsCommand } from './commands/regions.ts';
import { rehearseCommand } from './commands/rehearse.ts';
import { releaseCommands } from './commands/release.ts';
import { rolloutCommands } from './commands/rollout.ts';
import { serveCommand } from './commands/serve.ts';
import { statusCommand } from './commands/status.ts';
import type { CliContext } from './context.ts';
import { reportFailure } from './failure.ts';

/** 128 + SIGINT, as shells have it. */
const INTERRUPTED_EXIT = 130;

/** Runs one command; `args` without node and script. Returns the exit code (see ERROR_RULES; 2 for usage). */
export async function runCli(args: readonly string[], context: CliContext): Promise<number> {
  const ending = { code: 0 };
  try {
    await buildProgram(context, ending).parseAsync([...args], { from: 'user' });
    return ending.code;
  } catch (error) {
    if (!context.interrupted.aborted) return reportFailure(error, context.terminal);
    context.terminal.warn('interrupted; the server may have done what was asked: see `tidegate status`');
    return INTERRUPTED_EXIT;
  }
}

/** A command that ends with a code of its own says so here. */
export interface Ending {
  code: number;
}

function buildProgram(context: CliContext, ending: Ending): Command {
  const { terminal } = context;
  const program = new Command('tidegate')
    .description('Keeps fleets of agents up to date: region by region, step by step, behind gates.')
    .version(context.version)
    // Else `--version` of a command would be taken for the program's.
    .enablePositionalOptions()
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => terminal.write(text),
      writeErr: (text) => terminal.warn(text.trimEnd()),
      // Said by reportFailure, in the form of every other error.
      outputError: () => {},
      getOutHelpWidth: () => terminal.width,
      getErrHelpWidth: () => terminal.width,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  statusCommand(program, context);
  explainCommand(program, context);
  productCommands(program, context);
  rolloutCommands(program, context);
  releaseCommands(program, context);
  rehearseCommand(program, context);
  backtestCommand(program, context);
  agentsCommand(program, context);
  auditCommand(program, context);
  quarantineCommands(program, context);
  regionsCommand(program, context);
  availabilityCommand(program, context);
  brakeCommands(program, context);
  clockCommands(program, context);
  enrolTokenCommands(program, context);
  operatorTokenCommands(program, context);
  serveCommand(program, context);
  agentCommands(program, context, ending);
  configCommands(program, context);
  backupCommands(program, context);
  showRequired(program);
  return program;
}

/** What a command cannot do without stands in its usage line. */
function showRequired(command: Command): void {
  command.commands.forEach(showRequired);
  const required = command.options.filter((option) => option.mandatory).map((option) => option.flags);
  if (required.length === 0) return;
  const names = command.registeredArguments.map((one) => (one.required ? `<${one.name()}>` : `[${one.name()}]`));
  command.usage([...names, ...required, '[options]'].join(' '));
}
