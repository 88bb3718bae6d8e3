import type { Command } from "commander";
import { nearestName } from "../../config/nearest.ts";
import { CommandError, EXIT } from "./exit-codes.ts";

/** `prism help key rotate`: the help of a command however deep it lies, which Commander's own does not reach. */
export function addHelp(program: Command): void {
  program
    .command("help")
    .description("what a command does and takes")
    .argument("[command...]", "whose; all commands, if none is named")
    .addHelpText("after", "\nExamples:\n  $ prism help\n  $ prism help key rotate")
    .action((names: readonly string[]) => find(program, names).outputHelp());
}

/** @throws CommandError 2 with the nearest name */
function find(program: Command, names: readonly string[]): Command {
  let command = program;
  for (const name of names) {
    const next = command.commands.find((each) => each.name() === name);
    if (!next) {
      const nearest = nearestName(
        name,
        command.commands.map((each) => each.name()),
      );
      throw new CommandError(EXIT.usage, `unknown command '${name}'${nearest ? `\n(Did you mean ${nearest}?)` : ""}`);
    }
    command = next;
  }
  return command;
}
