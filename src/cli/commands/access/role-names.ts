import { nearestName } from "../../../config/nearest.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";

/** Roles as they are called, in whatever case they were given, each once. @throws CommandError 6 naming the nearest role */
export function knownRoles(given: readonly string[], known: readonly string[]): string[] {
  const roles = given.map((name) => {
    const found = known.find((each) => each.toLowerCase() === name.toLowerCase());
    if (found !== undefined) return found;
    const nearest = nearestName(name, known);
    const hint = nearest ? `did you mean ${nearest}?` : `there are ${known.join(", ")}`;
    throw new CommandError(EXIT.notFound, `there is no role ${name}; ${hint}`);
  });
  return [...new Set(roles)];
}
