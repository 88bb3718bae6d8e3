import type { Command } from "commander";
import { addCreateToken } from "./create-token.ts";
import { addListTokens } from "./list-tokens.ts";
import { addRevokeToken } from "./revoke-token.ts";

/** Service tokens of users, offline on the data directory. */
export function addToken(program: Command): void {
  const token = program
    .command("token")
    .description("make, list and revoke service tokens of users")
    .addHelpText(
      "after",
      "\nExamples:\n  $ export PRISM_TOKEN=$(prism token create --user admin)\n  $ prism token list --user admin",
    );
  addCreateToken(token);
  addListTokens(token);
  addRevokeToken(token);
}
